import { assignmentDigest, digestBucket, digestPosition } from '../../core/routing/assignment';
import type { Cohort } from '../../core/routing/cohort';
import type { JudgeOrder } from '../../core/routing/judge-order';
import type { Arm, StickyKey } from '../../core/routing/routing';
import type { OpeningUse } from '../evidence/key-statistics';
import type { ArmDraw, Assignment } from './arm-draw';
import { type CandidatePermit, CandidatePermits, type PermitPurpose } from './candidate-permits';
import type { StoredState } from './record-file';

/** What a route's configuration says for as long as no record says otherwise. */
export interface RouteDefaults {
  readonly settled: Arm;
  readonly stickyKey: StickyKey;
  readonly newConversationsOnly: boolean;
  readonly shadow: number;
}

/** The routing that a process serves a route by. */
export interface RoutingInForce {
  readonly stored: StoredState;
  /** On the gateway's monotonic clock, milliseconds. */
  readonly leaseEndsAtMs: number;
  /** Draws of older epochs may no longer be sent. */
  readonly floorEpoch: number;
  /** The last record was a lowering: it is confirmed once nothing of an older epoch is unsent. */
  readonly lowered: boolean;
  /** The record is what a restart found, and its withdrawal may have been missed: it is not served. */
  readonly unconfirmed: boolean;
}

/**
 * What happens to requests in flight at a change. `cut`: which of them end at once where they are not
 * committed. `drain`: what is open is cut once the drain time is over.
 */
export interface InFlightEnd {
  readonly cut: 'none' | 'older' | 'all';
  readonly drain: boolean;
}

export const RUNS_ON: InFlightEnd = { cut: 'none', drain: false };

export interface ServedRouteOptions {
  readonly defaults: RouteDefaults;
  /** How long requests in flight run on after a lowering, before they are cut. */
  readonly drainMs: number;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
  /** When the gateway started, on that clock. */
  readonly startedAtMs: number;
  /** How long a route without a record waits for one before it is ready all the same; 60 s when absent. */
  readonly readyAfterMs?: number;
}

/** Salt of the draws of a route without a record: they split nothing and only observe. */
const OBSERVATION_SALT = 'observation';

/**
 * One route's routing as one process serves it: the draw into an arm, and the permits towards the candidate.
 * Whether the candidate may be served is compared with the clock at every draw and send, never by a timer:
 * a process that was stopped and continued serves nothing stale.
 */
export class ServedRoute {
  readonly #options: ServedRouteOptions;
  readonly #permits = new CandidatePermits((epoch, purpose) => this.#allows(epoch, purpose));
  readonly #draws: ArmDraw;
  #inForce: RoutingInForce;

  constructor(options: ServedRouteOptions, draws: ArmDraw, inForce: RoutingInForce) {
    this.#options = options;
    this.#draws = draws;
    this.#inForce = inForce;
  }

  get inForce(): RoutingInForce {
    return this.#inForce;
  }

  /** The epoch that new draws belong to; 0 without a record. */
  get epoch(): number {
    return this.#inForce.stored.record?.epoch ?? 0;
  }

  get stickyKey(): StickyKey {
    return this.#inForce.stored.record?.stickyKey ?? this.#options.defaults.stickyKey;
  }

  /** Takes a change of the routing: all at once, so that no request sees half of it. */
  follow(next: RoutingInForce, inFlight: InFlightEnd = RUNS_ON): void {
    const held = this.#inForce.stored.record;
    const { record } = next.stored;
    this.#inForce = next;
    if (record !== null && record.epoch !== held?.epoch) this.#draws.restart(held?.salt !== record.salt);
    this.#permits.withdrawUnsendable();
    if (inFlight.cut !== 'none') {
      this.#permits.cutInFlight(inFlight.cut === 'all' ? Number.POSITIVE_INFINITY : this.epoch, 'emergency');
    }
    if (inFlight.drain) this.#permits.cutLater(this.#options.drainMs);
  }

