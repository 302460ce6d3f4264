import type { Socket } from 'node:net';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { FailedLogins } from '../core/access/failed-logins';
import type { Configuration } from '../core/configuration/configuration-schema';
import type { Callers } from './callers/callers';
import type { CohortSeals } from './callers/cohort-seals';
import { AnswerChecks } from './contract/answer-checks';
import { JUDGE_CONNECTIONS } from './judge/pair-judge';
import type { OutcomeTokens } from './outcomes/outcome-tokens';
import { forwardingOf } from './request/forward-allowlist';
import type { RouteToServe } from './routing/gateway-routes';
import { callersKeysOf, completeRoute, openProviders, type Route } from './routing/route';
import { DataServer } from './server';
import type { ActiveCall, Services } from './serving/services';
import { Tunnels } from './serving/tunnels';
import { Connections } from './sockets/connections';
import { listen, urlOf } from './sockets/listen';
import type { ListenAddress } from './sockets/listen-address';
import type { ListenerTls } from './sockets/listener-tls';
import { MemoryBudget } from './sockets/memory-budget';
import { SwapList } from './sockets/swap-list';
import { Defects } from './telemetry/defects';
import type { GatewayMetrics } from './telemetry/metrics';
import type { GatewayLog } from './telemetry/request-log';
import type { Tracing } from './telemetry/tracing';
import { Deadlines } from './upstream/deadlines';
import { KeyFiles } from './upstream/key-files';
import type { Provider } from './upstream/provider';

export interface DataPlaneOptions<Held extends RouteToServe> {
  readonly configuration: Configuration;
  readonly routes: ReadonlyMap<string, Held>;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly callers: Callers;
  readonly resolveSecret: (reference: string) => string;
  readonly log: GatewayLog;
  /** Random ids begin with it; unique for each process. */
  readonly idPrefix: string;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
  readonly metrics: GatewayMetrics;
  /** Null: plain HTTP. */
  readonly tls: ListenerTls | null;
  /** Null: answers bear no token, and outcomes are not taken. */
  readonly outcomes: OutcomeTokens | null;
  /** Null: requests are not traced. */
  readonly tracing: Tracing | null;
  /** Null: no header puts a caller in a cohort. */
  readonly cohorts: CohortSeals | null;
}

/** What serves callers in one process: providers, calls and the data listener. */
export interface DataPlane<Held extends RouteToServe> {
  readonly routes: ReadonlyMap<string, Held & Route>;
  readonly defects: Defects;
  /** Requests carry this key from now on where they carry that of this reference. */
  useKey(reference: string, key: string): void;
  /**
   * Callers, and how providers are asked, are as here from now on. Throws what `resolveSecret` throws, and then nothing
   * has changed.
   */
  reload(configuration: Configuration, resolveSecret: (reference: string) => string): void;
  /** Listens and resolves with `http://HOST:PORT`; rejects with the system's error. */
  listen(address: ListenAddress): Promise<string>;
  /** Serves a connection that another process has accepted. */
  take(socket: Socket): void;
  /** Accepts nothing more, lets what runs end within `gateway.drain`, and cuts what is left. */
  drain(): Promise<void>;
  /** Gives everything back; nothing may run any more. */
  release(): Promise<void>;
}

