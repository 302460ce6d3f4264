import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { availableParallelism } from 'node:os';
import type { DestinationStream } from 'pino';
import { environment, resolveSecret as resolveFromEnvironment } from '../config';
import { FailedLogins } from '../core/access/failed-logins';
import type { Configuration, GatewayAddress } from '../core/configuration/configuration-schema';
import { createAdminServer } from './admin/admin';
import { Callers } from './callers/callers';
import { openCohortSeals } from './callers/cohort-seals';
import { ConfigurationReload, type ReloadOutcome } from './configuration-reload';
import { openDataPlane } from './data-plane';
import { openOutcomeTokens } from './outcomes/outcome-tokens';
import { countProcesses } from './processes/process-count';
import { openServingGroup } from './processes/serving-group';
import { gatewayName } from './routing/gateway-name';
import { type GatewayRoute, openRoutes, watchDisks } from './routing/gateway-routes';
import { LifeSign } from './routing/life-sign';
import { openProviders, type Route } from './routing/route';
import { lockStateDirectory } from './routing/state-lock';
import { Connections } from './sockets/connections';
import { listen, urlOf } from './sockets/listen';
import { isLoopback, type ListenAddress } from './sockets/listen-address';
import { openListenerTls } from './sockets/listener-tls';
import { Defects } from './telemetry/defects';
import { GatewayMetrics } from './telemetry/metrics';
import { checkTracing, openTracing } from './telemetry/open-tracing';
import { type LogTarget, openLog } from './telemetry/request-log';
import { Credentials } from './upstream/credentials';

export interface GatewayOptions {
  readonly configuration: Configuration;
  /** Which gateway this is; the configuration's only one, what the state directory keeps, or the host's name when absent. */
  readonly name?: string;
  /** Overrides the configured address; 127.0.0.1:8080 without either. */
  readonly data?: ListenAddress;
  /** Overrides the configured address; 127.0.0.1:8081 without either. */
  readonly admin?: ListenAddress;
  /** Standard output when absent. */
  readonly log?: LogTarget;
  /** Resolves `env:NAME` and `file:/path`; from environment and disk when absent, as other processes do always. */
  readonly resolveSecret?: (reference: string) => string;
  /** How long a route without a record waits for one before it is ready; 60 s when absent. */
  readonly readyAfterMs?: number;
  /** Reads the configuration again where it came from; absent: it cannot be reloaded. */
  readonly readConfiguration?: () => Configuration;
}

export interface RunningGateway {
  readonly name: string;
  /** Changes with every start. */
  readonly incarnation: string;
  /** `http://HOST:PORT`, without path. */
  readonly dataUrl: string;
  readonly adminUrl: string;
  /** What this process serves itself; empty where `gateway.processes` lets others serve. */
  readonly routes: ReadonlyMap<string, GatewayRoute & Route>;
  readonly defects: Defects;
  /** How long `stop` lets run what runs. */
  readonly drainMs: number;
  /** Reads the configuration again, checks it whole, and serves by it; null where it did not come from a file. */
  readonly reload: (() => Promise<ReloadOutcome>) | null;
  /** Accepts nothing more, lets what runs end within `gateway.drain`, then stops; safe to call twice. */
  stop(): Promise<void>;
}

/** Thrown when a gateway without gateway keys is asked to listen where others can reach it. */
class OpenGateway extends Error {
  override readonly name = 'OpenGateway';
  constructor(readonly host: string) {
    super(
      `expected callers in the configuration before listening on ${host}: without gateway keys only loopback is allowed`,
    );
  }
}

/**
 * Starts the data and the admin listener of one gateway. Throws `OpenGateway`, `UnresolvedSecret`, `UnusableCredential`,
 * `StateDirectoryTaken`, `IndivisibleLimit`, `WeakOutcomeKey`, `UnusableTls`, and the system's error when an address cannot be listened on.
 */