  /** The candidate's part of the randomised traffic at this moment, after latch, lease and restart rules. */
  effectiveShare(): number {
    const { record, kill, withdrawn } = this.#inForce.stored;
    if (kill !== null) return 0;
    if (record === null || withdrawn || this.#inForce.unconfirmed)
      return this.#options.defaults.settled === 'candidate' ? 1 : 0;
    return this.#isServed() ? record.share : 0;
  }

  /** The fraction of legacy's requests to copy to the candidate at this moment. */
  effectiveShadow(): number {
    const { record, kill, withdrawn } = this.#inForce.stored;
    if (kill !== null || withdrawn) return 0;
    if (record === null || this.#inForce.unconfirmed) return this.#options.defaults.shadow;
    return this.#isServed() ? record.shadow : 0;
  }

  /** What this gateway may spend on copies under the record, USD; null: nothing bounds it. */
  get shadowUsd(): number | null {
    return this.#inForce.stored.record?.shadowUsd ?? null;
  }

  /** Who is asked which answer of a pair is better at this moment; null: nobody. */
  get judge(): JudgeOrder | null {
    return this.effectiveShadow() === 0 ? null : (this.#inForce.stored.record?.judge ?? null);
  }

  /** Who serves what is never split (embeddings): the candidate only once the route is completely there. */
  wholeProvider(): Arm {
    const { record, withdrawn } = this.#inForce.stored;
    const complete = record === null || withdrawn || record.pinned;
    return complete && this.effectiveShare() === 1 ? 'candidate' : 'legacy';
  }

  /**
   * Draws a randomised request into an arm. `key` is null when the route is not sticky or the request bears
   * no key; then `randomId` decides. `continued` says that it carries assistant turns, `opening` whether the key is
   * that of the conversation's beginning. `isMember` says that it is of the cohort which alone is served.
   */
  draw(
    key: string | null,
    randomId: string,
    continued = false,
    opening: OpeningUse = 'unused',
    isMember = false,
  ): Assignment {
    const { record } = this.#inForce.stored;
    const isOfCohort = this.cohort !== null;
    const rules = {
      salt: record?.salt ?? OBSERVATION_SALT,
      epoch: this.epoch,
      // By the record of a cohort nobody else is served, not even by the smallest share.
      share: isOfCohort ? 0 : this.effectiveShare(),
      newConversationsOnly: this.keepsConversations,
    };
    const subject = { key, randomId, continued, opening };
    return isOfCohort && isMember
      ? this.#draws.assignMember(rules, subject)
      : this.#draws.draw(rules, subject);
  }

  /** Whom alone the candidate serves at this moment; null where it serves by share, or nobody. */
  get cohort(): Cohort | null {
    const { record } = this.#inForce.stored;
    return record?.only === undefined || this.effectiveShare() !== record.share ? null : record.only;
  }

  /** Whether draws are made at the record's own share: neither a lapsed lease nor a kill switch says otherwise. */
  get splitsAsAsked(): boolean {
    const { record } = this.#inForce.stored;
    return record !== null && this.effectiveShare() === record.share;
  }

  /** Whether a conversation's past decides where it is served. */
  get keepsConversations(): boolean {
    return this.#inForce.stored.record?.newConversationsOnly ?? this.#options.defaults.newConversationsOnly;
  }

  /** The arm of a key as the record draws it, counted nowhere; null while nothing is drawn at its share. */
  armOf(key: string): Pick<Assignment, 'epoch' | 'arm' | 'bucket'> | null {
    const { record } = this.#inForce.stored;
    if (record === null || record.only !== undefined || !this.splitsAsAsked) return null;
    const digest = assignmentDigest(record.salt, key);
    const arm = digestPosition(digest) < record.share ? 'candidate' : 'legacy';
    return { epoch: record.epoch, arm, bucket: digestBucket(digest) };
  }

  /** Registers an attempt that is not sent yet; every permit must be closed in the end. */
  permit(epoch: number, purpose: PermitPurpose = 'live'): CandidatePermit {
    return this.#permits.open(epoch, purpose);
  }

  /** Open attempts of epochs below the current one. */
  countOlder(): { readonly unsent: number; readonly inFlight: number } {
    return this.#permits.countOlder(this.epoch);
  }

  /** Not before it holds a record that is good, or has waited for one long enough. */
  isReady(): boolean {
    if (this.#inForce.stored.record !== null && !this.#inForce.unconfirmed) return true;
    return this.servingForMs >= (this.#options.readyAfterMs ?? 60_000);
  }

  /** Milliseconds since this route was opened: less than its process has run, which may have done other things first. */
  get servingForMs(): number {
    return this.#options.now() - this.#options.startedAtMs;
  }

  /** Cuts every open attempt: the end of a graceful stop. */
  cutAll(): void {
    this.#permits.cutAll();
  }

  /** Stops the timers of this route. */
  close(): void {
    this.#permits.close();
  }

  #allows(epoch: number, purpose: PermitPurpose): boolean {
    if (epoch < this.#inForce.floorEpoch) return false;
    return (purpose === 'mirror' ? this.effectiveShadow() : this.effectiveShare()) > 0;
  }

  #isServed(): boolean {
    const { stored, leaseEndsAtMs } = this.#inForce;
    return stored.record?.pinned === true || this.#options.now() < leaseEndsAtMs;
  }
}
