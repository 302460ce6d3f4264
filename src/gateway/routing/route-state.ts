import { sameCohort } from '../../core/routing/cohort';
import type {
  GatewayStatus,
  KillLatch,
  PushAccepted,
  PushRequest,
  RenewRequest,
  RoutingRecord,
} from '../../core/routing/routing';
import { KeyObserver } from '../evidence/key-statistics';
import { ArmDraw, type CountedDraws } from './arm-draw';
import { ConversationTable } from './conversation-table';
import { DurableState, type StateKeeper } from './durable-state';
import { decidePush, decideRenewal, type GatewayFacts, type PushRefusal } from './push-decision';
import type { StoredState } from './record-file';
import { isInDoubt, QUIET_S, type Restart } from './restart-trust';
import {
  type InFlightEnd,
  type RouteDefaults,
  type RoutingInForce,
  RUNS_ON,
  ServedRoute,
} from './served-route';

export interface RouteStateOptions {
  readonly gateway: string;
  readonly route: string;
  /** One for each start of the gateway, shared by its routes and evidence. */
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
  /** How far what the disk holds can be believed; all of it when absent. */
  readonly restart?: Restart;
  /** How long an answer waits for the disk. */
  readonly diskPatienceMs?: number;
  /** Called with each change in the moment that it acts here, for the processes that serve the route as well. */
  readonly announce?: (inForce: RoutingInForce, inFlight: InFlightEnd) => void;
}

/**
 * One route's routing in one gateway, where it is decided: takes records, renewals and the kill switch, keeps
 * them on the disk, and serves by them.
 */
export class RouteState extends ServedRoute {
  readonly #options: RouteStateOptions;
  readonly #draws: ArmDraw;
  readonly #keys: KeyObserver;
  readonly #state: DurableState;
  #raises: Promise<unknown> = Promise.resolve();
  #granted = false;
  #quietS = 0;
  #quietTimer: NodeJS.Timeout | null = null;

  constructor(options: RouteStateOptions) {
    const { now } = options;
    const state = new DurableState({
      keeper: options.keeper,
      route: options.route,
      warn: options.warn,
      patienceMs: options.diskPatienceMs ?? 1_000,
    });
    const keys = new KeyObserver(now);
    const draws = new ArmDraw(keys, new ConversationTable());
    super({ ...options, startedAtMs: now() }, draws, {
      stored: state.current,
      leaseEndsAtMs: 0,
      floorEpoch: 0,
      lowered: false,
      unconfirmed: isInDoubt(options.restart, state.current),
    });
    this.#options = options;
    this.#draws = draws;
    this.#keys = keys;
    this.#state = state;
    if (this.inForce.unconfirmed && options.restart === 'recent') this.#serveWhenQuiet();
  }

  /** Whether the disk holds all that was taken here. */
  get durable(): boolean {
    return this.#state.durable;
  }

  /** Learns whether the disk would keep a record before one comes, and again from time to time. */
  watchDisk(): Promise<void> {
    return this.#state.watchDisk();
  }

  /** A worker that holds a migration asks: whether a record in doubt is good is for it to say. */
  heardController(): void {
    this.#quietS = 0;
  }

