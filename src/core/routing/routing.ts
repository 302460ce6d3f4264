import { type Cohort, sameCohort } from './cohort';
import { type JudgeOrder, sameJudge } from './judge-order';

/**
 * What a gateway holds for one route, and what the worker and a gateway say to each other about it.
 * The rules are in docs/architecture.md; every number of milliseconds named `asOf` is a reading of the
 * gateway's own monotonic clock and means nothing elsewhere.
 */
export interface RoutingRecord {
  readonly migrationId: string;
  /** The plan's stage that this record serves, for people who read a gateway's status. */
  readonly stage: string;
  readonly epoch: number;
  /** The candidate's part of the randomised traffic, 0 to 1. */
  readonly share: number;
  readonly salt: string;
  /** Where the assignment key comes from, see `StickyKey`. */
  readonly stickyKey: StickyKey;
  readonly leaseMs: number;
  /** A pinned record needs no lease and restarts at its share. */
  readonly pinned: boolean;
  readonly newConversationsOnly: boolean;
  /** Fraction of legacy's requests that is copied to the candidate, 0 to 1. */
  readonly shadow: number;
  /** What one gateway may spend on copies under this epoch, USD; absent: as much as `shadow` asks for. */
  readonly shadowUsd?: number | undefined;
  /** Who is asked which answer of a pair is better; absent: nobody. */
  readonly judge?: JudgeOrder | undefined;
  /** Whom alone the candidate serves, whatever is drawn; absent: those whom the share draws. */
  readonly only?: Cohort | undefined;
}

/** `header:NAME` reads that header first; `body` reads the body's own identifiers; `none` is random a request. */
export type StickyKey = `header:${string}` | 'body' | 'none';

/** Why and since when a gateway's kill switch is set. */
export interface KillLatch {
  readonly by: string;
  readonly reason: string;
  /** Wall clock, ISO 8601, for people. */
  readonly at: string;
}

/** A reading of a gateway's monotonic clock, echoed by whoever grants a lease: a delayed grant is born old. */
export interface GatewayReading {
  readonly incarnation: string;
  readonly asOfMs: number;
}

/** One gateway's answer about one route. */
export interface GatewayStatus extends GatewayReading {
  readonly gateway: string;
  readonly route: string;
  readonly settled: Arm;
  readonly record: RoutingRecord | null;
  /** The highest epoch this gateway has ever held for the route; 0 when none. */
  readonly highestEpoch: number;
  readonly kill: KillLatch | null;
  /** True when a kill withdrew the held record: it is never served again, only a newer epoch is. */
  readonly withdrawn?: boolean;
  /** Milliseconds until the lease ends; 0 when lapsed or none; null for a pinned record. */
  readonly leaseRemainingMs: number | null;
  /** The share that is served at this moment, after kill latch, lease and restart rules. */
  readonly effectiveShare: number;
  /** Candidate attempts, retries and mirrors of older epochs that are not yet sent. */
  readonly unsentOlder: number;
  /** Candidate requests of older epochs that are in flight. */
  readonly inFlightOlder: number;
  readonly ready: boolean;
  /** Milliseconds since this gateway began to serve the route; absent from gateways of earlier releases. */
  readonly servingForMs?: number;
  /** Whether the disk holds what memory holds, and would take more; absent counts as true. */
  readonly durable?: boolean;
  /**
   * True after a restart that may have missed the withdrawal of its pinned record: it is not served before it is pushed
   * again. Absent otherwise.
   */
  readonly unconfirmed?: true;
  /** How the process before ended, for as long as this one was granted nothing. Absent then, and from older releases. */
  readonly restart?: 'in order' | 'crashed';
  /** Requests of the current epoch, by the arm as drawn. */
  readonly assigned: Readonly<Record<Arm, number>>;
  readonly keys: KeyStatistics;
}

/** How long a gateway has served its route, milliseconds; at most, for one of an earlier release, which only says what its clock reads. */
export function servingForMs({ servingForMs, asOfMs }: GatewayStatus): number {
  return servingForMs ?? asOfMs;
}

/** What the assignment keys of a route's traffic look like, over at most the last day. */
export interface KeyStatistics {
  /** Distinct keys seen, exact up to 10,000. */
  readonly distinct: number;
  /** The heaviest key's part of the keyed requests, 0 to 1. */
  readonly heaviestShare: number;
  readonly keyedRequests: number;
  /** Absent from gateways of earlier releases. */
  readonly openings?: OpeningCounts;
  /** Requests whose salted hash fell below one half, and all that were hashed: the A/A check of a salt. */
  readonly aaLow: number;
  readonly aaTotal: number;
}

