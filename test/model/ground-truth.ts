import type { MigrationState } from '../../src/core/migration/migration-state';
import type { RoutingRecord } from '../../src/core/routing/routing';

/** Clocks of gateways run at most this part too fast or too slow; the fence of a lease allows for 1%. */
export const CLOCK_ERROR = 0.004;
const FENCE = 1.01;

/** What a gateway did at one moment: it sent a request to the candidate. */
export interface Dispatch {
  readonly gateway: string;
  /** The record in force; null where the route's configuration decides. */
  readonly record: RoutingRecord | null;
  /** The epoch under which the request was drawn. */
  readonly drawnUnder: number;
  /** Whether its caller is of the team that a plan may serve alone. */
  readonly isMember: boolean;
  readonly atMs: number;
}

/**
 * Sees everything in the modelled world at once, as nobody can in a real one, and demands of what was really served
 * what the laws promise. Throws an Error that names the law.
 */
export class GroundTruth {
  /** When each epoch of the migration stopped being what the workflow wants; absent while it is. */
  readonly #endedAtMs = new Map<number, number>();
  #wantedEpoch: number | null = null;
  /** Below this epoch nothing is served: a lowering to it was verified on every gateway. */
  #verified: {
    readonly epoch: number;
    readonly share: number;
    readonly lowered: boolean;
    readonly inMemory: readonly string[];
  } | null = null;
  #isBaselined = false;
  #outcome: MigrationState['outcome'] = null;
  #standingAtMs = Number.NEGATIVE_INFINITY;
  /** By gateway: the highest epoch that was held when its kill switch was set, while its disk lasts. */
  readonly #killed = new Map<string, number>();
  readonly #breaches: string[] = [];
  dispatches = 0;

  constructor(readonly nowMs: () => number) {}

  /** The first law that was broken; null while none was. */
  get breach(): string | null {
    return this.#breaches[0] ?? null;
  }

  /** Takes in what the workflow has decided. */
  decided(before: MigrationState, after: MigrationState): void {
    const wanted = after.pending?.record.epoch ?? after.inEffect?.record.epoch ?? null;
    if (wanted !== this.#wantedEpoch) {
      if (this.#wantedEpoch !== null) this.#endedAtMs.set(this.#wantedEpoch, this.nowMs());
      // What was tried in vain leaves the routing before it wanted again.
      if (wanted !== null) this.#endedAtMs.delete(wanted);
      this.#wantedEpoch = wanted;
    }
    const lowered = before.pending?.direction === 'lower';
    for (const entry of after.checkpoints.slice(before.checkpoints.length)) {
      if (entry.kind !== 'took effect' || entry.missing.length > 0) continue;
      this.#isBaselined = true;
      this.#verified = { epoch: entry.epoch, share: entry.share, lowered, inMemory: entry.undurable ?? [] };
    }
    this.#outcome = after.outcome;
  }

  /** Temporal answered that an activity may grant leases. */
  standingGranted(): void {
    this.#standingAtMs = this.nowMs();
  }

  killed(gateway: string, heldEpoch: number): void {
    this.#killed.set(gateway, Math.max(heldEpoch, this.#killed.get(gateway) ?? 0));
  }

  diskLost(gateway: string): void {
    this.#killed.delete(gateway);
  }

  /** A gateway sends a request to the candidate: may it? */
  dispatched({ gateway, record, drawnUnder, isMember, atMs }: Dispatch): void {
    this.dispatches += 1;
    if (record === null || !this.#isBaselined) return;
    const what = `${gateway} serves ${record.share} under epoch ${record.epoch}`;
    const killed = this.#killed.get(gateway);
    if (killed !== undefined && record.epoch <= killed) {
      this.#breaks(`law 9: ${what}, which its kill switch withdrew`);
    }
    if (record.only !== undefined && !isMember) this.#breaks(`cohort: ${what} to a caller outside of it`);
    if (this.#verified !== null) {
      const { epoch, share, lowered, inMemory } = this.#verified;
      // The checkpoint says of a raise who holds it in memory only: a restart there forgets it.
      const mayForget = !lowered && inMemory.includes(gateway);
      // After a raise what was drawn before it may still be sent: it would be drawn again.
      if (!mayForget && (record.epoch < epoch || (lowered && drawnUnder < epoch))) {
        this.#breaks(
          `law 1: ${what}, drawn under ${drawnUnder}, though share ${share} of epoch ${epoch} is verified`,
        );
      }
    }
    if (this.#outcome === 'rolled back' || this.#outcome === 'rejected') {
      this.#breaks(`law 10: ${what} after the migration was ${this.#outcome}`);
    }
    if (record.pinned) return;
    const leaseMs = record.leaseMs * FENCE;
    const endedMs = this.#endedAtMs.get(record.epoch);
    if (endedMs !== undefined && atMs > endedMs + leaseMs) {
      this.#breaks(`law 1: ${what}, ${atMs - endedMs} ms after the workflow wanted something else`);
    }
    if (atMs > this.#standingAtMs + leaseMs) {
      this.#breaks(`dead man's switch: ${what}, ${atMs - this.#standingAtMs} ms after the last standing`);
    }
  }

  /** A gateway begins to hold a record: epochs only rise. */
  took(gateway: string, before: RoutingRecord | null, record: RoutingRecord): void {
    if (before !== null && record.epoch <= before.epoch) {
      this.#breaks(`law 5: ${gateway} takes epoch ${record.epoch} after ${before.epoch}`);
    }
  }

  breaks(law: string): void {
    this.#breaks(law);
  }

  #breaks(law: string): void {
    this.#breaches.push(law);
  }
}
