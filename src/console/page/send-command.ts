import type { ActionView } from '../view/action';
import { h } from './element';

/** Asks to confirm an action, telling its consequence; sends it and resolves, or resolves when it is dismissed. */
export function confirmAction(route: string, action: ActionView): Promise<void> {
  const reason = h('textarea', {
    id: 'reason',
    rows: 2,
    maxlength: 1_000,
    ...(action.reasonNeeded ? { required: true, 'aria-required': 'true' } : {}),
  });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const confirm = h('button', { type: 'submit', class: `button ${action.tone}` }, action.label);
  const cancel = h('button', { type: 'button', class: 'button quiet' }, 'Cancel');
  const form = h(
    'form',
    {},
    h('h2', { id: 'dialog-title', class: 'dialog-title' }, `${action.label}?`),
    h('p', { id: 'dialog-text' }, action.consequence),
    h(
      'label',
      { for: 'reason' },
      action.reasonNeeded ? 'Reason (needed; it is recorded)' : 'Reason (it is recorded)',
    ),
    reason,
    problem,
    h('div', { class: 'dialog-buttons' }, cancel, confirm),
  );
  const dialog = h('dialog', { 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-text' }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve();
    });
    cancel.addEventListener('click', () => dialog.close());
    // The same id however often it is sent: a second arrival changes nothing.
    const commandId = crypto.randomUUID();
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (action.reasonNeeded && reason.value.trim() === '') {
        problem.textContent = 'A reason is needed.';
        return reason.focus();
      }
      confirm.disabled = true;
      problem.textContent = '';
      sendCommand(route, action, commandId, reason.value.trim()).then(
        () => dialog.close(),
        (error: unknown) => {
          confirm.disabled = false;
          problem.textContent = error instanceof Error ? error.message : String(error);
        },
      );
    });
    dialog.showModal();
    if (action.reasonNeeded || action.tone === 'plain') reason.focus();
    else confirm.focus();
  });
}

async function sendCommand(
  route: string,
  { name, label, payload }: ActionView,
  commandId: string,
  reason: string,
): Promise<void> {
  await post(route, 'commands', { name, label, commandId, reason, payload });
}

/** Asks the console something about a route; rejects with what it said where it refused. */
export async function post<Answer>(route: string, what: string, body: object): Promise<Answer> {
  const answer = await fetch(`/api/routes/${encodeURIComponent(route)}/${what}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }).catch(() => {
    throw new Error('The console did not answer: nothing is known to have been sent.');
  });
  const said: unknown = await answer.json().catch(() => ({ message: `status ${answer.status}` }));
  if (!answer.ok) throw new Error((said as { message: string }).message);
  return said as Answer;
}
