import type { Server, Socket } from 'node:net';
import { DIALECT_NAMES, type Dialect } from '../core/configuration/dialect';
import type { Caller } from './callers/callers';
import type { CallerAnswer } from './http1/caller-answer';
import { CallerConnection, type CallerHost, type MessageRefusal } from './http1/caller-connection';
import type { CallerRequest } from './http1/caller-request';
import { queryOf } from './request/forward-allowlist';
import { badRequest, GATEWAY_BUSY, type GatewayError, sendError } from './request/gateway-error';
import { stickyHeader } from './request/request-facts';
import { type RequestHead, readHead } from './request/request-head';
import { pathProblem, queryProblem } from './request/request-target';
import { dialectOfPath } from './request/spoken-dialect';
import { findTarget, type Target } from './request/target';
import { classify, type RequestClass } from './request/traffic-class';
import { dialectOf, type Route } from './routing/route';
import { Call } from './serving/call/call';
import { OUTCOMES_PATH, takeOutcomes } from './serving/outcomes';
import { serve } from './serving/serve';
import type { Services } from './serving/services';
import { refuseUpgrade, Tunnel } from './serving/tunnel';
import { takeSocket } from './sockets/connections';
import { createSocketListener, type ListenerTls } from './sockets/listener-tls';

const MAX_HEADER_BYTES = 32_768;

/** What a tunnel may have on its way in both directions: a piece that was read and one that is written. */
const TUNNEL_BYTES = 262_144;

/** The data listener and its connections. */
export class DataServer implements CallerHost {
  /** Not listening yet. */
  readonly server: Server;
  readonly headMs: number;
  readonly requestMs: number;
  readonly now: () => number;
  readonly #services: Services;
  readonly #connections = new Set<CallerConnection>();

