import { fill, h } from './element';
import { ListScreen } from './list-screen';
import { type ConnectionState, Live } from './live';
import { MigrationScreen } from './migration-screen';

const screen = document.getElementById('screen') as HTMLElement;
const connection = document.getElementById('connection') as HTMLElement;

const STATES: Readonly<Record<ConnectionState, string>> = {
  connecting: 'connecting',
  live: 'live',
  lost: 'no connection to cutover ui; trying again',
};

const live = new Live(
  (state) => {
    connection.className = `connection ${state}`;
    connection.textContent = STATES[state];
  },
  () => askForToken(),
);

async function begin(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token !== null) {
    // The token leaves the address at once, so that it stays out of history and bookmarks.
    history.replaceState(null, '', '#/');
    if (!(await openSession(token)))
      return askForToken('That token was not accepted: the console may have been started anew.');
  }
  window.addEventListener('hashchange', show);
  show();
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
    const migration = new MigrationScreen(route, runId === '' ? null : runId);
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
    h('button', { type: 'submit', class: 'button plain' }, 'Go on'),
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

void begin();
