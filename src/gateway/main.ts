import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { hostname } from 'node:os';
import { resolveSecret as resolveFromEnvironment } from '../config';
import type { Configuration, GatewayAddress } from '../core/configuration-schema';
import { createAdminServer } from './admin';
import { BufferedBytes } from './body-reader';
import { Callers } from './callers';
import { Deadlines } from './deadlines';
import { openRoutes } from './gateway-routes';
import { isLoopback, type ListenAddress } from './listen-address';
import { GatewayMetrics } from './metrics';
import { type LogTarget, openLog } from './request-log';
import { completeRoute, openProviders, type Route } from './route';
import { createDataServer } from './server';
import type { ActiveCall, Services } from './services';
import type { ShadowPair } from './shadow-pair';
import { lockStateDirectory } from './state-lock';

export interface GatewayOptions {
  readonly configuration: Configuration;
  /** Which of the configuration's gateways this is; the only one, or the host's name, when absent. */
  readonly name?: string;
  /** Overrides the configured address; 127.0.0.1:8080 without either. */
  readonly data?: ListenAddress;
  /** Overrides the configured address; 127.0.0.1:8081 without either. */
  readonly admin?: ListenAddress;
  /** Standard output when absent. */
  readonly log?: LogTarget;
  /** Resolves `env:NAME` and `file:/path`; from environment and disk when absent. */
  readonly resolveSecret?: (reference: string) => string;
  /** How long a route without a record waits for one before it is ready; 60 s when absent. */
  readonly readyAfterMs?: number;
  /** Told of each pair of answers that shadow traffic gives. */
  readonly compareShadow?: (pair: ShadowPair) => void;
}

export interface RunningGateway {
  readonly name: string;
  /** Changes with every start. */
  readonly incarnation: string;
  /** `http://HOST:PORT`, without path. */
  readonly dataUrl: string;
  readonly adminUrl: string;
  readonly routes: ReadonlyMap<string, Route>;
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
 * Starts the data and the admin listener of one gateway. Throws `OpenGateway`, `UnresolvedSecret`,
 * `StateDirectoryTaken`, and the system's error when an address cannot be listened on.
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { configuration } = options;
  const resolveSecret = options.resolveSecret ?? resolveFromEnvironment;
  const { name, data, admin } = addresses(options);
  const callers = new Callers(configuration.callers, resolveSecret);
  if (callers.isOpen && !isLoopback(data.host)) throw new OpenGateway(data.host);
  const token = resolveSecret(configuration.adminToken);
  const metricsToken =
    configuration.metricsToken === undefined
      ? {}
      : { metricsToken: resolveSecret(configuration.metricsToken) };
  const providers = openProviders(configuration, resolveSecret);
  const incarnation = randomUUID();
  const now = () => performance.now();
  const log = openLog(options.log ?? 'stdout', name);
  const warn = (message: string) => log.logger.warn(message);
  const unlock = await lockStateDirectory(configuration.gateway.stateDirectory, warn);
  const opened = openRoutes({
    configuration,
    gateway: name,
    incarnation,
    now,
    warn,
    ...(options.readyAfterMs === undefined ? {} : { readyAfterMs: options.readyAfterMs }),
  });
  const parts = { configuration, providers, resolveSecret, warn };
  const routes = new Map([...opened].map(([route, held]) => [route, completeRoute(held, parts)]));
  const metrics = new GatewayMetrics(routes);
  const deadlines = new Deadlines(now);
  let stopping = false;
  let drawn = 0;
  const services: Services = {
    configuration,
    routes,
    defaultRoute: defaultRoute(configuration, routes),
    callers,
    buffered: new BufferedBytes(configuration.gateway.maxBufferedBytes),
    log,
    metrics,
    deadlines,
    now,
    wallNow: Date.now,
    active: new Set<ActiveCall>(),
    randomId: () => {
      drawn += 1;
      return `${incarnation}${drawn}`;
    },
    random: Math.random,
    compareShadow: options.compareShadow ?? null,
    isStopping: () => stopping,
  };
  const dataServer = createDataServer(services);
  const adminServer = createAdminServer({
    gateway: name,
    incarnation,
    routes,
    token,
    ...metricsToken,
    hosts: [...configuration.adminHosts, ...configuredAdminHosts(configuration)],
    wallNow: () => new Date(),
    notice: (message) => log.logger.info(message),
    metrics,
  });

