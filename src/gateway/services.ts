import type { Configuration } from '../core/configuration-schema';
import type { AttemptServices } from './attempt';
import type { BufferedBytes } from './body-reader';
import type { Call } from './call';
import type { Callers } from './callers';
import type { GatewayMetrics } from './metrics';
import type { ShadowPair } from './mirror';
import type { GatewayLog } from './request-log';
import type { Route } from './route';

/** What all requests of one gateway share. */
export interface Services extends AttemptServices {
  readonly configuration: Configuration;
  readonly routes: ReadonlyMap<string, Route>;
  readonly defaultRoute: Route;
  readonly callers: Callers;
  readonly buffered: BufferedBytes;
  readonly log: GatewayLog;
  readonly metrics: GatewayMetrics;
  /** Calls that are not over. */
  readonly active: Set<Call>;
  /** A fresh id a request, for the draw of one without a key. */
  readonly randomId: () => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly compareShadow: ((pair: ShadowPair) => void) | null;
  readonly isStopping: () => boolean;
}
