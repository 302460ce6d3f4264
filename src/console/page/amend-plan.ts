import type { ActionView } from '../view/action';
import { fill, h } from './element';
import { post } from './send-command';

/** What a plan would change, as the console answers it. */
interface Preview {
  readonly changes: readonly { readonly what: string; readonly from: string; readonly to: string }[];
  readonly refusal: string | null;
  readonly digest: string;
}

/** Asks for another plan, shows what it changes, and amends by it; resolves when it is sent or dismissed. */
export function amendPlan(route: string, action: ActionView): Promise<void> {
  const text = h('textarea', { id: 'plan', rows: 12, spellcheck: 'false', class: 'plan-text' });
  const file = h('input', { id: 'plan-file', type: 'file', accept: '.yaml,.yml,.json' });
  const reason = h('textarea', { id: 'reason', rows: 2, maxlength: 1_000, 'aria-required': 'true' });
  const changes = h('div', { class: 'changes', 'aria-live': 'polite' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const show = h('button', { type: 'button', class: 'button quiet' }, 'Show what changes');
  const cancel = h('button', { type: 'button', class: 'button quiet' }, 'Cancel');
  const confirm = h('button', { type: 'submit', class: 'button plain', disabled: true }, action.label);
  const form = h(
    'form',
    {},
    h('h2', { id: 'dialog-title', class: 'dialog-title' }, `${action.label}?`),
    h('p', {}, action.consequence),
    h('label', { for: 'plan' }, 'Plan, as YAML or JSON'),
    text,
    h('label', { for: 'plan-file' }, 'or its file'),
    file,
    changes,
    h('label', { for: 'reason' }, 'Reason (needed; it is recorded)'),
    reason,
    problem,
    h('div', { class: 'dialog-buttons' }, cancel, show, confirm),
  );
  const dialog = h('dialog', { class: 'wide', 'aria-labelledby': 'dialog-title' }, form);
  document.body.append(dialog);

  let shown: Preview | null = null;
  const take = (preview: Preview | null, said = ''): void => {
    shown = preview;
    fill(changes, preview !== null && changesTable(preview));
    problem.textContent = preview?.refusal == null ? said : `It would be refused: ${preview.refusal}`;
    confirm.disabled = preview === null || preview.refusal !== null || preview.changes.length === 0;
  };
  const failed = (error: unknown) => take(null, error instanceof Error ? error.message : String(error));
  const look = async (): Promise<void> => {
    const asked = text.value;
    const preview = await post<Preview>(route, 'amendment', { text: asked });
    // Of a text that was changed meanwhile nothing is known.
    if (text.value === asked) take(preview);
  };
  text.addEventListener('input', () => take(null));
  file.addEventListener('change', () => {
    void file.files
      ?.item(0)
      ?.text()
      .then((content) => {
        text.value = content;
        return look();
      })
      .catch(failed);
  });
  show.addEventListener('click', () => void look().catch(failed));
  // The same id however often it is sent: a second arrival changes nothing.
  const commandId = crypto.randomUUID();
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (shown === null) return;
    const why = reason.value.trim();
    if (why === '') {
      problem.textContent = 'A reason is needed.';
      return reason.focus();
    }
    confirm.disabled = true;
    const give = { commandId, reason: why, digest: shown.digest };
    post(route, 'amendment', { text: text.value, give }).then(() => dialog.close(), failed);
  });
  cancel.addEventListener('click', () => dialog.close());
  dialog.showModal();
  text.focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve();
    });
  });
}

function changesTable({ changes }: Preview): HTMLElement {
  if (changes.length === 0) return h('p', {}, 'It changes nothing.');
  const heads = ['Field', 'Now', 'Amended'].map((name) => h('th', { scope: 'col' }, name));
  const rows = changes.map(({ what, from, to }) =>
    h('tr', {}, ...[what, from, to].map((cell) => h('td', {}, cell))),
  );
  return h('table', {}, h('thead', {}, h('tr', {}, ...heads)), h('tbody', {}, ...rows));
}