  const release = async () => {
    deadlines.stop();
    for (const route of routes.values()) {
      route.state.close();
      await route.makers.flush();
      await route.mirror.pool.destroy();
    }
    for (const provider of providers.values()) await provider.pool.destroy();
    await unlock();
    log.flush();
  };
  const stop = async () => {
    stopping = true;
    const { drain } = configuration.gateway;
    const closed = refuseConnections(dataServer);
    await lastAnswers(dataServer, Math.min(LAST_ANSWERS_MS, drain / 20));
    // Once more as HTTP closes: idle connections, and the timer that checks for slow ones.
    dataServer.close();
    await drained(services, drain);
    for (const route of routes.values()) route.state.cutAll();
    for (const call of services.active) call.abandon('the gateway stopped');
    dataServer.closeAllConnections();
    await closed;
    const adminClosed = closeServer(adminServer);
    adminServer.closeAllConnections();
    await adminClosed;
    await release();
  };

  try {
    await listen(dataServer, data);
    await listen(adminServer, admin);
  } catch (error) {
    dataServer.close();
    adminServer.close();
    await release();
    throw error;
  }
  let stopped: Promise<void> | null = null;
  return {
    name,
    incarnation,
    dataUrl: urlOf(dataServer),
    adminUrl: urlOf(adminServer),
    routes,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

function addresses(options: GatewayOptions): { name: string; data: ListenAddress; admin: ListenAddress } {
  const { gateways } = options.configuration;
  const only = gateways.length === 1 ? gateways[0] : undefined;
  const configured = options.name === undefined ? only : gateways.find(({ name }) => name === options.name);
  return {
    name: options.name ?? configured?.name ?? hostname(),
    data: options.data ?? addressOf(configured, 'data') ?? { host: '127.0.0.1', port: 8080 },
    admin: options.admin ?? addressOf(configured, 'admin') ?? { host: '127.0.0.1', port: 8081 },
  };
}

function addressOf(gateway: GatewayAddress | undefined, listener: 'data' | 'admin'): ListenAddress | null {
  if (gateway === undefined) return null;
  const url = new URL(gateway[listener]);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port === '' ? 80 : url.port) };
}

function configuredAdminHosts(configuration: Configuration): string[] {
  const { gateways, gatewayDiscovery } = configuration;
  const urls = gateways.map(({ admin }) => admin);
  if (gatewayDiscovery !== undefined) urls.push(gatewayDiscovery.admin);
  return urls.map((url) => new URL(url).hostname);
}

function defaultRoute(configuration: Configuration, routes: ReadonlyMap<string, Route>): Route {
  const name = configuration.defaultRoute ?? Object.keys(configuration.routes)[0] ?? '';
  const route = routes.get(name);
  if (route === undefined) throw new RangeError(`expected a configured default route, got "${name}"`);
  return route;
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, 1024, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

/** Takes no new connection, and leaves those that are open alone. */
function refuseConnections(server: Server): Promise<void> {
  return new Promise((resolve) => {
    NetServer.prototype.close.call(server, () => resolve());
  });
}

/** For how long connections that are open may bring another request, whose answer then closes them. */
const LAST_ANSWERS_MS = 500;

/**
 * A connection that is closed between two requests of a busy caller loses the second one on its way. So each
 * gets a moment in which an answer can say `Connection: close`.
 */
function lastAnswers(server: Server, forMs: number): Promise<void> {
  return new Promise((resolve) => {
    server.getConnections((_error, count) => {
      if (count === 0) resolve();
      else setTimeout(resolve, forMs);
    });
  });
}

const DRAIN_CHECK_MS = 20;

/** Waits until no call is left, at most for so long. */
async function drained(services: Services, drainMs: number): Promise<void> {
  const endMs = services.now() + drainMs;
  while (services.active.size > 0 && services.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_CHECK_MS));
  }
}

function urlOf(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
