import { join } from 'node:path';
import type { Configuration, RouteConfiguration } from '../../core/configuration/configuration-schema';
import type { LateAnswer } from '../evidence/epoch-evidence';
import type { Observation } from '../evidence/evidence-cell';
import { EvidenceStore } from '../evidence/evidence-store';
import type { SeenCopy } from '../evidence/pair-tally';
import type { JudgedPair } from '../judge/judge-tally';
import { OutcomeIntake } from '../outcomes/outcome-intake';
import { OutcomeLedger } from '../outcomes/outcome-ledger';
import { MakerTable } from './maker-table';
import { RecordFile } from './record-file';
import type { Restart } from './restart-trust';
import { RouteState } from './route-state';
import type { InFlightEnd, RoutingInForce, ServedRoute } from './served-route';

/** One route as a process serves it: what the configuration says, what is routed, where evidence goes. */
export interface RouteToServe {
  readonly name: string;
  readonly configuration: RouteConfiguration;
  readonly state: ServedRoute;
  readonly evidence: {
    record(seen: Observation): void;
    recordAnswer(late: LateAnswer): void;
    recordCopy(seen: SeenCopy): void;
    recordJudged(seen: JudgedPair): void;
  };
  readonly makers: MakerTable;
  /** Where outcomes arrive. */
  readonly outcomes: OutcomeIntake;
}

/** One route where its routing is decided and its evidence is kept. */
export interface GatewayRoute extends RouteToServe {
  readonly state: RouteState;
  readonly evidence: EvidenceStore;
}

export interface GatewayRoutesOptions {
  readonly configuration: Configuration;
  readonly gateway: string;
  /** A fresh random id for this start. */
  readonly incarnation: string;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
  /** What an operator must read: a damaged record, a disk that refuses. */
  readonly warn: (message: string) => void;
  /** How far the state directory can be believed. */
  readonly restart: Restart;
  /** How long a route without a record waits for one before it is ready all the same; 60 s by default. */
  readonly readyAfterMs?: number;
  /** Called with each change of a route, see `RouteStateOptions.announce`. */
  readonly announce?: (route: string, inForce: RoutingInForce, inFlight: InFlightEnd) => void;
}

/** Opens every route of the configuration with what the state directory holds of it. */
export function openRoutes(options: GatewayRoutesOptions): ReadonlyMap<string, GatewayRoute> {
  const { configuration, gateway, incarnation, now, warn, restart, announce } = options;
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
        restart,
        ...(options.readyAfterMs === undefined ? {} : { readyAfterMs: options.readyAfterMs }),
        ...(announce === undefined
          ? {}
          : { announce: (inForce, inFlight) => announce(name, inForce, inFlight) }),
      });
      const evidence = new EvidenceStore(incarnation);
      const makers = new MakerTable({ path: join(stateDirectory, `${name}.makers`), warn });
      const ledger = new OutcomeLedger({ stateDirectory, route: name, evidence, warn });
      const outcomes = new OutcomeIntake((arrived) => ledger.count(arrived));
      return [name, { name, configuration: route, state, evidence, makers, outcomes }];
    }),
  );
}

/** Finds out whether the disk would keep the record of each route, and keeps asking; resolves when each has been asked once. */
export async function watchDisks(routes: ReadonlyMap<string, GatewayRoute>): Promise<void> {
  await Promise.all([...routes.values()].map(({ state }) => state.watchDisk()));
}
