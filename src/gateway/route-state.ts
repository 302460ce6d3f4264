import { assignmentDigest, digestBucket, digestPosition } from '../core/assignment';
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
import { type CandidatePermit, CandidatePermits, type PermitPurpose } from './candidate-permits';
import { ConversationTable } from './conversation-table';
import { KeyObserver } from './key-statistics';
import { decidePush, decideRenewal, type Refusal, type Standing } from './push-decision';
import type { LoadedState, StoredState } from './record-file';

/** The arm that a randomised request was drawn into. */
export interface Assignment {
  readonly side: Side;
  readonly epoch: number;
  /** 0 to 255 when the request has a key, else null. */
  readonly bucket: number | null;
  /**
   * False when a conversation's past decided instead of the draw (`newConversationsOnly`): such a request
   * belongs to no arm and is no evidence.
   */
  readonly randomised: boolean;
}

/** Where a route's state is kept over a restart. */
export interface StateKeeper {
  load(): LoadedState;
  save(state: StoredState): Promise<void>;
}

/** What a route's configuration says for as long as no record says otherwise. */
export interface RouteDefaults {
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

const NOTHING_STORED: StoredState = { highestEpoch: 0, record: null, kill: null, withdrawn: false };

const RETRY_SAVE_MS = 1_000;

/**
 * One route's routing in one gateway: record, epoch, lease and kill latch, and the draw that follows them.
 * Whether the candidate may be served is compared with the clock at every draw and send, never by a timer:
 * a process that was stopped and continued serves nothing stale.
 */
export class RouteState {
  readonly #options: RouteStateOptions;
  readonly #permits = new CandidatePermits((epoch, purpose) => this.#allows(epoch, purpose));
  readonly #conversations = new ConversationTable();
  readonly #keys: KeyObserver;
  readonly #startedAtMs: number;
  #stored: StoredState;
  #leaseEndsAtMs = 0;
  /** Draws of older epochs may no longer be sent. */
  #floorEpoch = 0;
  #lowered = false;
  #durable = true;
  #assigned: Record<Side, number> = { legacy: 0, candidate: 0 };
  #drainTimers = new Set<NodeJS.Timeout>();
  #retryTimer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: RouteStateOptions) {
    this.#options = options;
    this.#startedAtMs = options.now();
    this.#keys = new KeyObserver(options.now);
    const loaded = options.keeper.load();
    if (loaded.kind === 'damaged') options.warn(loaded.message);
    this.#stored = loaded.kind === 'sound' ? loaded.state : NOTHING_STORED;
  }

  /** The epoch that new draws belong to; 0 without a record. */
  get epoch(): number {
    return this.#stored.record?.epoch ?? 0;
  }

  get stickyKey(): StickyKey {
    return this.#stored.record?.stickyKey ?? this.#options.defaults.stickyKey;
  }

  /** The candidate's part of the randomised traffic at this moment, after latch, lease and restart rules. */
  effectiveShare(): number {
    const { record, kill, withdrawn } = this.#stored;
    if (kill !== null) return 0;
    if (record === null || withdrawn) return this.#options.defaults.settled === 'candidate' ? 1 : 0;
    return this.#served(record) ? record.share : 0;
  }

  /** The fraction of legacy's requests to copy to the candidate at this moment. */
  effectiveShadow(): number {
    const { record, kill, withdrawn } = this.#stored;
    if (kill !== null || withdrawn) return 0;
    if (record === null) return this.#options.defaults.shadow;
    return this.#served(record) ? record.shadow : 0;
  }

  /** Who serves what is never split (embeddings): the candidate only once the route is completely there. */
  wholeSide(): Side {
    const { record, withdrawn } = this.#stored;
    const complete = record === null || withdrawn || record.pinned;
    return complete && this.effectiveShare() === 1 ? 'candidate' : 'legacy';
  }