  constructor(services: Services, tls: ListenerTls | null) {
    const { headersTimeout, bodyTimeout } = services.configuration.gateway;
    this.headMs = headersTimeout;
    this.requestMs = headersTimeout + bodyTimeout;
    this.now = services.now;
    this.#services = services;
    this.server = createSocketListener(tls, (socket) => this.#take(socket));
  }

  /** Closes what is between two requests. */
  closeIdle(): void {
    for (const connection of this.#connections) if (connection.isIdle) connection.destroy();
  }

  request(request: CallerRequest, answer: CallerAnswer): void {
    receive(this.#services, request, answer);
  }

  upgrade(request: CallerRequest, socket: Socket, head: Buffer): void {
    try {
      receiveUpgrade(this.#services, request, socket, head);
    } catch (error) {
      this.#services.defects.report(error, { during: 'upgrade' });
      socket.destroy();
    }
  }

  broke(error: unknown): void {
    this.#services.defects.report(error, { during: 'request' });
  }

  refuse(socket: Socket, why: MessageRefusal): void {
    refuseUpgrade(socket, REFUSALS[why]);
  }

  left(connection: CallerConnection): void {
    this.#connections.delete(connection);
    this.#services.deadlines.remove(connection);
  }

  #take(socket: Socket): void {
    takeSocket(socket);
    const connection = new CallerConnection(socket, this);
    this.#connections.add(connection);
    this.#services.deadlines.add(connection);
  }
}

function receive(services: Services, request: CallerRequest, response: CallerAnswer): void {
  if (services.isStopping()) response.shouldKeepAlive = false;
  const url = request.url ?? '';
  const queryAt = url.indexOf('?');
  const path = queryAt < 0 ? url : url.slice(0, queryAt);
  if (path === '/healthz' || path === '/readyz') {
    answerHealth(services, path, response);
    return;
  }
  const admitted = admit(services, request, path, queryAt < 0 ? '' : url.slice(queryAt + 1));
  if ('refused' in admitted) {
    request.discard();
    const { refused: error, closes: close } = admitted;
    const headers = error.status === 405 ? ['allow', ALLOWED] : [];
    sendError(response, { error, dialect: dialectAt(services, path), headers, close });
    return;
  }
  const { target, query, head, caller } = admitted;
  if (target.path === OUTCOMES_PATH) {
    takeOutcomes({ services, route: target.route, request, response, head, caller });
    return;
  }
  const traffic = classify(request.method ?? '', target.path);
  const tokens =
    caller.limits === null || !usesModel(traffic) ? 0 : caller.limits.estimate(head.contentLength ?? 0);
  const limited = caller.limits?.begin(tokens, services.now()) ?? null;
  if (limited !== null) {
    request.resume();
    sendError(response, { ...limited, dialect: dialectAt(services, path), close: head.hasBody });
    return;
  }
  const call = new Call(
    services,
    target.route,
    request,
    response,
    head,
    caller,
    traffic,
    target.path,
    query,
    tokens,
  );
  services.active.add(call);
  serve(call);
}

function usesModel({ class: of }: RequestClass): boolean {
  return of === 'randomised' || of === 'whole';
}

interface AdmittedRequest {
  readonly target: Target;
  /** What is passed on of the query. */
  readonly query: string;
  readonly head: RequestHead;
  readonly caller: Caller;
}

function admit(
  services: Services,
  request: CallerRequest,
  path: string,
  query: string,
): AdmittedRequest | { refused: GatewayError; closes: boolean } {
  if (!METHODS.has(request.method ?? '')) {
    const message = `expected a method of the API (${ALLOWED}), got ${request.method}`;
    return { refused: badRequest('bad_method', message, 405), closes: true };
  }
  if (path.charCodeAt(0) !== 47) {
    return {
      refused: badRequest('bad_target', 'expected a path as the target, got another form'),
      closes: true,
    };
  }
  const problem = pathProblem(path) ?? queryProblem(query);
  if (problem !== null) {
    const message = `expected an unambiguous target, got one with ${problem}`;
    return { refused: badRequest('bad_target', message), closes: true };
  }
  const target = findTarget(path, services.routes, services.defaultRoute);
  const route = target?.route ?? services.defaultRoute;
  const head = readHead(request, stickyHeader(route.state.stickyKey), services.forwarding);
  if ('refused' in head) return { refused: head.refused, closes: true };
  const caller = services.callers.identify(head.key);
  if (caller === null) return refuseStranger(services, request, head.hasBody);
  if (target === null) {
    const message = `expected /v1/... or /routes/NAME/v1/... with a known route, got ${path.slice(0, 100)}`;
    return { refused: badRequest('unknown_url', message, 404), closes: head.hasBody };
  }
  const refused = wrongDialect(services, request.method ?? '', target);
  if (refused !== null) return { refused, closes: head.hasBody };
  return { target, query: queryOf(query, services.forwarding.query), head, caller };
}

/** A request that the providers of its route do not understand; null for one that they may. */
function wrongDialect({ routes }: Services, method: string, { path, route }: Target): GatewayError | null {
  const spoken = dialectOfPath(path);
  const expected = dialectOf(route);
  if (spoken === null || spoken === expected) return null;
  const others = [...routes.values()].filter((other) => dialectOf(other) === spoken);
  const where = others.map(({ name }) => `/routes/${name}/v1`).join(', ') || 'no route of this gateway';
  return badRequest(
    'wrong_dialect',
    `expected a request of ${DIALECT_NAMES[expected]}, which the providers of the route "${route.name}" speak, got ${method} ${path.slice(0, 100)} of ${DIALECT_NAMES[spoken]}: requests are not translated. ${DIALECT_NAMES[spoken]} is spoken at ${where}`,
    404,
  );
}

/** Whose errors the client behind a path understands. */
function dialectAt({ routes, defaultRoute }: Services, path: string): Dialect {
  const target = findTarget(path, routes, defaultRoute);
  if (target === null) return MESSAGES_PATH.test(path) ? 'anthropic' : 'openai';
  return dialectOfPath(target.path) ?? dialectOf(target.route);
}

const MESSAGES_PATH = /\/v1\/messages(?:\/|$)/;

/** TRACE and the like would have a provider send back what it was sent, its key included. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const ALLOWED = [...METHODS].join(', ');

function refuseStranger(
  { failedLogins }: Services,
  request: CallerRequest,
  closes: boolean,
): { refused: GatewayError; closes: boolean } {
  const retryAfterS = failedLogins.add(request.socket.remoteAddress);
  if (retryAfterS === null) return { refused: UNKNOWN_CALLER, closes };
  const message = 'too many unknown keys from this address: try again in a minute';
  return { refused: { ...badRequest('too_many_failed_logins', message, 429), retryAfterS }, closes: true };
}

const UNKNOWN_CALLER: GatewayError = {
  status: 401,
  type: 'invalid_request_error',
  code: 'invalid_api_key',
  message:
    'expected a key that this gateway knows, as Authorization: Bearer KEY, x-api-key: KEY or api-key: KEY',
};

function receiveUpgrade(services: Services, request: CallerRequest, socket: Socket, head: Buffer): void {
  takeSocket(socket);
  const url = request.url ?? '';
  const queryAt = url.indexOf('?');
  const path = queryAt < 0 ? url : url.slice(0, queryAt);
  const admitted = admitUpgrade(services, request, path, queryAt < 0 ? '' : url.slice(queryAt + 1));
  if ('refused' in admitted) {
    refuseUpgrade(socket, admitted.refused);
    return;
  }
  const { target, query, head: read, caller } = admitted;
  const { route } = target;
  const full = services.tunnels.refuse(caller);
  if (full !== null) {
    refuseUpgrade(socket, full);
    return;
  }
  const limited = caller.limits?.begin(0, services.now()) ?? null;
  if (limited !== null) {
    refuseUpgrade(socket, limited.error);
    return;
  }
  const account = services.memory.account(caller.team);
  if (!account.take(TUNNEL_BYTES)) {
    caller.limits?.end(0, null);
    refuseUpgrade(socket, GATEWAY_BUSY);
    return;
  }
  const provider = route.providers[route.configuration.stateful];
  const startedMs = services.now();
  const tunnel = new Tunnel(request, socket, head, {
    provider,
    caller,
    path: provider.path(target.path, query, caller),
    forward: read.forward,
    startedMs,
    connectMs: provider.configuration.timeouts.connect + provider.configuration.timeouts.firstContent,
    idleMs: services.configuration.gateway.tunnels.idle,
    tunnels: services.tunnels,
    defects: services.defects,
    ended: (outcome, status) => {
      caller.limits?.end(0, null);
      account.give(TUNNEL_BYTES);
      const ms = Math.round(services.now() - startedMs);
      const line = {
        route: route.name,
        team: caller.team,
        method: 'GET',
        path: target.path,
        class: 'stateful',
      };
      services.log.logger.info({ ...line, provider: provider.name, status, outcome, ms }, 'tunnel');
    },
  });
  tunnel.open();
}

function admitUpgrade(
  services: Services,
  request: CallerRequest,
  path: string,
  query: string,
): AdmittedRequest | { refused: GatewayError } {
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || request.method !== 'GET') {
    return { refused: badRequest('bad_upgrade', 'expected an upgrade to websocket by GET') };
  }
  return admit(services, request, path, query);
}

function answerHealth(services: Services, path: string, response: CallerAnswer): void {
  const waiting = path === '/readyz' ? unready(services.routes) : [];
  const ok = waiting.length === 0 && !(path === '/readyz' && services.isStopping());
  const body = JSON.stringify({ status: ok ? 'ok' : 'not ready', waiting });
  response.writeHead(ok ? 200 : 503, [
    'content-type',
    'application/json',
    'content-length',
    `${body.length}`,
  ]);
  response.end(body);
}

function unready(routes: ReadonlyMap<string, Route>): string[] {
  return [...routes.values()].filter((route) => !route.state.isReady()).map((route) => route.name);
}

const REFUSALS: Readonly<Record<MessageRefusal, GatewayError>> = {
  malformed: badRequest('bad_request', 'expected a well-formed HTTP/1.1 request'),
  'too long': badRequest('headers_too_large', `expected at most ${MAX_HEADER_BYTES} bytes of headers`, 431),
  'too slow': badRequest('request_timeout', 'expected the whole request in time', 408),
};