/** Requests without a key of their callers whose conversation's beginning is known. */
export interface OpeningCounts {
  /** That beginning was their key; they are among the keyed requests. */
  readonly keyed: number;
  /** Too many callers share that beginning, so they were drawn one by one. */
  readonly shared: number;
}

/**
 * The two arms of a route, each named after its provider, so that it also says which of both serves or is asked. Gateways,
 * histories and metrics have called it `side` from the first release: what is recorded or sent keeps that name.
 */
export type Arm = 'legacy' | 'candidate';

/** Body of `PUT /admin/v1/routes/ROUTE`: compare-and-set on incarnation and epoch. */
export interface PushRequest {
  /** What the sender saw; `epoch` is the held record's, or the highest ever where there is no record. */
  readonly expected: { readonly incarnation: string; readonly epoch: number };
  readonly asOfMs: number;
  readonly record: RoutingRecord;
  /** `cut` ends in-flight candidate requests of older epochs at once where they are not committed (emergency). */
  readonly inFlight: 'drain' | 'cut';
}

/** Answer to a push that was taken. `confirmed` follows the rule for raising or lowering. */
export interface PushAccepted {
  readonly confirmed: boolean;
  /** False when memory has it and the disk refused: never a reason to refuse a lowering. */
  readonly durable: boolean;
  readonly status: GatewayStatus;
}

/** Body of `POST /admin/v1/routes/ROUTE/lease`. */
export interface RenewRequest extends GatewayReading {
  readonly epoch: number;
}

/** Why a gateway refused an admin call; answered with status 409 (or 401, 404, 400). */
export type AdminRefusal =
  | 'unauthorized'
  | 'unknown route'
  | 'bad request'
  | 'older epoch'
  | 'same epoch, other content'
  | 'incarnation changed'
  | 'epoch changed'
  | 'reading too old'
  | 'kill latch'
  | 'not durable'
  | 'unknown cursor';

/** Body of every refused admin call. */
export interface AdminError {
  readonly error: { readonly code: AdminRefusal; readonly message: string };
  readonly status?: GatewayStatus;
}

/** The highest epoch that a gateway has held; one of another release may say only which record it holds. */
export function highestEpochOf({ highestEpoch, record }: GatewayStatus): number {
  return highestOf(highestEpoch, record?.epoch);
}

/** The highest of the epochs that are said; 0 when none is. A field that another release leaves out is not NaN. */
export function highestOf(...epochs: readonly (number | null | undefined)[]): number {
  return Math.max(0, ...epochs.map((epoch) => (Number.isFinite(epoch) ? (epoch as number) : 0)));
}

/** Whether a start would take traffic off the candidate at a gateway whose configuration leaves it there. */
export function servesSettledCandidate({
  settled,
  effectiveShare,
}: Pick<GatewayStatus, 'settled' | 'effectiveShare'>): boolean {
  return settled === 'candidate' && effectiveShare > 0;
}

/** Why a start over gateways that are settled on the candidate is refused, and what to do. */
export function settledRefusal(route: string, gateways: readonly string[]): string {
  return `${route} is settled on the candidate at ${gateways.join(', ')}: a start applies share 0 first, so all of its traffic would move back to legacy. Ask for that with \`cutover start ${route} --move-back\`, or set \`settled: legacy\` for a route that is not moved yet`;
}

/** Whether two records say the same; the order of their fields does not matter. */
export function sameRecord(a: RoutingRecord, b: RoutingRecord): boolean {
  return (
    a.migrationId === b.migrationId &&
    a.stage === b.stage &&
    a.epoch === b.epoch &&
    a.share === b.share &&
    a.salt === b.salt &&
    a.stickyKey === b.stickyKey &&
    a.leaseMs === b.leaseMs &&
    a.pinned === b.pinned &&
    a.newConversationsOnly === b.newConversationsOnly &&
    a.shadow === b.shadow &&
    a.shadowUsd === b.shadowUsd &&
    sameJudge(a.judge, b.judge) &&
    sameCohort(a.only, b.only)
  );
}

/** How long after it was granted a lease is over for certain: clocks of hosts run at the same speed within 1%. */
export function leaseOverAfterMs(leaseMs: number): number {
  return leaseMs * 1.01;
}
