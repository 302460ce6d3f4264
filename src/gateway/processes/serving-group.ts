import { join } from 'node:path';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { keyReferencesOf } from '../../core/configuration/provider-schema';
import type { AdministeredRoute } from '../admin/admin';
import { openRoutes, watchDisks } from '../routing/gateway-routes';
import type { Restart } from '../routing/restart-trust';
import { callersKeysOf } from '../routing/route';
import type { ListenAddress } from '../sockets/listen-address';
import type { Defects } from '../telemetry/defects';
import { GroupMetrics } from './group-metrics';
import { GroupRoute } from './group-route';
import { GroupSpendings } from './group-spendings';
import { hostNowMs } from './host-clock';
import { endLeftOvers, writeProcesses } from './left-over-processes';
import { configurationOfOne } from './process-count';
import { type Member, ProcessGroup } from './process-group';
import type { ProcessStart, Report } from './process-messages';

export interface ServingGroupOptions {
  readonly configuration: Configuration;
  /** At least 2. */
  readonly processes: number;
  readonly gateway: string;
  readonly incarnation: string;
  readonly data: ListenAddress;
  readonly log: ProcessStart['log'];
  readonly warn: (message: string) => void;
  readonly restart: Restart;
  /** By reference: what commands have printed, as it is now. */
  readonly keys: () => Readonly<Record<string, string>>;
  /** Those of this process; others count their own. */
  readonly defects: Defects;
  readonly readyAfterMs?: number;
}

/** What serves the callers of a gateway in several processes. */
export interface ServingGroup {
  readonly routes: ReadonlyMap<string, AdministeredRoute>;
  readonly metrics: GroupMetrics;
  readonly defects: Defects;
  /** All processes use this key from now on where they used that of this reference. */
  useKey(reference: string, key: string): void;
  /** All processes serve by this configuration from now on. Throws what `resolveSecret` throws, and then nothing has changed. */
  reload(configuration: Configuration, resolveSecret: (reference: string) => string): void;
  /** Resolves with `http://HOST:PORT` once all processes listen; rejects with the system's error. */
  listen(): Promise<string>;
  /** Lets all processes end what they do within `gateway.drain`. */
  drain(): Promise<void>;
  release(): Promise<void>;
}

/** Opens what several processes serve, and decides here; none is started yet. */
export async function openServingGroup(options: ServingGroupOptions): Promise<ServingGroup> {
  const { configuration, processes, gateway, incarnation, data, log, warn, restart } = options;
  /** As it was read last. */
  let configured = configuration;
  const { stateDirectory, drain, maxConnections } = configuration.gateway;
  const readyAfter = options.readyAfterMs === undefined ? {} : { readyAfterMs: options.readyAfterMs };
  const startedAtMs = hostNowMs();
  const spendings = new GroupSpendings(configuration.callers);
  const processesFile = join(stateDirectory, 'gateway.processes');
  await endLeftOvers(processesFile, warn);
  const group = new ProcessGroup({
    processes,
    drainMs: drain,
    data,
    scheme: configuration.tls.data === undefined ? 'http' : 'https',
    maxWaiting: maxConnections * processes,
    start: () => ({
      configuration: configurationOfOne(configured, processes),
      ...{ gateway, incarnation, log, startedAtMs, ...readyAfter },
      keys: options.keys(),
      routes: Object.fromEntries([...routes].map(([name, route]) => [name, route.start()])),
      callers: spendings.levels(hostNowMs()),
    }),
    heard,
    ended: (member) => {
      if (member.metrics !== null) metrics.keep(member.metrics);
      const freed = spendings.end(member, hostNowMs());
      if (freed.length > 0) group.send({ order: 'spend', spendings: freed });
    },
    running: (pids) => writeProcesses(processesFile, pids),
    warn,
  });
  const decided = openRoutes({
    ...{ configuration, gateway, incarnation, now: hostNowMs, warn, restart, ...readyAfter },
    announce: (route, inForce, inFlight) => {
      const change = routes.get(route)?.nextChange() ?? 0;
      group.send({ order: 'follow', route, change, inForce, inFlight });
    },
  });
  const routes = new Map([...decided].map(([name, route]) => [name, new GroupRoute(route, group)]));
  const metrics = new GroupMetrics(group, decided, (round) =>
    [...routes.values()].map((route) => route.statusIn(round)),
  );

  function heard(report: Report, from: Member): void {
    if (report.report === 'counted') routes.get(report.route)?.count(report.counted);
    if (report.report === 'outcomes') routes.get(report.route)?.countOutcomes(report.outcomes);
    if (report.report === 'spent') {
      spendings.add(from, report.spendings, hostNowMs());
      group.send({ order: 'spend', spendings: report.spendings }, from);
    }
    if (report.report !== 'learned') return;
    const { route, learned } = report;
    routes.get(route)?.learn(learned);
    group.send({ order: 'learn', route, learned }, from);
  }

  return {
    routes,
    metrics,
    defects: options.defects,
    reload(next, resolveSecret) {
      const secrets = resolvedIn(next, resolveSecret);
      configured = next;
      spendings.replace(next.callers, hostNowMs());
      group.send({ order: 'reload', configuration: configurationOfOne(next, processes), secrets });
    },
    useKey: (reference, key) => group.send({ order: 'use key', reference, key }),
    async listen() {
      await watchDisks(decided);
      return group.start();
    },
    drain: () => group.stop(),
    async release() {
      await group.stop();
      for (const { state, makers } of decided.values()) {
        state.close();
        await makers.flush();
      }
    },
  };
}

/** All keys of providers, by reference. */
function resolvedIn(
  configuration: Configuration,
  resolveSecret: (reference: string) => string,
): Readonly<Record<string, string>> {
  const references = Object.entries(configuration.providers).flatMap(([name, { auth }]) => [
    ...(auth === undefined ? [] : keyReferencesOf(auth)),
    ...callersKeysOf(name, configuration),
  ]);
  return Object.fromEntries(references.map((reference) => [reference, resolveSecret(reference)]));
}
