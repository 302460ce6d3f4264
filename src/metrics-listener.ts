import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FailedLogin, FailedLogins } from './core/access/failed-logins';
import { AdminGuard } from './gateway/admin/admin-guard';
import { Connections } from './gateway/sockets/connections';
import { isLoopback, type ListenAddress } from './gateway/sockets/listen-address';
import { createListener, type ListenerTls, schemeOf } from './gateway/sockets/listener-tls';

export interface MetricsListenerOptions {
  readonly address: ListenAddress;
  /** Tokens that open the metrics; `reader` is null where none is configured, which only loopback allows. */
  readonly tokens: { readonly admin: string; readonly reader: string | null };
  /** Host names it answers to, besides loopback and its own address. */
  readonly hosts: readonly string[];
  readonly contentType: string;
  readonly metrics: () => Promise<string>;
  /** Null, or absent: plain HTTP. */
  readonly tls?: ListenerTls | null;
  /** Why this process cannot work, for `/readyz`; null when it can. */
  readonly problem: () => string | null;
  readonly loginFailed: (failure: FailedLogin) => void;
}

export interface MetricsListener {
  /** `http://HOST:PORT/metrics`, or `https://`. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Thrown when a worker without a token for metrics is asked to show them where others can reach it. */
class OpenMetrics extends Error {
  override readonly name = 'OpenMetrics';
  constructor(readonly host: string) {
    super(
      `expected metricsToken in the configuration before showing metrics on ${host}: without one only loopback is allowed`,
    );
  }
}

/** Thrown when the address for metrics cannot be listened on. */
class MetricsAddressTaken extends Error {
  override readonly name = 'MetricsAddressTaken';
  constructor({ host, port }: ListenAddress, cause: NodeJS.ErrnoException) {
    super(`cannot show metrics on ${host}:${port} (${cause.code}): choose another --metrics`, { cause });
  }
}

/**
 * Serves `/metrics`, `/healthz` and `/readyz` of a worker. Throws `OpenMetrics`, and `MetricsAddressTaken` when the
 * address cannot be listened on.
 */
export async function startMetricsListener(options: MetricsListenerOptions): Promise<MetricsListener> {
  const { address, tokens, hosts } = options;
  if (tokens.reader === null && !isLoopback(address.host)) throw new OpenMetrics(address.host);
  const guard = new AdminGuard(
    tokens.admin,
    hosts,
    new FailedLogins({
      listener: 'metrics',
      now: () => performance.now(),
      log: options.loginFailed,
    }),
    tokens.reader ?? undefined,
  );
  const server = createListener(
    options.tls ?? null,
    { headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 30_000 },
    (request, response) => {
      answer(options, guard, request)
        .catch(() => ({ status: 500, type: TEXT, body: 'the metrics could not be read\n' }))
        .then((answered) => send(response, answered))
        .catch(() => response.destroy());
    },
  );
  server.on('clientError', (_error, socket) => socket.destroy());
  const connections = new Connections(server, CONNECTIONS_AT_MOST);
  await listen(server, address);
  const { address: host, port, family } = server.address() as AddressInfo;
  return {
    url: `${schemeOf(server)}://${family === 'IPv6' ? `[${host}]` : host}:${port}/metrics`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        connections.destroyAll();
      }),
  };
}

/** Prometheus, health probes and people. */
const CONNECTIONS_AT_MOST = 256;

const TEXT = 'text/plain; charset=utf-8';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly retryAfterS?: number;
}

async function answer(
  { metrics, contentType, problem, tokens }: MetricsListenerOptions,
  guard: AdminGuard,
  request: IncomingMessage,
): Promise<Answer> {
  const foreign = guard.refuseForeign(request);
  if (foreign !== null) return { status: foreign.status, type: TEXT, body: `${foreign.message}\n` };
  const [path] = (request.url ?? '').split('?');
  if (request.method !== 'GET') return { status: 405, type: TEXT, body: 'expected GET\n' };
  switch (path) {
    case '/healthz':
      return { status: 200, type: TEXT, body: 'ok\n' };
    case '/readyz': {
      const why = problem();
      return why === null
        ? { status: 200, type: TEXT, body: 'ready\n' }
        : { status: 503, type: TEXT, body: `${why}\n` };
    }
    case '/metrics': {
      const stranger = tokens.reader === null ? null : guard.refuseNonReader(request);
      if (stranger !== null) {
        const body = 'expected the token for metrics as Authorization: Bearer TOKEN\n';
        return { ...stranger, type: TEXT, body };
      }
      return { status: 200, type: contentType, body: await metrics() };
    }
    default:
      return { status: 404, type: TEXT, body: 'expected /metrics, /healthz or /readyz\n' };
  }
}

function send(response: ServerResponse, { status, type, body, retryAfterS }: Answer): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(retryAfterS === undefined ? {} : { 'retry-after': `${retryAfterS}`, connection: 'close' }),
  });
  response.end(body);
}

function listen(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new MetricsAddressTaken(address, error)));
    server.listen(address.port, address.host, () => resolve());
  });
}