/** Opens the data plane of one process, not listening yet. Throws what `resolveSecret` throws. */
export function openDataPlane<Held extends RouteToServe>(options: DataPlaneOptions<Held>): DataPlane<Held> {
  const { configuration, providers, resolveSecret, log, now } = options;
  const judges = openProviders(configuration, resolveSecret, JUDGE_CONNECTIONS);
  const parts = { configuration, providers, judges, resolveSecret, now };
  const routes = new Map([...options.routes].map(([name, route]) => [name, completeRoute(route, parts)]));
  const deadlines = new Deadlines(now);
  const mirrors = [...routes.values()].map(({ mirror }) => mirror);
  const withKeys = [...providers.values(), ...mirrors, ...judges.values()];
  const useKey = (reference: string, key: string) => {
    options.callers.useKey(reference, key);
    for (const provider of withKeys) provider.useKey(reference, key);
  };
  const followKeys = () =>
    new KeyFiles({
      references: withKeys.flatMap(({ references }) => [...references]),
      use: useKey,
      warn: (message) => log.logger.warn(message),
    });
  let keyFiles = followKeys();
  let stopping = false;
  let drawn = 0;
  const defects = new Defects(log.logger);
  const answerChecks = new AnswerChecks(now, (error) => defects.report(error, { during: 'answer checks' }));
  const services: Services = {
    configuration,
    routes,
    defaultRoute: defaultRoute(configuration, routes),
    callers: options.callers,
    failedLogins: new FailedLogins({
      listener: 'data',
      now,
      log: (failure) => log.logger.warn(failure, 'failed login'),
    }),
    forwarding: forwardingOf(configuration),
    memory: new MemoryBudget(configuration.gateway.maxBufferedBytes),
    log,
    metrics: options.metrics,
    deadlines,
    now,
    wallNow: Date.now,
    active: new SwapList<ActiveCall>(),
    tunnels: new Tunnels(configuration.gateway.tunnels),
    defects,
    answerChecks,
    randomId: () => {
      drawn += 1;
      return `${options.idPrefix}${drawn}`;
    },
    random: Math.random,
    outcomes: options.outcomes,
    tracing: options.tracing,
    cohorts: options.cohorts,
    isStopping: () => stopping,
  };
  const { active, tunnels, memory, metrics } = services;
  const listener = new DataServer(services, options.tls);
  const { server } = listener;
  const connections = new Connections(server, configuration.gateway.maxConnections);
  metrics.showConnections('data', connections);
  metrics.showCallers(options.callers);
  if (options.tracing !== null) metrics.showTracing(options.tracing);
  metrics.showFailedLogins('data', services.failedLogins);
  metrics.showProcess({
    active: () => active.size,
    tunnels: () => tunnels.open,
    maxTunnels: configuration.gateway.tunnels.max,
    defects: () => defects.count,
    buffered: () => memory.heldBytes,
    maxBuffered: () => memory.maximumBytes,
  });
  return {
    routes,
    defects,
    useKey,
    reload(next, resolve) {
      const changes = withKeys.map((provider) => {
        const configured = next.providers[provider.name];
        if (configured === undefined) throw new RangeError(`expected the provider "${provider.name}"`);
        return provider.prepare(configured, callersKeysOf(provider.name, next), resolve);
      });
      options.callers.replace(next.callers, resolve, now());
      for (const change of changes) change();
      keyFiles.stop();
      keyFiles = followKeys();
    },
    async listen(address) {
      await listen(server, address);
      return urlOf(server);
    },
    take: (socket) => connections.take(socket),
    async drain() {
      stopping = true;
      const { drain } = configuration.gateway;
      // Right after all that has arrived was accepted: closing resets what is left.
      await setImmediate();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await lastAnswers(connections, Math.min(LAST_ANSWERS_MS, drain / 20));
      listener.closeIdle();
      await drained(services, drain);
      for (const route of routes.values()) route.state.cutAll();
      for (const call of active.copy()) call.abandon('the gateway stopped');
      tunnels.cutAll('the gateway stopped');
      connections.destroyAll();
      await closed;
    },
    async release() {
      server.close();
      deadlines.stop();
      keyFiles.stop();
      await answerChecks.close();
      for (const route of routes.values()) {
        route.state.close();
        route.judge.close();
        await route.makers.flush();
        await route.mirror.pool.destroy();
      }
      for (const provider of [...providers.values(), ...judges.values()]) await provider.pool.destroy();
      await options.tracing?.stop();
    },
  };
}

function defaultRoute(configuration: Configuration, routes: ReadonlyMap<string, Route>): Route {
  const name = configuration.defaultRoute ?? Object.keys(configuration.routes)[0] ?? '';
  const route = routes.get(name);
  if (route === undefined) throw new RangeError(`expected a configured default route, got "${name}"`);
  return route;
}

/** For how long connections that are open may bring another request, whose answer then closes them. */
const LAST_ANSWERS_MS = 500;

/**
 * A connection that is closed between two requests of a busy caller loses the second one on its way. So each
 * gets a moment in which an answer can say `Connection: close`.
 */
async function lastAnswers(connections: Connections, forMs: number): Promise<void> {
  if (connections.open > 0) await setTimeout(forMs);
}

const DRAIN_CHECK_MS = 20;

/** Waits until no call and no tunnel is left, at most for this long. */
async function drained({ active, tunnels, now }: Services, drainMs: number): Promise<void> {
  const endMs = now() + drainMs;
  while (active.size + tunnels.open > 0 && now() < endMs) {
    await setTimeout(DRAIN_CHECK_MS);
  }
}
