import { join } from 'node:path';
import type { Configuration, RouteConfiguration } from '../core/configuration-schema';
import { EvidenceStore } from './evidence-store';
import { RecordFile } from './record-file';
import { RouteState } from './route-state';

/** One route of a gateway: what the configuration says, what is routed, what was seen. */
export interface GatewayRoute {
  readonly name: string;
  readonly configuration: RouteConfiguration;
  readonly state: RouteState;
  readonly evidence: EvidenceStore;
}

export interface GatewayRoutesOptions {
  readonly configuration: Configuration;
  readonly gateway: string;
  /** A fresh random id for this process. */
  readonly incarnation: string;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
  /** What an operator must read: a damaged record, a disk that refuses. */
  readonly warn: (message: string) => void;
  /** How long a route without a record waits for one before it is ready all the same; 60 s by default. */
  readonly readyAfterMs?: number;
}

/** Opens every route of the configuration with what the state directory holds of it. */
export function openRoutes(options: GatewayRoutesOptions): ReadonlyMap<string, GatewayRoute> {
  const { configuration, gateway, incarnation, now, warn } = options;
  const { stateDirectory, drain } = configuration.gateway;
  return new Map(
    Object.entries(configuration.routes).map(([name, route]) => {
      const state = new RouteState({
        gateway,
        route: name,
        incarnation,
        defaults: route,
        drainMs: drain,
        keeper: new RecordFile(join(stateDirectory, `${name}.record`)),
        now,
        warn,
        ...(options.readyAfterMs === undefined ? {} : { readyAfterMs: options.readyAfterMs }),
      });
      return [name, { name, configuration: route, state, evidence: new EvidenceStore(incarnation) }];
    }),
  );
}
