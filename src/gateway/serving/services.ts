import type { FailedLogins } from '../../core/access/failed-logins';
import type { Configuration } from '../../core/configuration/configuration-schema';
import type { Callers } from '../callers/callers';
import type { CohortSeals } from '../callers/cohort-seals';
import type { AnswerChecks } from '../contract/answer-checks';
import type { OutcomeTokens } from '../outcomes/outcome-tokens';
import type { ForwardAllowlist } from '../request/forward-allowlist';
import type { Route } from '../routing/route';
import type { SwapList, SwapListEntry } from '../sockets/swap-list';
import type { GatewayMetrics } from '../telemetry/metrics';
import type { GatewayLog } from '../telemetry/request-log';
import type { Tracing } from '../telemetry/tracing';
import type { AttemptServices } from '../upstream/attempt-options';
import type { Tunnels } from './tunnels';

/** A call that is not over. */
export interface ActiveCall extends SwapListEntry {
  /** Ends it now; its caller sees a cut connection. */
  abandon(why: string): void;
}

/** What all requests of one gateway share. */
export interface Services extends AttemptServices {
  readonly configuration: Configuration;
  readonly routes: ReadonlyMap<string, Route>;
  readonly defaultRoute: Route;
  readonly callers: Callers;
  readonly failedLogins: FailedLogins;
  /** What of callers' heads reaches providers. */
  readonly forwarding: ForwardAllowlist;
  readonly log: GatewayLog;
  readonly metrics: GatewayMetrics;
  readonly active: SwapList<ActiveCall>;
  readonly tunnels: Tunnels;
  /** A fresh id a request, for the draw of one without a key. */
  readonly randomId: () => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Judges answers by what was asked of them, later than they are given. */
  readonly answerChecks: AnswerChecks;
  /** Signs and reads what outcomes are reported by; null where it is not configured. */
  readonly outcomes: OutcomeTokens | null;
  /** Null where requests are not traced. */
  readonly tracing: Tracing | null;
  /** Reads signed headers of cohorts; null where no key is configured. */
  readonly cohorts: CohortSeals | null;
  readonly isStopping: () => boolean;
}
