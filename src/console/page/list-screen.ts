import { formatShare } from '../../core/plan/plan';
import type { ListedView } from '../view/listed-migration';
import { type Trouble, troubleTitle } from '../view/trouble';
import { bannerElement } from './banner-element';
import { bar, type Child, fill, h } from './element';
import { moment } from './moment';

const SEARCH_FROM = 8;

/** The list of all migrations: open ones first. */
export class ListScreen {
  readonly element = h('div', { class: 'list-screen' });
  readonly #banners = h('div', { class: 'banners' });
  readonly #search = h('input', {
    type: 'search',
    class: 'search',
    placeholder: 'Find a route, state or reason',
    'aria-label': 'Find a route, state or reason',
  });
  readonly #rows = h('div', { class: 'listed' });
  #all: readonly ListedView[] = [];
  #isKnown = true;

  constructor() {
    this.#search.hidden = true;
    this.#search.addEventListener('input', () => this.#show());
    fill(this.element, h('h1', {}, 'Migrations'), this.#banners, this.#search, this.#rows);
    fill(this.#rows, h('p', { class: 'empty' }, 'Asking Temporal for them.'));
  }

  update(parts: Readonly<Record<string, unknown>>): void {
    const { trouble = null, ...rows } = parts as { trouble?: Trouble | null } & Record<string, unknown>;
    this.#isKnown = trouble === null;
    // Temporal itself has the list.
    const isOld = Object.keys(rows).length > 0 && trouble?.what !== 'still';
    fill(
      this.#banners,
      trouble !== null &&
        bannerElement({
          id: 'trouble',
          tone: 'danger',
          title: troubleTitle(trouble),
          text: `${trouble.message}.${isOld ? ' The list may be old.' : ''}`,
          sinceMs: trouble.sinceMs,
        }),
    );
    this.#all = (Object.values(rows) as ListedView[]).sort(
      (a, b) => Number(b.open) - Number(a.open) || b.startedAtMs - a.startedAtMs,
    );
    this.#search.hidden = this.#all.length < SEARCH_FROM;
    this.#show();
  }

  #show(): void {
    const wanted = this.#search.value.trim().toLowerCase();
    const shown = this.#all.filter(({ route, state, reason, by, why, migrationId }) =>
      [route, state, reason, by, why, migrationId].some((text) => text.toLowerCase().includes(wanted)),
    );
    if (shown.length === 0) {
      fill(
        this.#rows,
        this.#all.length === 0
          ? this.#isKnown &&
              h('p', { class: 'empty' }, 'No migration yet. ', h('code', {}, 'cutover start'), ' begins one.')
          : h('p', { class: 'empty' }, 'Nothing fits.'),
      );
      return;
    }
    const open = shown.filter((row) => row.open);
    const ended = shown.filter((row) => !row.open);
    fill(this.#rows, ...group('Open', open), ...group('Ended', ended));
  }
}

function group(title: string, rows: readonly ListedView[]): Child[] {
  if (rows.length === 0) return [];
  const isOpen = rows[0]?.open === true;
  const heads = [
    'Route',
    'State',
    isOpen ? 'Candidate share' : '',
    isOpen ? 'Started' : 'Ended',
    isOpen ? 'What it waits for, or why it was started' : 'Why it ended',
  ];
  return [
    h('h2', {}, `${title} `, h('span', { class: 'count' }, rows.length)),
    h('div', { class: 'listed-heads', 'aria-hidden': 'true' }, ...heads.map((text) => h('span', {}, text))),
    h('div', { role: 'list', 'aria-label': title }, ...rows.map(row)),
  ];
}

function row(view: ListedView): HTMLElement {
  const { route, migrationId, runId, state, tone, open, share, paused, startedAtMs, closedAtMs, why } = view;
  const address = `#/${encodeURIComponent(route)}${runId === null ? '' : `/${runId}`}`;
  return h(
    'div',
    { role: 'listitem' },
    h(
      'a',
      { class: 'listed-row', href: address, 'data-key': `${migrationId} ${runId ?? ''}` },
      h('span', { class: 'listed-route' }, route),
      h(
        'span',
        { class: 'listed-state' },
        h('span', { class: `chip ${tone}` }, state),
        paused && h('span', { class: 'chip warning' }, 'paused'),
      ),
      share === null
        ? h('span', { class: 'listed-share' })
        : h(
            'span',
            { class: 'listed-share' },
            bar(share, 'candidate', `candidate's share ${formatShare(share)}`),
            h('span', { class: 'number' }, formatShare(share)),
          ),
      h('span', { class: 'listed-when' }, moment(open || closedAtMs === null ? startedAtMs : closedAtMs)),
      h('span', { class: 'listed-why', title: why }, why),
    ),
  );
}
