import type {
  GatewayStatus,
  KillLatch,
  PushAccepted,
  PushRequest,
  RenewRequest,
  RoutingRecord,
  Side,
  StickyKey,
} from '../core/routing';
import { ArmDraw, type Assignment } from './arm-draw';
import { type CandidatePermit, CandidatePermits, type PermitPurpose } from './candidate-permits';
import { DurableState, type StateKeeper } from './durable-state';
import { decidePush, decideRenewal, type Refusal, type Standing } from './push-decision';
import type { StoredState } from './record-file';

/** What a route's configuration says for as long as no record says otherwise. */
interface RouteDefaults {
  readonly settled: Side;
  readonly stickyKey: StickyKey;
  readonly newConversationsOnly: boolean;
  readonly shadow: number;
}

export interface RouteStateOptions {
  readonly gateway: string;
  readonly route: string;
  /** One a process, shared by its routes and evidence. */
  readonly incarnation: string;
  readonly defaults: RouteDefaults;
  /** How long requests in flight run on after a lowering, before they are cut. */
  readonly drainMs: number;
  readonly keeper: StateKeeper;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
  /** Told once each: a damaged file, a disk that refuses; for the log. */
  readonly warn: (message: string) => void;
  /** How long a route without a record waits for one before it is ready all the same. */
  readonly readyAfterMs?: number;
  /** How long an answer waits for the disk. */
  readonly diskPatienceMs?: number;
}

/** Salt of the draws of a route without a record: they split nothing and only observe. */
const OBSERVATION_SALT = 'observation';

/**
 * One route's routing in one gateway: record, epoch, lease and kill latch, and the draw that follows them.
 * Whether the candidate may be served is compared with the clock at every draw and send, never by a timer:
 * a process that was stopped and continued serves nothing stale.
 */
export class RouteState {
  readonly #options: RouteStateOptions;
  readonly #permits = new CandidatePermits((epoch, purpose) => this.#allows(epoch, purpose));
  readonly #draws: ArmDraw;
  readonly #state: DurableState;
  readonly #startedAtMs: number;
  #leaseEndsAtMs = 0;
  /** Draws of older epochs may no longer be sent. */
  #floorEpoch = 0;
  #lowered = false;
  #raises: Promise<unknown> = Promise.resolve();

