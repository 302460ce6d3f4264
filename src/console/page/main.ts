import { fill, h } from './element';
import { listenForHelp } from './help';
import { ListScreen } from './list-screen';
import { type ConnectionState, Live } from './live';
import { MigrationScreen } from './migration-screen';

const screen = document.getElementById('screen') as HTMLElement;
const connection = document.getElementById('connection') as HTMLElement;
const person = document.getElementById('person') as HTMLElement;

const STATES: Readonly<Record<ConnectionState, string>> = {
  connecting: 'connecting',
  live: 'live',
  lost: "no connection to this page's server; trying again",
};

const live = new Live(
  (state) => {
    connection.className = `connection ${state}`;
    connection.textContent = STATES[state];
  },
  () => void begin(),
);

/** Who looks, as the console knows them. */
interface Session {
  readonly by: string;
  /** Null for whoever has the token. */
  readonly name: string | null;
  readonly role: 'operator' | 'viewer';
}

let session: Session | null = null;
let isFollowing = false;

async function begin(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token !== null) {
    // The token leaves the address at once, so that it stays out of history and bookmarks.
    history.replaceState(null, '', '#/');
    if (!(await openSession(token)))
      return askForToken('That token was not accepted: the console may have been restarted.');
  }
  const answer = await fetch('/api/session').catch(() => null);
  const told = (await answer?.json().catch(() => null)) as
    | (Session & { message: string; login: string })
    | null;
  if (answer === null || told === null) {
    connection.textContent = STATES.lost;
    setTimeout(() => void begin(), 2_000);
    return;
  }
  if (!answer.ok) return askToLogIn(answer.status, told);
  session = told;
  if (told.name !== null) showPerson(told);
  if (!isFollowing) window.addEventListener('hashchange', show);
  isFollowing = true;
  show();
}

function askToLogIn(status: number, { message, login }: { message: string; login: string }): void {
  if (login === 'token') {
    askForToken();
    return;
  }
  // Whoever is known, and has no role here, would be sent back and forth.
  if (login === 'oidc' && status === 401) {
    location.assign('/login');
    return;
  }
  live.close();
  connection.textContent = '';
  fill(screen, h('h1', {}, 'No access'), h('p', { role: 'alert' }, `${message}.`));
}

function showPerson({ name, role }: Session): void {
  fill(person, `${name}, ${role}`);
}

async function openSession(token: string): Promise<boolean> {
  const answer = await fetch('/api/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  }).catch(() => null);
  return answer?.ok === true;
}

function show(): void {
  const [route = '', runId = ''] = location.hash.replace(/^#\//, '').split('/').map(decodeURIComponent);
  if (route === '') {
    const list = new ListScreen();
    document.title = 'Cutover';
    fill(screen, list.element);
    live.follow('list', '', (parts) => list.update(parts));
  } else {
    const viewer = session?.role === 'viewer' ? session.name : null;
    const migration = new MigrationScreen(route, runId === '' ? null : runId, viewer);
    document.title = `${route} – Cutover`;
    fill(screen, migration.element);
    const query = new URLSearchParams({ route, ...(runId === '' ? {} : { run: runId }) });
    live.follow('migration', `?${query}`, (parts, changed) => migration.update(parts, changed));
  }
  window.scrollTo(0, 0);
}

function askForToken(problem = ''): void {
  live.close();
  connection.textContent = '';
  const input = h('input', { id: 'token', type: 'password', autocomplete: 'off', required: true });
  const told = h('p', { class: 'problem', role: 'alert' }, problem);
  const form = h(
    'form',
    { class: 'token-form' },
    h('h1', {}, 'Who is there?'),
    h('p', {}, 'Open the address that ', h('code', {}, 'cutover ui'), ' printed, or give its token here.'),
    h('label', { for: 'token' }, 'Token'),
    input,
    told,
    h('button', { type: 'submit', class: 'button plain' }, 'Continue'),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void openSession(input.value.trim()).then((accepted) => {
      if (accepted) return location.reload();
      told.textContent = 'That token was not accepted.';
      input.focus();
    });
  });
  fill(screen, form);
  input.focus();
}

listenForHelp();
void begin();