  /**
   * Draws a randomised request into an arm. `key` is null when the route is not sticky or the request bears
   * no key; then `randomId` decides. `continued` says that it carries assistant turns.
   */
  draw(key: string | null, randomId: string, continued = false): Assignment {
    const digest = assignmentDigest(this.#stored.record?.salt ?? OBSERVATION_SALT, key ?? randomId);
    const position = digestPosition(digest);
    this.#keys.observe(key, position);
    const share = this.effectiveShare();
    const epoch = this.epoch;
    const drawn: Side = position < share ? 'candidate' : 'legacy';
    const bucket = key === null ? null : digestBucket(digest);
    const assignment = this.#newConversationsOnly
      ? this.#keepConversation(key, continued, share, { side: drawn, epoch, bucket, randomised: true })
      : { side: drawn, epoch, bucket, randomised: true };
    if (assignment.randomised) this.#assigned[assignment.side] += 1;
    return assignment;
  }

  /** Registers an attempt that is not sent yet; every permit must be closed in the end. */
  permit(epoch: number, purpose: PermitPurpose = 'live'): CandidatePermit {
    return this.#permits.open(epoch, purpose);
  }

  /** Takes a record by compare-and-set; a raise acts once it is on the disk, a lowering acts at once. */
  async push(request: PushRequest): Promise<PushAccepted | Refusal> {
    const decision = decidePush(request, this.#standing());
    if (decision.kind === 'refused') return decision.refusal;
    if (decision.kind === 'raise') return this.#raise(request);
    if (decision.kind === 'lower') this.#take(request, true);
    this.#extendLease(request.record.leaseMs, request.asOfMs);
    if (decision.kind === 'lower' || !this.#durable) await this.#persist();
    return this.#accepted();
  }

  renew(request: RenewRequest): GatewayStatus | Refusal {
    const refused = decideRenewal(request, this.#standing());
    if (refused !== null) return refused.refusal;
    const { record } = this.#stored;
    if (record !== null) this.#extendLease(record.leaseMs, request.asOfMs);
    return this.status();
  }

  /** Share 0 at once, latched; the held record is withdrawn for good. The first latch stays. */
  async kill(latch: KillLatch): Promise<GatewayStatus> {
    if (this.#stored.kill === null) {
      const uncommitted = this.#permits.snapshot();
      this.#stored = { ...this.#stored, kill: latch, withdrawn: this.#stored.record !== null };
      this.#leaseEndsAtMs = 0;
      this.#permits.withdrawUnsendable();
      for (const permit of uncommitted) if (permit.sent) permit.cut('emergency');
      this.#cutAfterDrain(uncommitted);
    }
    await this.#persist();
    return this.status();
  }

  /** Clears the latch; the route then obeys `settled` until a newer record is pushed. */
  async clearKill(): Promise<GatewayStatus> {
    this.#stored = { ...this.#stored, kill: null };
    await this.#persist();
    return this.status();
  }

  status(): GatewayStatus {
    const { gateway, route, incarnation, defaults, now } = this.#options;
    const { record, highestEpoch, kill } = this.#stored;
    const older = this.#permits.countOlder(this.epoch);
    const asOfMs = now();
    return {
      gateway,
      route,
      incarnation,
      asOfMs,
      settled: defaults.settled,
      record,
      highestEpoch,
      kill,
      leaseRemainingMs: record?.pinned === true ? null : Math.max(0, this.#leaseEndsAtMs - asOfMs),
      effectiveShare: this.effectiveShare(),
      unsentOlder: older.unsent,
      inFlightOlder: older.inFlight,
      ready: this.isReady(),
      durable: this.#durable,
      assigned: { ...this.#assigned },
      keys: this.#keys.read(),
    };
  }

  /** Not before it has a record, or has waited for one long enough. */
  isReady(): boolean {
    if (this.#stored.record !== null) return true;
    return this.#options.now() - this.#startedAtMs >= (this.#options.readyAfterMs ?? 60_000);
  }

  /** Cuts every open attempt: the end of a graceful stop. */
  cutAll(): void {
    for (const permit of this.#permits.snapshot()) permit.cut('drained');
  }

  /** Stops the timers of this route. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#drainTimers) clearTimeout(timer);
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
  }

  async #raise(request: PushRequest): Promise<PushAccepted | Refusal> {
    const { record } = request;
    const saved = await this.#save({ ...this.#stored, highestEpoch: record.epoch, record, withdrawn: false });
    const decision = decidePush(request, this.#standing());
    if (!saved || decision.kind === 'refused') {
      void this.#persist();
      if (decision.kind === 'refused') return decision.refusal;
      return {
        code: 'not durable',
        message: `expected the disk to keep epoch ${record.epoch} before it is served, but it did not; see the gateway's log`,
      };
    }
    if (decision.kind !== 'same') this.#take(request, false);
    this.#durable = true;
    this.#extendLease(record.leaseMs, request.asOfMs);
    return this.#accepted();
  }

  #take({ record, inFlight }: PushRequest, lowers: boolean): void {
    const before = this.#stored.record;
    const open = this.#permits.snapshot();
    const keepsOlderDraws =
      !lowers &&
      before !== null &&
      before.salt === record.salt &&
      before.share <= record.share &&
      before.shadow <= record.shadow;
    if (before?.salt !== record.salt) this.#keys.restartSaltCheck();
    this.#stored = { ...this.#stored, highestEpoch: record.epoch, record, withdrawn: false };
    this.#leaseEndsAtMs = 0;
    this.#assigned = { legacy: 0, candidate: 0 };
    this.#lowered = lowers;
    if (keepsOlderDraws) return;
    this.#floorEpoch = record.epoch;
    this.#permits.withdrawUnsendable();
    if (!lowers) return;
    if (inFlight === 'cut') for (const permit of open) if (permit.sent) permit.cut('emergency');
    this.#cutAfterDrain(open);
  }

  #extendLease(leaseMs: number, asOfMs: number): void {
    this.#leaseEndsAtMs = Math.max(this.#leaseEndsAtMs, asOfMs + leaseMs);
  }

  #cutAfterDrain(open: readonly { cut(cause: 'drained'): void }[]): void {
    if (open.length === 0) return;
    const timer = setTimeout(() => {
      this.#drainTimers.delete(timer);
      for (const permit of open) permit.cut('drained');
    }, this.#options.drainMs);
    timer.unref();
    this.#drainTimers.add(timer);
  }

  #accepted(): PushAccepted {
    const status = this.status();
    return { confirmed: !this.#lowered || status.unsentOlder === 0, durable: this.#durable, status };
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
      stored: this.#stored,
      effectiveShare: this.effectiveShare(),
      effectiveShadow: this.effectiveShadow(),
    };
  }

  get #newConversationsOnly(): boolean {
    return this.#stored.record?.newConversationsOnly ?? this.#options.defaults.newConversationsOnly;
  }

  /**
   * A conversation that began under the current epoch counts in its arm, on both sides alike; an older one
   * stays where it is and counts nowhere, or the arms would differ in how many long conversations they hold.
   */
  #keepConversation(key: string | null, continued: boolean, share: number, drawn: Assignment): Assignment {
    if (!continued) {
      if (key !== null) this.#conversations.begin(key, { side: drawn.side, epoch: drawn.epoch });
      return drawn;
    }
    const begun = key === null ? null : this.#conversations.find(key);
    const recorded = begun?.side ?? (share === 1 ? 'candidate' : 'legacy');
    const side = share === 0 ? 'legacy' : recorded;
    return { ...drawn, side, randomised: begun?.epoch === drawn.epoch && side === drawn.side };
  }

  /** Keeps what memory holds now; false when the disk refuses or is too slow, and then tries on. */
  async #persist(): Promise<boolean> {
    const saved = await this.#save(this.#stored);
    this.#durable = saved;
    if (!saved) this.#retryLater();
    return saved;
  }

  async #save(state: StoredState): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), this.#options.diskPatienceMs ?? 1_000);
    });
    const written = this.#options.keeper.save(state).then(
      () => true,
      (error: unknown) => {
        if (this.#durable) {
          this.#options.warn(`The routing record of route ${this.#options.route} cannot be kept: ${error}`);
        }
        return false;
      },
    );
    const saved = await Promise.race([written, patience]);
    clearTimeout(timer);
    return saved;
  }

  #retryLater(): void {
    if (this.#retryTimer !== null || this.#closed) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null;
      void this.#persist();
    }, RETRY_SAVE_MS);
    this.#retryTimer.unref();
  }
}
