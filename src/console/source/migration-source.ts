import { outcomeOf } from '../../client/command-outcome';
import type { Checkpoint } from '../../core/migration/checkpoint';
import type { AssessmentSummary } from '../../core/migration/migration-state';
import type { MigrationStatus, RollbackEligibility } from '../../core/migration/status';
import type { ProviderNames } from '../view/action';
import type { ShownVerdict } from '../view/gate-view';
import type { MigrationSighting } from '../view/migration-view';
import { type Order, orderView } from '../view/order';
import type { Trouble } from '../view/trouble';
import type { ConsoleClient } from './console-client';
import type { GatewayWatch } from './gateway-watch';
import { troubleOf } from './trouble';

export interface MigrationSourceOptions {
  readonly client: () => Promise<ConsoleClient>;
  readonly route: string;
  /** An earlier run of the route; the newest when absent. */
  readonly runId?: string;
  /** Null where no configuration says where the gateways are. */
  readonly gateways: GatewayWatch | null;
  readonly providers: ProviderNames | null;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
}

const WORKER_WAIT_MS = 4_000;
/** The workflow itself keeps 20; those seen before stay in the charts. */
const VERDICTS_KEPT = 1_000;
const ORDERS_KEPT = 8;

/** Reads one migration again and again, asking only for what can have changed. */
export class MigrationSource {
  readonly #options: MigrationSourceOptions;
  #status: MigrationStatus | null = null;
  #trouble: Trouble | null = null;
  #verdicts: readonly ShownVerdict[] = [];
  #windowsKey = '';
  #checkpoints: readonly Checkpoint[] = [];
  #eligibility: RollbackEligibility | null = null;
  #eligibilityKey = '';
  #assessment: AssessmentSummary | null = null;
  #orders: readonly Order[] = [];

  constructor(options: MigrationSourceOptions) {
    this.#options = options;
  }

  /** What is known after another look; null while nothing could be had yet. Throws `NoMigration`. */
  async read(): Promise<MigrationSighting | null> {
    try {
      await this.#ask(await this.#options.client());
      this.#trouble = null;
    } catch (error) {
      if (!(error instanceof Error) || error.name === 'NoMigration') throw error;
      this.#trouble = troubleOf(error, this.#trouble, this.#options.now());
    }
    const status = this.#status;
    if (status === null) return null;
    this.#orders = this.#orders.map((order) => this.#ended(order, status));
    return {
      status,
      verdicts: this.#verdicts,
      checkpoints: this.#checkpoints,
      eligibility: this.#eligibility,
      assessment: this.#assessment,
      gateways: (await this.#options.gateways?.look(status.epoch)) ?? [],
      providers: this.#options.providers,
      orders: this.#orders.map((order) => orderView(order, status)).reverse(),
      trouble: this.#trouble,
    };
  }

  /** Why nothing new could be had at the last look, or null. */
  get trouble(): Trouble | null {
    return this.#trouble;
  }

  get isClosed(): boolean {
    return this.#status?.phase === 'closed';
  }

  get hasOpenOrders(): boolean {
    return this.#orders.some(({ end }) => end === null);
  }

  /** Remembers a command that is being sent; it is followed at every look until it has ended. */
  follow(order: Order): void {
    this.#orders = [...this.#orders.filter(({ commandId }) => commandId !== order.commandId), order].slice(
      -ORDERS_KEPT,
    );
  }

  async #ask(client: ConsoleClient): Promise<void> {
    const { route, runId } = this.#options;
    const options = { workerWaitMs: WORKER_WAIT_MS, ...(runId === undefined ? {} : { runId }) };
    const status = await client.status(route, options);
    if (status.migrationId !== this.#status?.migrationId) this.#forget();
    const windowsKey = JSON.stringify([
      status.epoch,
      status.stage,
      status.soak.windows,
      status.verdict?.sentence,
    ]);
    const eligibilityKey = JSON.stringify([status.checkpoints, status.phase]);
    const after = this.#checkpoints.at(-1)?.seq ?? 0;
    const appended = status.checkpoints > after;
    await Promise.all([
      (async () => {
        if (windowsKey === this.#windowsKey) return;
        this.#verdicts = joined(this.#verdicts, await client.verdicts(route, options));
        this.#windowsKey = windowsKey;
      })(),
      (async () => {
        if (!appended) return;
        const more: Checkpoint[] = [];
        for await (const entry of client.checkpoints(route, { ...options, after })) more.push(entry);
        this.#checkpoints = [...this.#checkpoints, ...more];
      })(),
      (async () => {
        if (eligibilityKey === this.#eligibilityKey) return;
        this.#eligibility = await client.rollbackEligibility(route, options);
        this.#eligibilityKey = eligibilityKey;
      })(),
      (async () => {
        if (appended && this.#assessment === null) this.#assessment = await client.assessment(route, options);
      })(),
    ]);
    this.#status = status;
  }

  /** Another migration of the route has begun: nothing of the one before is its own. */
  #forget(): void {
    this.#verdicts = [];
    this.#windowsKey = '';
    this.#checkpoints = [];
    this.#eligibilityKey = '';
    this.#assessment = null;
    if (this.#status !== null) this.#orders = [];
  }

  #ended(order: Order, status: MigrationStatus): Order {
    if (order.end !== null) return order;
    const seen = status.commands.find(({ commandId }) => commandId === order.commandId);
    const from = seen?.checkpoint ?? null;
    const checkpoints = from === null ? [] : this.#checkpoints.filter(({ seq }) => seq >= from);
    // The checkpoint that bears the order may be newer than the list that was read just before it.
    if (from !== null && checkpoints.length === 0) return order;
    const end = outcomeOf(order.commandId, status, checkpoints);
    return end === null ? order : { ...order, end };
  }
}

/** Earlier verdicts and what is kept of them now, each window once. */
function joined(before: readonly ShownVerdict[], now: readonly ShownVerdict[]): readonly ShownVerdict[] {
  const firstMs = now[0]?.atMs ?? Number.POSITIVE_INFINITY;
  return [...before.filter(({ atMs }) => atMs < firstMs), ...now].slice(-VERDICTS_KEPT);
}
