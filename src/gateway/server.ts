import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { readBody, type UnreadBody } from './body-reader';
import { Call } from './call';
import type { Caller } from './callers';
import { candidateBody } from './model-mapping';
import { readMultipartModel } from './multipart-model';
import { badRequest, type GatewayError, sendError } from './openai-error';
import { serveRandomised } from './randomised';
import { isBoundToState, type RequestFacts, readFacts, stickyHeader } from './request-facts';
import { type RequestHead, readHead } from './request-head';
import { mappingOf, type Route } from './route';
import type { Services } from './services';
import { serveSingle } from './single';
import { serveStateful } from './stateful';
import { findTarget, type Target } from './target';
import { classify } from './traffic-class';
import { openTunnel, refuseUpgrade } from './tunnel';

/** Above the idle timeouts of common load balancers (60 s), so that never a reused connection dies first. */
const KEEP_ALIVE_MS = 75_000;
const MAX_HEADER_BYTES = 32_768;
/** One more than are accepted, so that the parser never hides that there were more. */
const PARSED_HEADERS = 130;

/** The data listener, not listening yet. */
export function createDataServer(services: Services): Server {
  const { headersTimeout, bodyTimeout } = services.configuration.gateway;
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout,
      requestTimeout: headersTimeout + bodyTimeout,
      connectionsCheckingInterval: Math.max(250, Math.min(5_000, headersTimeout / 4)),
      keepAliveTimeout: KEEP_ALIVE_MS,
      insecureHTTPParser: false,
      noDelay: true,
    },
    (request, response) => receive(services, request, response),
  );
  server.maxHeadersCount = PARSED_HEADERS;
  server.on('upgrade', (request, socket, head) => receiveUpgrade(services, request, socket, head));
  server.on('connect', (_request, socket) =>
    refuseUpgrade(socket, badRequest('bad_method', 'expected no CONNECT', 405)),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    refuseUpgrade(socket, clientError(error));
  });
  return server;
}

function receive(services: Services, request: IncomingMessage, response: ServerResponse): void {
  if (services.isStopping()) response.shouldKeepAlive = false;
  const url = request.url ?? '';
  const queryAt = url.indexOf('?');
  const path = queryAt < 0 ? url : url.slice(0, queryAt);
  if (path === '/healthz' || path === '/readyz') {
    answerHealth(services, path, response);
    return;
  }
  const admitted = admit(services, request, path);
  if ('refused' in admitted) {
    request.resume();
    sendError(response, admitted.refused, [], admitted.closes);
    return;
  }
  const { target, head, caller } = admitted;
  const traffic = classify(request.method ?? '', target.path);
  const query = queryAt < 0 ? '' : url.slice(queryAt + 1);
  const call = new Call(services, target.route, request, response, head, caller, traffic, target.path, query);
  services.active.add(call);
  guard(call, () => serve(services, call));
}

/** A defect in serving one request must end that request and nothing else. */
function guard(call: Call, act: () => void): void {
  try {
    act();
  } catch (error) {
    call.services.log.logger.error({ path: call.path, error: (error as Error).stack }, 'defect');
    call.refuse({ status: 500, type: 'server_error', code: 'gateway_defect', message: 'the gateway failed' });
    call.response.destroy();
    call.finish();
  }
}

interface Admitted {
  readonly target: Target;
  readonly head: RequestHead;
  readonly caller: Caller;
}

function admit(
  services: Services,
  request: IncomingMessage,
  path: string,
): Admitted | { refused: GatewayError; closes: boolean } {
  if (path.charCodeAt(0) !== 47) {
    return {
      refused: badRequest('bad_target', 'expected a path as the target, got another form'),
      closes: true,
    };
  }
  const target = findTarget(path, services.routes, services.defaultRoute);
  const route = target?.route ?? services.defaultRoute;
  const head = readHead(request, stickyHeader(route.state.stickyKey));
  if ('refused' in head) return { refused: head.refused, closes: true };
  const caller = services.callers.identify(head.key);
  if (caller === null) return { refused: UNKNOWN_CALLER, closes: head.hasBody };
  if (target === null) {
    const message = `expected /v1/... or /routes/NAME/v1/... with a known route, got ${path.slice(0, 100)}`;
    return { refused: badRequest('unknown_url', message, 404), closes: head.hasBody };
  }
  return { target, head, caller };
}

const UNKNOWN_CALLER: GatewayError = {
  status: 401,
  type: 'invalid_request_error',
  code: 'invalid_api_key',
  message: 'expected a key that this gateway knows, as Authorization: Bearer KEY or api-key: KEY',
};

function serve(services: Services, call: Call): void {
  const { head, traffic, request } = call;
  const { maxBodyBytes } = services.configuration.gateway;
  const length = head.contentLength ?? 0;
  const needsBody =
    traffic.class === 'randomised' ||
    traffic.class === 'whole' ||
    (traffic.class === 'stateful' && head.contentType.includes('json') && length <= maxBodyBytes);
  if (!needsBody || !services.buffered.hasRoom(length)) {
    serveUnread(call);
    return;
  }
  if (length > maxBodyBytes) {
    refuseBody(call, 'too-large', maxBodyBytes);
    return;
  }
  readBody(request, maxBodyBytes, services.buffered, (body) => {
    if (typeof body === 'string') {
      refuseBody(call, body, maxBodyBytes);
      return;
    }
    call.takeBody(body, services.buffered);
    guard(call, () => serveRead(call));
  });
}