export async function startGatewayServer(options: GatewayOptions): Promise<RunningGateway> {
  const { configuration } = options;
  checkTracing(environment);
  const credentials = await Credentials.open({
    configured: configuration.credentials,
    now: () => performance.now(),
    warn: (message) => warn(message),
  });
  const resolveOthers = options.resolveSecret ?? resolveFromEnvironment;
  const resolveSecret = credentials.resolving(resolveOthers);
  const { given, data, admin } = addresses(options);
  const callers = new Callers(configuration.callers, resolveSecret);
  const openProblem = (count: number) =>
    count === 0 && !isLoopback(data.host) ? new OpenGateway(data.host) : null;
  const open = openProblem(configuration.callers.length);
  if (open !== null) throw open;
  const token = resolveSecret(configuration.adminToken);
  const metricsToken =
    configuration.metricsToken === undefined
      ? {}
      : { metricsToken: resolveSecret(configuration.metricsToken) };
  const providers = openProviders(configuration, resolveSecret);
  const outcomes = openOutcomeTokens(configuration, resolveSecret);
  const cohorts = openCohortSeals(configuration, resolveSecret);
  const processes = countProcesses(configuration, availableParallelism());
  const target = options.log ?? 'stdout';
  const incarnation = randomUUID();
  const warnings: string[] = [];
  const name = gatewayName(configuration.gateway.stateDirectory, given, (message) => warnings.push(message));
  const log = openLog(target, name, processes > 1);
  const warn = (message: string) => log.logger.warn(message);
  warnings.forEach(warn);
  const dataTls = openListenerTls('tls.data', configuration.tls.data, { resolveSecret, warn });
  const adminTls = openListenerTls('tls.admin', configuration.tls.admin, { resolveSecret, warn });
  const unlock = await lockStateDirectory(configuration.gateway.stateDirectory, warn);
  const lifeSign = new LifeSign(configuration.gateway.stateDirectory, Date.now, warn);
  const { restart } = lifeSign;
  const shared = {
    ...{ configuration, gateway: name, incarnation, warn, restart },
    ...(options.readyAfterMs === undefined ? {} : { readyAfterMs: options.readyAfterMs }),
  };
  const serveHere = () => {
    const now = () => performance.now();
    const decided = openRoutes({ ...shared, now });
    const metrics = new GatewayMetrics(decided, () =>
      [...decided.values()].map(({ state }) => state.status()),
    );
    const dataPlane = openDataPlane({
      ...{ configuration, routes: decided, providers, callers, resolveSecret, log, metrics },
      ...{ idPrefix: incarnation, now, tls: dataTls, outcomes, cohorts },
      tracing: openTracing(environment, { gateway: name, now, warn }),
    });
    const listen = async () => {
      await watchDisks(decided);
      return dataPlane.listen(data);
    };
    return { ...dataPlane, metrics, listen };
  };
  const here = processes === 1 ? serveHere() : null;
  const serving =
    here ??
    (await openServingGroup({
      ...shared,
      processes,
      data,
      log: inheritableTarget(target),
      keys: () => reloading.credentials.keys,
      defects: new Defects(log.logger),
    }));
  const failedLogins = new FailedLogins({
    listener: 'admin',
    now: () => performance.now(),
    log: (failure) => log.logger.warn(failure, 'failed login'),
  });
  serving.metrics.showFailedLogins('admin', failedLogins);
  const reloading = new ConfigurationReload({
    ...{ configuration, credentials, resolveSecret: resolveOthers, warn },
    read: options.readConfiguration ?? (() => configuration),
    openProblem: (count) => openProblem(count)?.message ?? null,
    serve: (next, resolve) => serving.reload(next, resolve),
    useKey: (reference, key) => serving.useKey(reference, key),
    now: () => performance.now(),
    notice: (message) => log.logger.info(message),
  });
  serving.metrics.showCredentials({ standings: () => reloading.credentials.standings() });
  const reload = options.readConfiguration === undefined ? null : () => reloading.reload();
  const adminServer = createAdminServer({
    gateway: name,
    incarnation,
    routes: serving.routes,
    token,
    ...metricsToken,
    hosts: [...configuration.adminHosts, ...configuredAdminHosts(configuration)],
    failedLogins,
    wallNow: () => new Date(),
    notice: (message) => log.logger.info(message),
    metrics: serving.metrics,
    reload,
    tls: adminTls,
  });
  const adminConnections = new Connections(adminServer, ADMIN_CONNECTIONS);
  serving.metrics.showConnections('admin', adminConnections);

  const release = async () => {
    reloading.stop();
    await serving.release();
    lifeSign.stop([...serving.routes.values()].every(({ state }) => state.durable));
    await unlock();
    log.flush();
  };
  const stop = async () => {
    await serving.drain();
    const adminClosed = closeServer(adminServer);
    adminConnections.destroyAll();
    await adminClosed;
    await release();
  };

  let dataUrl: string;
  try {
    dataUrl = await serving.listen();
    await listen(adminServer, admin);
  } catch (error) {
    adminServer.close();
    await release();
    throw error;
  }
  credentials.follow((reference, key) => serving.useKey(reference, key));
  let stopped: Promise<void> | null = null;
  return {
    name,
    incarnation,
    dataUrl,
    adminUrl: urlOf(adminServer),
    routes: here?.routes ?? new Map(),
    defects: serving.defects,
    drainMs: configuration.gateway.drain,
    reload,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Workers, operators, health probes and Prometheus. */
const ADMIN_CONNECTIONS = 256;

/** A log that other processes can open as well. Throws a `TypeError` for a stream of this process. */
function inheritableTarget(target: LogTarget): Exclude<LogTarget, DestinationStream> {
  if (typeof target === 'object' && 'write' in target) {
    throw new TypeError('expected stdout, none or a file as the log with several processes, got a stream');
  }
  return target;
}

function addresses(options: GatewayOptions): {
  given: string | undefined;
  data: ListenAddress;
  admin: ListenAddress;
} {
  const { gateways } = options.configuration;
  const only = gateways.length === 1 ? gateways[0] : undefined;
  const configured = options.name === undefined ? only : gateways.find(({ name }) => name === options.name);
  return {
    given: options.name ?? configured?.name,
    data: options.data ?? addressOf(configured, 'data') ?? { host: '127.0.0.1', port: 8080 },
    admin: options.admin ?? addressOf(configured, 'admin') ?? { host: '127.0.0.1', port: 8081 },
  };
}

function addressOf(gateway: GatewayAddress | undefined, listener: 'data' | 'admin'): ListenAddress | null {
  if (gateway === undefined) return null;
  const url = new URL(gateway[listener]);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port),
  };
}

function configuredAdminHosts(configuration: Configuration): string[] {
  const { gateways, gatewayDiscovery } = configuration;
  const urls = gateways.map(({ admin }) => admin);
  if (gatewayDiscovery !== undefined) urls.push(gatewayDiscovery.admin);
  return urls.map((url) => new URL(url).hostname);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
