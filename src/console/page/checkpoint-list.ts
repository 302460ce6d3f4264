import type { CheckpointLine } from '../view/checkpoint-line';
import type { MigrationView } from '../view/migration-view';
import { fill, h } from './element';
import { moment } from './moment';

const SHOWN_FIRST = 10;

/** The newest checkpoints; all of them when they are asked for. */
export class CheckpointListElement {
  readonly element = h('section', { class: 'card checkpoints' });
  readonly #address: string;
  readonly #rows = h('ol', { class: 'checkpoint-rows' });
  readonly #more = h('button', { type: 'button', class: 'button quiet', 'data-key': 'all checkpoints' });
  #newest: readonly CheckpointLine[] = [];
  #older: readonly CheckpointLine[] | null = null;

  constructor(route: string, runId: string | null) {
    const run = runId === null ? '' : `?run=${encodeURIComponent(runId)}`;
    this.#address = `/api/routes/${encodeURIComponent(route)}/checkpoints${run}`;
    this.#more.addEventListener('click', () => void this.#showAll());
    fill(this.element, h('h2', {}, 'Checkpoints'), this.#rows, this.#more);
  }

  update({ total, newest }: MigrationView['checkpoints']): void {
    this.#newest = newest;
    // Another migration of the route begins at 1 again.
    if (this.#older !== null && (this.#older[0]?.seq ?? 0) > total) this.#older = null;
    this.#more.textContent = `Show all ${total}`;
    this.#more.hidden = this.#older !== null || total <= SHOWN_FIRST;
    this.#show();
  }

  async #showAll(): Promise<void> {
    this.#more.disabled = true;
    const answer = await fetch(this.#address).catch(() => null);
    this.#more.disabled = false;
    if (answer?.ok !== true) {
      this.#more.textContent = 'They could not be read; try again';
      return;
    }
    this.#older = (await answer.json()) as CheckpointLine[];
    this.#more.hidden = true;
    this.#show();
  }

  #show(): void {
    const firstNew = this.#newest.at(-1)?.seq ?? 0;
    const lines =
      this.#older === null
        ? this.#newest.slice(0, SHOWN_FIRST)
        : [...this.#newest, ...this.#older.filter(({ seq }) => seq < firstNew)];
    fill(this.#rows, ...lines.map(lineElement));
  }
}

function lineElement({ seq, atMs, what, stage, share, epoch, by, why, tone }: CheckpointLine): HTMLElement {
  const where = [stage, share, epoch === null ? '' : `epoch ${epoch}`]
    .filter((text) => text !== '')
    .join(' · ');
  return h(
    'li',
    { class: `checkpoint ${tone}` },
    h('span', { class: 'checkpoint-seq' }, seq),
    h('span', { class: 'checkpoint-at' }, moment(atMs)),
    h('span', { class: 'checkpoint-what' }, what),
    h('span', { class: 'checkpoint-where' }, where),
    h(
      'span',
      { class: 'checkpoint-why' },
      [by === '' ? '' : `by ${by}`, why].filter((text) => text !== '').join(': '),
    ),
  );
}