/** Passed on as it comes: nothing of the body matters, or there is no room to hold it. */
function serveUnread(call: Call): void {
  const { head, request, traffic } = call;
  if (traffic.class === 'stateful') {
    serveStateful(call, true);
    return;
  }
  const body = head.hasBody ? request : null;
  serveSingle(call, { side: 'legacy', body, model: null, permitted: false, reads: false });
}

function serveRead(call: Call): void {
  const { traffic, route } = call;
  const facts = factsOf(call);
  call.facts = facts;
  if (
    traffic.class === 'stateful' ||
    (facts !== null && traffic.endpoint !== 'opaque' && isBoundToState(facts))
  ) {
    serveStateful(call, false);
    return;
  }
  const mapping = facts === null ? null : mappingOf(route, facts.model);
  if (facts === null || mapping === null) {
    serveAtLegacy(call);
    return;
  }
  if (traffic.class === 'whole') serveWhole(call, facts);
  else if (facts.text === '' && (mapping.candidate !== facts.model || reshapes(mapping.parameters)))
    serveAtLegacy(call);
  else serveRandomised(call, facts, mapping);
}

/** Embeddings: all of them at one provider, never failed over to another vector space. */
function serveWhole(call: Call, facts: RequestFacts): void {
  const { route, body } = call;
  const mapping = mappingOf(route, facts.model);
  if (mapping === null || route.state.wholeSide() === 'legacy') {
    serveAtLegacy(call);
    return;
  }
  const mapped = candidateBody(body, facts, mapping, false).body;
  const ask = {
    side: 'candidate',
    body: mapped,
    model: mapping.candidate,
    permitted: true,
    reads: false,
  } as const;
  serveSingle(call, ask, (attempt) => {
    if (attempt.sent || attempt.failure?.kind !== 'withdrawn') return false;
    serveAtLegacy(call);
    return true;
  });
}

function serveAtLegacy(call: Call): void {
  const model = call.facts?.model ?? null;
  serveSingle(call, { side: 'legacy', body: call.body, model, permitted: false, reads: false });
}

/** A multipart body can be read but not written: `text` is empty, and it moves only where nothing changes. */
function factsOf(call: Call): RequestFacts | null {
  const { contentType } = call.head;
  if (!contentType.toLowerCase().startsWith('multipart/')) return readFacts(call.body);
  const fields = readMultipartModel(contentType, call.body);
  return fields === null ? null : { ...fields, text: '', json: {}, wantsUsage: true };
}

function reshapes(parameters: { rename: object; drop: readonly string[]; set: object }): boolean {
  return (
    parameters.drop.length > 0 ||
    Object.keys(parameters.rename).length > 0 ||
    Object.keys(parameters.set).length > 0
  );
}

function refuseBody(call: Call, reason: UnreadBody, maxBytes: number): void {
  // The rest is read and thrown away, or the caller would see a reset in place of the answer.
  call.request.resume();
  if (reason === 'too-large') {
    const message = `expected a body of at most ${maxBytes} bytes (gateway.maxBodyBytes), got more`;
    call.refuse(badRequest('body_too_large', message, 413), true);
  } else if (reason === 'no-room') {
    const message = 'this gateway holds as many bodies as gateway.maxBufferedBytes allows; try again';
    call.refuse({ status: 503, type: 'server_error', code: 'gateway_busy', message, retryAfterS: 1 }, true);
  } else call.outcome = 'aborted';
  call.finish();
}

function receiveUpgrade(services: Services, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  const url = request.url ?? '';
  const queryAt = url.indexOf('?');
  const path = queryAt < 0 ? url : url.slice(0, queryAt);
  const admitted = admitUpgrade(services, request, path);
  if ('refused' in admitted) {
    refuseUpgrade(socket, admitted.refused);
    return;
  }
  const { target, head: read, caller } = admitted;
  const { route } = target;
  const provider = route.providers[route.configuration.stateful];
  const startedMs = services.now();
  openTunnel(request, socket, head, {
    provider,
    caller,
    path: provider.path(target.path, queryAt < 0 ? '' : url.slice(queryAt + 1), caller),
    forward: read.forward,
    connectMs: provider.configuration.timeouts.connect + provider.configuration.timeouts.firstContent,
    ended: (outcome, status) => {
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
}

function admitUpgrade(
  services: Services,
  request: IncomingMessage,
  path: string,
): Admitted | { refused: GatewayError } {
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || request.method !== 'GET') {
    return { refused: badRequest('bad_upgrade', 'expected an upgrade to websocket by GET') };
  }
  return admit(services, request, path);
}

function answerHealth(services: Services, path: string, response: ServerResponse): void {
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

function clientError(error: NodeJS.ErrnoException): GatewayError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return badRequest('headers_too_large', `expected at most ${MAX_HEADER_BYTES} bytes of headers`, 431);
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return badRequest('request_timeout', 'expected the whole request in time', 408);
    default:
      return badRequest('bad_request', 'expected a well-formed HTTP/1.1 request');
  }
}
