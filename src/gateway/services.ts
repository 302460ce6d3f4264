import type { Configuration } from '../core/configuration-schema';
import type { FailedLogins } from '../core/failed-logins';
import type { AttemptServices } from './attempt-options';
import type { Callers } from './callers';
import type { Forwarding } from './forwarding';
import type { GatewayMetrics } from './metrics';
import type { GatewayLog } from './request-log';
import type { Route } from './route';
import type { ShadowPair } from './shadow-pair';
import type { Placed, SwapList } from './swap-list';
import type { Tunnels } from './tunnels';

/** A call that is not over. */
export interface ActiveCall extends Placed {
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
  readonly forwarding: Forwarding;
  readonly log: GatewayLog;
  readonly metrics: GatewayMetrics;
  readonly active: SwapList<ActiveCall>;
  readonly tunnels: Tunnels;
  /** A fresh id a request, for the draw of one without a key. */
  readonly randomId: () => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly compareShadow: ((pair: ShadowPair) => void) | null;
  readonly isStopping: () => boolean;
}
