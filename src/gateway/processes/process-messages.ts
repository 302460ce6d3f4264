import type { Configuration } from '../../core/configuration/configuration-schema';
import type { Arm } from '../../core/routing/routing';
import type { LimitLevels, LimitSpending } from '../callers/caller-limits';
import type { EvidenceAddition } from '../evidence/epoch-evidence';
import type { ReportedOutcome } from '../outcomes/outcome';
import type { CountedDraws } from '../routing/arm-draw';
import type { BegunConversation } from '../routing/conversation-table';
import type { InFlightEnd, RoutingInForce } from '../routing/served-route';
import type { MetricSamples } from '../telemetry/metrics';

/** What the primary process of a gateway sends to one that serves. Messages arrive in the order of sending. */
export type ProcessOrder =
  | { readonly order: 'start'; readonly start: ProcessStart }
  | {
      readonly order: 'follow';
      readonly route: string;
      /** Counts the changes of the route since the gateway started. */
      readonly change: number;
      readonly inForce: RoutingInForce;
      readonly inFlight: InFlightEnd;
    }
  | { readonly order: 'learn'; readonly route: string; readonly learned: SharedKnowledge }
  | { readonly order: 'spend'; readonly spendings: readonly CallerSpending[] }
  /** A command has printed a new key. */
  | { readonly order: 'use key'; readonly reference: string; readonly key: string }
  /** The configuration was read again; secrets by reference, so that no process can fail to resolve them. */
  | {
      readonly order: 'reload';
      readonly configuration: Configuration;
      readonly secrets: Readonly<Record<string, string>>;
    }
  /** Say all that was counted, then answer `standing` with this number. */
  | { readonly order: 'report'; readonly round: number; readonly withMetrics: boolean }
  /** Comes with a socket: a caller's connection, to be served. */
  | { readonly order: 'connection' }
  /** End what runs, and leave; no connection comes any more. */
  | { readonly order: 'stop' };

/** What a process that serves sends to the primary. */
export type Report =
  /** It serves, and has taken the connection that it was given last. */
  | { readonly report: 'free' }
  | { readonly report: 'failed'; readonly message: string; readonly syscall?: string; readonly code?: string }
  | { readonly report: 'counted'; readonly route: string; readonly counted: CountsReport }
  | { readonly report: 'learned'; readonly route: string; readonly learned: SharedKnowledge }
  | { readonly report: 'outcomes'; readonly route: string; readonly outcomes: readonly ReportedOutcome[] }
  | { readonly report: 'spent'; readonly spendings: readonly CallerSpending[] }
  | {
      readonly report: 'standing';
      readonly round: number;
      readonly routes: Readonly<Record<string, RouteProgress>>;
      /** Present when they were asked for. */
      readonly metrics?: MetricSamples;
    };

/** Everything that a process needs to serve; secrets it resolves itself, but for those that commands print. */
export interface ProcessStart {
  /** Limits of the whole gateway are divided in it. */
  readonly configuration: Configuration;
  readonly gateway: string;
  readonly incarnation: string;
  readonly log: 'stdout' | 'none' | { readonly file: string };
  readonly startedAtMs: number;
  /** By reference: what the primary's commands printed. */
  readonly keys: Readonly<Record<string, string>>;
  readonly readyAfterMs?: number;
  readonly routes: Readonly<Record<string, RouteStart>>;
  /** How callers with limits stand, by the SHA-256 of their key. */
  readonly callers: Readonly<Record<string, LimitLevels>>;
}

/** What one caller, by the SHA-256 of its key, has used in one process. */
export interface CallerSpending extends LimitSpending {
  readonly caller: string;
}

export interface RouteStart {
  readonly change: number;
  readonly inForce: RoutingInForce;
  readonly learned: SharedKnowledge;
}

/** What one process has learned of the outside world and all must know; older entries first. */
export interface SharedKnowledge {
  readonly makers: readonly (readonly [id: string, maker: Arm])[];
  readonly conversations: readonly (readonly [keyHash: number, conversation: BegunConversation])[];
}

/** What a process has counted of a route since it last said so. */
export interface CountsReport {
  readonly evidence: readonly EvidenceAddition[];
  readonly draws: CountedDraws;
}

/** How a route stands in one process. */
export interface RouteProgress {
  /** The newest change that this process follows. */
  readonly change: number;
  readonly unsentOlder: number;
  readonly inFlightOlder: number;
}