  /** Takes a record by compare-and-set; a raise acts once it is on the disk, a lowering acts at once. */
  async push(request: PushRequest): Promise<PushAccepted | PushRefusal> {
    const decision = decidePush(request, this.#facts());
    switch (decision.kind) {
      case 'refused':
        return decision.refusal;
      case 'raise':
        return this.#inTurn(() => this.#raise(request));
      case 'lower':
        this.#lower(request);
        await this.#state.keep();
        return this.#accepted();
      case 'same': {
        const cut = request.inFlight === 'cut' && this.inForce.lowered ? 'older' : 'none';
        const leaseEndsAtMs = this.#leaseEnd(request.record, request.asOfMs);
        this.#confirm({ leaseEndsAtMs }, { cut, drain: false });
        if (!this.#state.durable) await this.#state.keep();
        return this.#accepted();
      }
    }
  }

  renew(request: RenewRequest): GatewayStatus | PushRefusal {
    const refused = decideRenewal(request, this.#facts());
    if (refused !== null) return refused.refusal;
    const { record } = this.#state.current;
    if (record !== null) this.#confirm({ leaseEndsAtMs: this.#leaseEnd(record, request.asOfMs) });
    return this.status();
  }

  /** Share 0 at once, latched; the held record is withdrawn for good. The first latch stays. */
  async kill(latch: KillLatch): Promise<GatewayStatus> {
    const { current } = this.#state;
    if (current.kill === null) {
      const stored = { ...current, kill: latch, withdrawn: current.record !== null };
      this.#state.change(stored);
      this.#act({ stored, leaseEndsAtMs: 0 }, { cut: 'all', drain: true });
    }
    await this.#state.keep();
    return this.status();
  }

  /** Clears the latch; the route then obeys `settled` until a newer record is pushed. */
  async clearKill(): Promise<GatewayStatus> {
    const stored = { ...this.#state.current, kill: null };
    this.#state.change(stored);
    this.#act({ stored });
    await this.#state.keep();
    return this.status();
  }

  status(): GatewayStatus {
    const { gateway, route, incarnation, defaults } = this.#options;
    const { record, highestEpoch, kill, withdrawn } = this.#state.current;
    const older = this.countOlder();
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
      leaseRemainingMs: record?.pinned === true ? null : Math.max(0, this.inForce.leaseEndsAtMs - asOfMs),
      effectiveShare: this.effectiveShare(),
      unsentOlder: older.unsent,
      inFlightOlder: older.inFlight,
      ready: this.isReady(),
      servingForMs: this.servingForMs,
      durable: this.#state.durable,
      ...(this.inForce.unconfirmed ? { unconfirmed: true } : {}),
      ...(this.#granted ? {} : this.#restartSaid()),
      assigned: this.#draws.assigned,
      keys: this.#keys.read(),
    };
  }

  /** Adds draws that another process of this gateway has made; those of an older epoch only count as keys. */
  addDraws({ epoch, assigned, keys, openings, low, total }: CountedDraws): void {
    this.#keys.addKeys(keys);
    this.#keys.addOpenings(openings);
    if (epoch !== this.epoch) return;
    this.#draws.add(assigned);
    this.#keys.addSaltCheck(low, total);
  }

  /** Stops the timers of this route. */
  override close(): void {
    super.close();
    if (this.#quietTimer !== null) clearInterval(this.#quietTimer);
    this.#state.close();
  }

  /** Raises wait for the disk one after the other; a lowering or a kill never waits for a raise. */
  #inTurn<Result>(raise: () => Promise<Result>): Promise<Result> {
    const turn = this.#raises.then(raise);
    this.#raises = turn;
    return turn;
  }

  async #raise(request: PushRequest): Promise<PushAccepted | PushRefusal> {
    const { record } = request;
    const before = decidePush(request, this.#facts());
    if (before.kind !== 'raise') return before.kind === 'refused' ? before.refusal : this.push(request);
    const held = this.#state.current.record;
    const next = this.#stateWith(record);
    const kept = await this.#state.keepFirst(next, () => {
      const floorEpoch = keepsDraws(held, record) ? this.inForce.floorEpoch : record.epoch;
      const leaseEndsAtMs = this.#leaseEnd(record, request.asOfMs, 0);
      this.#confirm({ stored: next, floorEpoch, lowered: false, leaseEndsAtMs });
    });
    if (kept) return this.#accepted();
    const after = decidePush(request, this.#facts());
    if (after.kind === 'refused') return after.refusal;
    return {
      code: 'not durable',
      message: `expected the disk to keep epoch ${record.epoch} before it is served, but it did not; the gateway's log has the reason`,
    };
  }

  #lower({ record, asOfMs, inFlight }: PushRequest): void {
    const stored = this.#stateWith(record);
    this.#state.change(stored);
    const leaseEndsAtMs = this.#leaseEnd(record, asOfMs, 0);
    this.#confirm(
      { stored, floorEpoch: record.epoch, lowered: true, leaseEndsAtMs },
      { cut: inFlight === 'cut' ? 'older' : 'none', drain: true },
    );
  }

  /** Takes what somebody with a say has pushed or renewed: whatever a restart left in doubt is settled by it. */
  #confirm(change: Partial<RoutingInForce>, inFlight: InFlightEnd = RUNS_ON): void {
    this.#granted = true;
    this.#act({ ...change, unconfirmed: false }, inFlight);
  }

  /**
   * Serves a record in doubt after all once nobody who holds a migration has asked for a minute: Temporal or the workers
   * are away, and complete stays where it is. Counted in seconds that this process ran: one that was stopped and
   * continued hears first who asked meanwhile.
   */
  #serveWhenQuiet(): void {
    this.#quietTimer = setInterval(() => {
      this.#quietS += 1;
      const { record } = this.#state.current;
      if (!this.inForce.unconfirmed) this.#quietS = 0;
      else if (this.#quietS >= QUIET_S) {
        this.#options.warn(
          `Route ${this.#options.route} serves epoch ${record?.epoch} from its saved record: no worker has asked for ${QUIET_S} s since the restart`,
        );
        this.#act({ unconfirmed: false });
      }
      if (!this.inForce.unconfirmed && this.#quietTimer !== null) clearInterval(this.#quietTimer);
    }, 1_000);
    this.#quietTimer.unref();
  }

  #restartSaid(): Pick<GatewayStatus, 'restart'> {
    const { restart } = this.#options;
    if (restart === undefined || this.#state.current.record === null) return {};
    return { restart: restart === 'stopped' ? 'in order' : 'crashed' };
  }

  #act(change: Partial<RoutingInForce>, inFlight: InFlightEnd = RUNS_ON): void {
    this.follow({ ...this.inForce, ...change }, inFlight);
    this.#options.announce?.(this.inForce, inFlight);
  }

  #stateWith(record: RoutingRecord): StoredState {
    return { ...this.#state.current, highestEpoch: record.epoch, record, withdrawn: false };
  }

  /** When the lease ends after a grant; a grant never shortens what runs already (`before`). */
  #leaseEnd({ leaseMs }: RoutingRecord, asOfMs: number, before = this.inForce.leaseEndsAtMs): number {
    return Math.max(before, Math.min(asOfMs, this.#options.now()) + leaseMs);
  }

  #accepted(): PushAccepted {
    const status = this.status();
    return {
      confirmed: !this.inForce.lowered || status.unsentOlder === 0,
      durable: this.#state.durable,
      status,
    };
  }

  #facts(): GatewayFacts {
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
    // Members of a cohort are drawn like everybody else by the next record, or not at all.
    (held.only === undefined || sameCohort(held.only, next.only)) &&
    held.shadow <= next.shadow
  );
}
