import { h } from './element';

const TERMS: readonly (readonly [term: string, text: string])[] = [
  [
    'evidence 12 of 20 needed',
    'An e-value: how strongly the numbers speak for what a bar leads to, a pass where it is green, a rollback where it is red. 1 says nothing. By chance alone it comes to 20 in fewer than 1 of 20 cases, however often you look.',
  ],
  ['watched', 'A metric that can only roll back; a stage does not wait for it.'],
  ['inconclusive', 'Not enough requests yet to say. The stage waits: missing data never passes.'],
  [
    'soak',
    'How long a stage must last, at least. Only time in which every gateway serves the requested share counts.',
  ],
  [
    'asked, serves, measured',
    'The share the migration wants, the share a gateway serves now, the share of requests it counted.',
  ],
  ['epoch', 'The version of the routing. It never falls, and numbers of different epochs are never mixed.'],
];

const KEYS: readonly (readonly [key: string, text: string])[] = [
  ['Tab, Enter', 'reach and give every command; each asks before it is sent'],
  ['Escape', 'close a dialog'],
  ['?', 'show this'],
];

/** A small button that explains the numbers; the key `?` does the same. */
export function helpButton(): HTMLElement {
  const button = h(
    'button',
    { type: 'button', class: 'help-button', 'aria-label': 'What the numbers mean', 'data-key': 'help' },
    '?',
  );
  button.addEventListener('click', showHelp);
  return button;
}

/** Opens the explanation by `?`, unless somebody is writing. */
export function listenForHelp(): void {
  document.addEventListener('keydown', (event) => {
    const { target } = event;
    const isWriting = target instanceof HTMLElement && target.closest('input, textarea, dialog') !== null;
    if (event.key === '?' && !isWriting && !event.ctrlKey && !event.metaKey) showHelp();
  });
}

function showHelp(): void {
  // One that has been closed is removed a moment later: a key pressed meanwhile must not get lost.
  if (document.querySelector('dialog[open]') !== null) return;
  const close = h('button', { type: 'button', class: 'button plain' }, 'Close');
  const pairs = (rows: typeof TERMS) =>
    rows.flatMap(([term, text]) => [h('dt', {}, term), h('dd', {}, text)]);
  const dialog = h(
    'dialog',
    { 'aria-labelledby': 'help-title', class: 'help' },
    h('h2', { id: 'help-title', class: 'dialog-title' }, 'What the numbers mean'),
    h('dl', {}, ...pairs(TERMS)),
    h('h3', {}, 'Keys'),
    h('dl', { class: 'keys' }, ...pairs(KEYS)),
    h('div', { class: 'dialog-buttons' }, close),
  );
  const before = document.activeElement;
  document.body.append(dialog);
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  dialog.showModal();
}
