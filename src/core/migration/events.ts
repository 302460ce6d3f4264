import type { ConfirmAnswer, Json } from '../effects/effect';
import type { StageEvidence } from '../evidence/stage/stage-evidence';
import type { TrafficTally } from '../evidence/traffic-tally';
import type { GateVerdict, ProbeRecord } from '../gates/verdict';
import type { IdentityKnowledge } from '../identity/identity-audit';
import type { RoutingRecord } from '../routing/routing';
import type { Command } from './command';
import type { AssessmentSummary, Drift, RosterEntry } from './migration-state';

/** What happened to a migration; `atMs` is workflow time. */
export type MigrationEvent = { readonly atMs: number } & (
  | { readonly type: 'routing read'; readonly reading: RoutingReading }
  | { readonly type: 'assessed'; readonly assessment: AssessmentSummary; readonly freshSalt: string }
  | ({ readonly type: 'health checked' } & HealthCheckResult)
  | { readonly type: 'routing applied'; readonly checkpoint: number; readonly result: ApplyResult }
  | { readonly type: 'watched'; readonly window: WindowResult }
  | {
      readonly type: 'activity failed';
      /** The type of the decision that failed. */
      readonly what: string;
      readonly message: string;
      /** The key of the decision that failed: a failure of pre-empted work changes nothing. */
      readonly key?: string;
    }
  | { readonly type: 'command'; readonly command: Command }
  | { readonly type: 'cancelled' }
  | { readonly type: 'time passed' }
  | EffectEvent
);

/** What became of an attempt at an effect; `id` names its run. */
export type EffectEvent =
  | { readonly type: 'effect captured'; readonly id: number; readonly captured: Json }
  | {
      readonly type: 'effect ended';
      readonly id: number;
      readonly note: string;
      /** What a gate by others said; null for everything else. */
      readonly answer: ConfirmAnswer | null;
    }
  | {
      readonly type: 'effect failed';
      readonly id: number;
      readonly message: string;
      /** Whether the target said no: only a person can help, so it escalates at once. */
      readonly refused?: boolean;
    };

/** Whether the share may be raised now. */
export interface HealthCheckResult {
  readonly healthy: boolean;
  readonly sentence: string;
  /** Set outside of the plan's rollout hours: nothing was probed, and it is asked again at that time. */
  readonly notBefore?: { readonly atMs: number; readonly why: string } | null;
}

/** What every gateway of the configuration held before the migration touched anything. */
export interface RoutingReading {
  readonly roster: readonly RosterEntry[];
  readonly unreachable: readonly string[];
  /** Why, by gateway: no connection, or a refusal such as of the admin token. Absent from older releases. */
  readonly unreachableBecause?: Readonly<Record<string, string>>;
  readonly highestEpoch: number;
  /** Gateways that serve the candidate although no migration is open. */
  readonly forgotten: readonly {
    readonly gateway: string;
    readonly share: number;
    readonly epoch: number;
    readonly migrationId: string;
  }[];
  /** Gateways that serve the candidate because their configuration says that it is settled there; absent: not asked. */
  readonly settled?: readonly string[];
}

/** What became of one push or verification over all gateways of the roster. */
export interface ApplyResult {
  /** The highest epoch that took effect; above the record's only where share 0 had to try again. */
  readonly epoch: number;
  readonly confirmed: readonly string[];
  /** Gateways without an answer whose every older lease has run out. */
  readonly lapsed: readonly string[];
  readonly missing: readonly string[];
  /** A gateway that holds something newer or other, or a kill latch: the gravest of `drifts`. */
  readonly drift: Drift | null;
  /** All of them. Absent from workers of older releases. */
  readonly drifts?: readonly Drift[];
  /** One sentence a gateway that did not simply confirm. */
  readonly notes: readonly string[];
  /** Gateways that are settled on the candidate and serve it, where those were to be spared: then nothing was pushed. */
  readonly settled?: readonly string[];
  /**
   * Who is there and where, gateways included that joined meanwhile. Absent from workers of older releases, which know
   * gateways by address.
   */
  readonly located?: readonly RosterEntry[];
  /** Who confirmed in memory only, because its disk refused. Absent from older releases: none is known. */
  readonly undurable?: readonly string[];
  /** Who answered, of those that were asked. Absent from older releases. */
  readonly answered?: readonly string[];
}

/** What one observation window saw. */
export interface WindowResult {
  readonly epoch: number;
  readonly ended:
    | 'window over'
    | 'harm'
    | 'drift changed'
    | 'roster changed'
    | 'settled'
    | 'asked'
    | 'budget spent';
  /** Milliseconds that count as soak: every gateway of the roster held the record and a lease. */
  readonly observedMs: number;
  /** The stage's evidence with this window: what the verdict rests on, and what the next window is given. */
  readonly evidence: StageEvidence;
  readonly cursors: Readonly<Record<string, string>>;
  readonly verdict: GateVerdict;
  readonly probes: ProbeRecord;
  /** Which model the candidate serves. Absent where the plan does not ask. */
  readonly servedModel?: IdentityKnowledge;
  /** What callers and money were through in it. Absent from workers of older releases. */
  readonly traffic?: TrafficTally;
  readonly lapses: readonly {
    readonly gateway: string;
    readonly what: string;
    /** It had stopped in order and came back with our record. */
    readonly routine?: true;
  }[];
  readonly drift: Drift | null;
  /** All that contradicted our routing in the last round, who was silent included. Absent from older releases. */
  readonly drifts?: readonly Drift[];
  /** Who answered in the last round: nobody else has said that a drift is over. Absent from older releases. */
  readonly answered?: readonly string[];
  /** Why the others did not, by name. Absent from older releases. */
  readonly unansweredBecause?: Readonly<Record<string, string>>;
  readonly discovered: readonly RosterEntry[];
  /** Where the gateways of the roster were found last. Absent from older releases. */
  readonly located?: readonly RosterEntry[];
  /** Gateways that are gone: not configured, out of reach, and one lease past their last grant. */
  readonly left: readonly string[];
  readonly settled: readonly string[];
  /** The highest epoch that any gateway has seen: ours go on above it. */
  readonly highestEpoch: number;
}

/** What the migration should do next. Equal keys mean the same work: a running one need not be stopped. */
export type Decision = { readonly key: string } & (
  | { readonly type: 'read routing' }
  | { readonly type: 'assess' }
  | { readonly type: 'check health' }
  | {
      readonly type: 'apply routing';
      readonly checkpoint: number;
      readonly record: RoutingRecord;
      readonly direction: 'raise' | 'lower';
      readonly inFlight: 'drain' | 'cut';
      /** First push, or verification of the gateways that are still missing. */
      readonly missing: readonly string[] | null;
      readonly leaseConfirms: boolean;
    }
  | {
      readonly type: 'watch';
      readonly record: RoutingRecord;
      readonly windowMs: number;
      readonly handover: boolean;
    }
  | { readonly type: 'wait'; readonly untilMs: number | null; readonly why: string }
  | { readonly type: 'close' }
);
