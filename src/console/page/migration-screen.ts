import type { MigrationView } from '../view/migration-view';
import { amendPlan } from './amend-plan';
import { bannerElement } from './banner-element';
import { Charts } from './charts';
import { CheckpointListElement } from './checkpoint-list';
import { fill, h } from './element';
import { helpButton } from './help';
import {
  armsElement,
  clockElement,
  gateElements,
  gatewayRows,
  headElement,
  orderElement,
  stageRail,
} from './sections';
import { confirmAction } from './send-command';

type Part = keyof MigrationView;

/** One migration: each section is written anew only when what it shows has changed. */
export class MigrationScreen {
  readonly element = h('div', { class: 'migration-screen' });
  readonly #route: string;
  readonly #charts = new Charts();
  readonly #checkpoints: CheckpointListElement;
  readonly #runId: string | null;
  readonly #viewer: string | null;
  readonly #absent = h('div', { class: 'banners' });
  readonly #content = h('div', { class: 'content' });
  readonly #head = h('section', { class: 'head' });
  readonly #lead = h('div', { class: 'banners lead', 'aria-live': 'polite' });
  readonly #banners = h('div', { class: 'banners', 'aria-live': 'polite' });
  readonly #orders = h('div', { class: 'orders', 'aria-live': 'polite' });
  readonly #stages = h('section', { class: 'stages', 'aria-label': 'Stages' });
  readonly #sides = card('Providers');
  readonly #gate = card('Gate');
  readonly #gateways = card('Gateways');
  readonly #actions = h('section', { class: 'actions', 'aria-label': 'Commands' });

  /** `viewer` is whoever may look only; null for an operator. */
  constructor(route: string, runId: string | null, viewer: string | null) {
    this.#route = route;
    this.#runId = runId;
    this.#viewer = viewer;
    this.#checkpoints = new CheckpointListElement(route, runId);
    this.#content.hidden = true;
    fill(
      this.#content,
      this.#lead,
      this.#head,
      this.#banners,
      this.#orders,
      this.#stages,
      this.#actions,
      h(
        'div',
        { class: 'columns' },
        h('div', { class: 'column' }, this.#sides.element, this.#gateways.element),
        h('div', { class: 'column' }, this.#gate.element),
      ),
      this.#charts.element,
      this.#checkpoints.element,
    );
    fill(this.#absent, h('p', { class: 'empty' }, `Asking where the migration of ${route} stands.`));
    fill(this.element, this.#absent, this.#content);
  }

  /** Takes the parts that changed; `parts` holds all that is known. */
  update(parts: Readonly<Record<string, unknown>>, changed: ReadonlySet<string>): void {
    const view = parts as Partial<MigrationView> & { absent?: { message: string } };
    if (changed.has('absent')) this.#showAbsent(view.absent ?? null);
    if (view.head === undefined) return;
    if (this.#content.hidden) fill(this.#absent);
    this.#content.hidden = false;
    const known = view as MigrationView;
    const has = (...names: readonly Part[]) => names.some((name) => changed.has(name));
    if (has('head')) fill(this.#head, headElement(known.head));
    if (has('banners')) this.#showBanners(known.banners);
    if (has('orders')) fill(this.#orders, ...known.orders.map(orderElement));
    if (has('stages', 'clock', 'head')) fill(this.#stages, stageRail(known), clockElement(known.clock));
    if (has('sides', 'head')) fill(this.#sides.body, armsElement(known.sides, known.head.providers));
    if (has('gate', 'head')) {
      fill(this.#gate.title, `Gate of ${known.head.stage}`, helpButton());
      fill(this.#gate.body, ...gateElements(known.gate));
    }
    if (has('gateways')) fill(this.#gateways.body, gatewayRows(known.gateways));
    if (has('actions', 'head')) this.#showActions(known);
    if (has('series', 'head')) this.#charts.update(known.series, known.head);
    if (has('checkpoints')) this.#checkpoints.update(known.checkpoints);
  }

  #showBanners(banners: MigrationView['banners']): void {
    const leading = banners.filter(({ leads }) => leads);
    fill(this.#lead, ...leading.map((banner) => bannerElement(banner, this.#reportLink())));
    fill(this.#banners, ...banners.filter(({ leads }) => !leads).map((banner) => bannerElement(banner)));
  }

  #reportLink(): HTMLElement {
    const run = this.#runId === null ? '' : `?run=${encodeURIComponent(this.#runId)}`;
    const href = `/api/routes/${encodeURIComponent(this.#route)}/report${run}`;
    return h('a', { href, target: '_blank', rel: 'noopener', 'data-key': 'report' }, 'Read the report');
  }

  #showAbsent(absent: { readonly message: string } | null): void {
    if (absent !== null) this.#content.hidden = true;
    fill(
      this.#absent,
      absent !== null &&
        bannerElement({
          id: 'absent',
          tone: 'warning',
          title: this.#route,
          text: absent.message,
          sinceMs: null,
        }),
    );
  }

  #showActions({ actions, head }: MigrationView): void {
    const over = this.#runId !== null || head.phase === 'closed';
    this.#actions.hidden = over;
    if (over) return;
    if (this.#viewer !== null) {
      const why = `${this.#viewer} may look but not give commands: only this console's operators may.`;
      fill(this.#actions, h('p', { class: 'read-only' }, why));
      return;
    }
    const buttons = actions.map((action) => {
      const button = h(
        'button',
        {
          type: 'button',
          class: `button ${action.tone === 'danger' ? 'danger' : 'plain'}`,
          'data-key': action.id,
          disabled: action.refusal !== null,
          title: action.refusal ?? action.consequence,
        },
        action.label,
      );
      button.addEventListener('click', () => {
        const asked = action.asksPlan ? amendPlan(this.#route, action) : confirmAction(this.#route, action);
        void asked.then(() => this.#focusAction(action.id));
      });
      return { action, button };
    });
    const of = (tone: 'plain' | 'danger') =>
      buttons.filter(({ action }) => action.tone === tone).map(({ button }) => button);
    fill(
      this.#actions,
      h('div', { class: 'action-row' }, ...of('plain')),
      h('div', { class: 'action-row grave' }, ...of('danger')),
    );
  }

  /** The button may have been written anew while its dialog was open. */
  #focusAction(id: string): void {
    const buttons = [...this.#actions.querySelectorAll<HTMLElement>('[data-key]')];
    buttons.find((button) => button.dataset['key'] === id)?.focus();
  }
}

/** A titled section. */
function card(name: string): { element: HTMLElement; title: HTMLElement; body: HTMLElement } {
  const title = h('h2', {}, name);
  const body = h('div', { class: 'card-body' });
  return { element: h('section', { class: 'card' }, title, body), title, body };
}