  constructor(options: RouteStateOptions) {
    this.#options = options;
    this.#startedAtMs = options.now();
    this.#draws = new ArmDraw(options.now);
    this.#state = new DurableState({
      keeper: options.keeper,
      route: options.route,
      warn: options.warn,
      patienceMs: options.diskPatienceMs ?? 1_000,
    });
  }

  /** The epoch that new draws belong to; 0 without a record. */
  get epoch(): number {
    return this.#state.current.record?.epoch ?? 0;
  }

  get stickyKey(): StickyKey {
    return this.#state.current.record?.stickyKey ?? this.#options.defaults.stickyKey;
  }

  /** The candidate's part of the randomised traffic at this moment, after latch, lease and restart rules. */
  effectiveShare(): number {
    const { record, kill, withdrawn } = this.#state.current;
    if (kill !== null) return 0;
    if (record === null || withdrawn) return this.#options.defaults.settled === 'candidate' ? 1 : 0;
    return this.#served(record) ? record.share : 0;
  }

  /** The fraction of legacy's requests to copy to the candidate at this moment. */
  effectiveShadow(): number {
    const { record, kill, withdrawn } = this.#state.current;
    if (kill !== null || withdrawn) return 0;
    if (record === null) return this.#options.defaults.shadow;
    return this.#served(record) ? record.shadow : 0;
  }

  /** Who serves what is never split (embeddings): the candidate only once the route is completely there. */
  wholeSide(): Side {
    const { record, withdrawn } = this.#state.current;
    const complete = record === null || withdrawn || record.pinned;
    return complete && this.effectiveShare() === 1 ? 'candidate' : 'legacy';
  }

  /**
   * Draws a randomised request into an arm. `key` is null when the route is not sticky or the request bears
   * no key; then `randomId` decides. `continued` says that it carries assistant turns.
   */
  draw(key: string | null, randomId: string, continued = false): Assignment {
    const { record } = this.#state.current;
    const rules = {
      salt: record?.salt ?? OBSERVATION_SALT,
      epoch: this.epoch,
      share: this.effectiveShare(),
      newConversationsOnly: record?.newConversationsOnly ?? this.#options.defaults.newConversationsOnly,
    };
    return this.#draws.draw(rules, { key, randomId, continued });
  }

  /** Registers an attempt that is not sent yet; every permit must be closed in the end. */
  permit(epoch: number, purpose: PermitPurpose = 'live'): CandidatePermit {
    return this.#permits.open(epoch, purpose);
  }

  /** Takes a record by compare-and-set; a raise acts once it is on the disk, a lowering acts at once. */
  async push(request: PushRequest): Promise<PushAccepted | Refusal> {
    const decision = decidePush(request, this.#standing());
    switch (decision.kind) {
      case 'refused':
        return decision.refusal;
      case 'raise':
        return this.#inTurn(() => this.#raise(request));
      case 'lower':
        this.#lower(request);
        await this.#state.keep();
        return this.#accepted();
      case 'same':
        this.#extendLease(request.record.leaseMs, request.asOfMs);
        if (request.inFlight === 'cut' && this.#lowered) this.#cutOlder();
        if (!this.#state.durable) await this.#state.keep();
        return this.#accepted();
    }
  }

  renew(request: RenewRequest): GatewayStatus | Refusal {
    const refused = decideRenewal(request, this.#standing());
    if (refused !== null) return refused.refusal;
    const { record } = this.#state.current;
    if (record !== null) this.#extendLease(record.leaseMs, request.asOfMs);
    return this.status();
  }

  /** Share 0 at once, latched; the held record is withdrawn for good. The first latch stays. */
  async kill(latch: KillLatch): Promise<GatewayStatus> {
    const { current } = this.#state;
    if (current.kill === null) {
      this.#state.change({ ...current, kill: latch, withdrawn: current.record !== null });
      this.#leaseEndsAtMs = 0;
      this.#permits.withdrawUnsendable();
      this.#permits.cutInFlight(Number.POSITIVE_INFINITY, 'emergency');
      this.#permits.cutLater(this.#options.drainMs);
    }
    await this.#state.keep();
    return this.status();
  }

  /** Clears the latch; the route then obeys `settled` until a newer record is pushed. */
  async clearKill(): Promise<GatewayStatus> {
    this.#state.change({ ...this.#state.current, kill: null });
    await this.#state.keep();
    return this.status();
  }

  status(): GatewayStatus {
    const { gateway, route, incarnation, defaults } = this.#options;
    const { record, highestEpoch, kill, withdrawn } = this.#state.current;
    const older = this.#permits.countOlder(this.epoch);
    const asOfMs = this.#options.now();
    return {
      gateway,
      route,
      incarnation,
      asOfMs,
      settled: defaults.settled,
      record,
      highestEpoch,
      kill,
      withdrawn,
      leaseRemainingMs: record?.pinned === true ? null : Math.max(0, this.#leaseEndsAtMs - asOfMs),
      effectiveShare: this.effectiveShare(),
      unsentOlder: older.unsent,
      inFlightOlder: older.inFlight,
      ready: this.isReady(),
      durable: this.#state.durable,
      assigned: this.#draws.assigned,
      keys: this.#draws.keyStatistics,
    };
  }

  /** Not before it holds a record, or has waited for one long enough. */
  isReady(): boolean {
    if (this.#state.current.record !== null) return true;
    return this.#options.now() - this.#startedAtMs >= (this.#options.readyAfterMs ?? 60_000);
  }

  /** Cuts every open attempt: the end of a graceful stop. */
  cutAll(): void {
    this.#permits.cutAll();
  }

  /** Stops the timers of this route. */
  close(): void {
    this.#permits.close();
    this.#state.close();
  }

  /** Raises wait for the disk one after the other; a lowering or a kill never waits for a raise. */
  #inTurn<Result>(raise: () => Promise<Result>): Promise<Result> {
    const turn = this.#raises.then(raise);
    this.#raises = turn;
    return turn;
  }

  async #raise(request: PushRequest): Promise<PushAccepted | Refusal> {
    const { record } = request;
    const before = decidePush(request, this.#standing());
    if (before.kind !== 'raise') return before.kind === 'refused' ? before.refusal : this.push(request);
    const held = this.#state.current.record;
    const kept = await this.#state.keepFirst(this.#stateWith(record), () => {
      this.#begin(record, held, keepsDraws(held, record));
      this.#lowered = false;
      this.#extendLease(record.leaseMs, request.asOfMs);
    });
    if (kept) return this.#accepted();
    const after = decidePush(request, this.#standing());
    if (after.kind === 'refused') return after.refusal;
    return {
      code: 'not durable',
      message: `expected the disk to keep epoch ${record.epoch} before it is served, but it did not; the gateway's log has the reason`,
    };
  }

  #lower({ record, asOfMs, inFlight }: PushRequest): void {
    const held = this.#state.current.record;
    this.#state.change(this.#stateWith(record));
    this.#begin(record, held, false);
    this.#lowered = true;
    this.#extendLease(record.leaseMs, asOfMs);
    if (inFlight === 'cut') this.#cutOlder();
    this.#permits.cutLater(this.#options.drainMs);
  }

  #begin(record: RoutingRecord, held: RoutingRecord | null, keepsOlderDraws: boolean): void {
    this.#leaseEndsAtMs = 0;
    this.#draws.restart(held?.salt !== record.salt);
    if (keepsOlderDraws) return;
    this.#floorEpoch = record.epoch;
    this.#permits.withdrawUnsendable();
  }

  #stateWith(record: RoutingRecord): StoredState {
    return { ...this.#state.current, highestEpoch: record.epoch, record, withdrawn: false };
  }

  #extendLease(leaseMs: number, asOfMs: number): void {
    const grantedAtMs = Math.min(asOfMs, this.#options.now());
    this.#leaseEndsAtMs = Math.max(this.#leaseEndsAtMs, grantedAtMs + leaseMs);
  }

  #cutOlder(): void {
    this.#permits.cutInFlight(this.epoch, 'emergency');
  }

  #accepted(): PushAccepted {
    const status = this.status();
    return {
      confirmed: !this.#lowered || status.unsentOlder === 0,
      durable: this.#state.durable,
      status,
    };
  }

  #allows(epoch: number, purpose: PermitPurpose): boolean {
    if (epoch < this.#floorEpoch) return false;
    return (purpose === 'mirror' ? this.effectiveShadow() : this.effectiveShare()) > 0;
  }

  #served(record: RoutingRecord): boolean {
    return record.pinned || this.#options.now() < this.#leaseEndsAtMs;
  }

  #standing(): Standing {
    return {
      incarnation: this.#options.incarnation,
      nowMs: this.#options.now(),
      stored: this.#state.current,
      effectiveShare: this.effectiveShare(),
    };
  }
}

/** Whether every key that the held record sends to the candidate goes there under the next one too. */
function keepsDraws(held: RoutingRecord | null, next: RoutingRecord): boolean {
  return (
    held !== null &&
    held.salt === next.salt &&
    held.stickyKey === next.stickyKey &&
    held.share <= next.share &&
    held.shadow <= next.shadow
  );
}
