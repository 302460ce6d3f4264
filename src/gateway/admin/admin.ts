import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { FailedLogins } from '../../core/access/failed-logins';
import type { EvidenceReading } from '../../core/evidence/evidence';
import type {
  AdminError,
  AdminRefusal,
  GatewayStatus,
  KillLatch,
  PushAccepted,
  PushRequest,
  RenewRequest,
} from '../../core/routing/routing';
import type { ReloadOutcome } from '../configuration-reload';
import { UnknownCursor } from '../evidence/evidence-store';
import type { PushRefusal } from '../routing/push-decision';
import { killRequestSchema, pushRequestSchema, renewRequestSchema } from '../routing/record-schema';
import { closeWith } from '../sockets/connections';
import { createListener, type ListenerTls } from '../sockets/listener-tls';
import { AdminGuard, type GuardRefusal } from './admin-guard';

/** A route as the admin listener reads and changes it, in this process alone or in all that serve it. */
export interface AdministeredRoute {
  readonly name: string;
  readonly state: {
    readonly epoch: number;
    /** Whether the disk holds all that was taken. */
    readonly durable: boolean;
    isReady(): boolean;
    /** Called when a worker that holds a migration asks for the status. */
    heardController(): void;
    status(): GatewayStatus | Promise<GatewayStatus>;
    push(request: PushRequest): Promise<PushAccepted | PushRefusal>;
    renew(request: RenewRequest): GatewayStatus | PushRefusal | Promise<GatewayStatus | PushRefusal>;
    kill(latch: KillLatch): Promise<GatewayStatus>;
    clearKill(): Promise<GatewayStatus>;
  };
  readonly evidence: {
    read(epoch: number, since?: string): EvidenceReading | Promise<EvidenceReading>;
    peek(epoch: number): EvidenceReading | Promise<EvidenceReading>;
  };
}

export interface AdminServerOptions {
  readonly gateway: string;
  readonly incarnation: string;
  readonly routes: ReadonlyMap<string, AdministeredRoute>;
  readonly token: string;
  /** Opens the metrics and nothing else. */
  readonly metricsToken?: string;
  /** Host names this listener answers to, besides loopback and its own address. */
  readonly hosts: readonly string[];
  readonly failedLogins: FailedLogins;
  /** Wall clock, for the date on a kill latch. */
  readonly wallNow: () => Date;
  /** Told what was changed and by whom, for the log. */
  readonly notice: (message: string) => void;
  /** Null, or absent: plain HTTP. */
  readonly tls?: ListenerTls | null;
  /** Reads the configuration again; null, or absent: it did not come from a file. */
  readonly reload?: (() => Promise<ReloadOutcome>) | null;
  readonly metrics?: { readonly contentType: string; metrics(): Promise<string> };
}

/** What an admin call is answered with. */
interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly retryAfterS?: number;
}

interface Call {
  readonly method: string;
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly body: () => Promise<unknown>;
}

const BODY_LIMIT_BYTES = 65_536;
/** Only makes a path parseable; names are checked by the guard. */
const BASE = 'http://admin.invalid';
const ADMIN_PATH = '/admin/v1/routes';

class BadRequest extends Error {
  override readonly name = 'BadRequest';
}

/** The admin listener, not listening yet: status, push, lease, evidence, kill, health and metrics. */
export function createAdminServer(options: AdminServerOptions): Server {
  const guard = new AdminGuard(options.token, options.hosts, options.failedLogins, options.metricsToken);
  const server = createListener(
    options.tls ?? null,
    {
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 30_000,
    },
    (request, response) => {
      answer(options, guard, request)
        .catch((error: unknown) => answerFailure(options, error))
        .then((answered) => send(response, answered))
        .catch(() => response.destroy());
    },
  );
  server.on('clientError', (_error, socket) => {
    closeWith(socket, 'HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
  });
  return server;
}

async function answer(
  options: AdminServerOptions,
  guard: AdminGuard,
  request: IncomingMessage,
): Promise<Answer> {
  const foreign = guard.refuseForeign(request);
  if (foreign !== null) return refusedBy(foreign);
  if (!URL.canParse(request.url ?? '', BASE)) throw new BadRequest('expected a path that can be parsed');
  const target = new URL(request.url ?? '', BASE);
  if (target.pathname === '/healthz') return { status: 200, body: { status: 'ok' } };
  if (target.pathname === '/readyz') return readiness(options.routes);
  if (target.pathname === '/metrics' && options.metrics !== undefined) {
    const stranger = guard.refuseNonReader(request);
    if (stranger !== null) return refusedBy(stranger);
    return {
      status: 200,
      body: new Exposition(options.metrics.contentType, await options.metrics.metrics()),
    };
  }
  const stranger = guard.refuseStranger(request);
  if (stranger !== null) return refusedBy(stranger);
  if (target.pathname === ADMIN_PATH) {
    const routes = await Promise.all([...options.routes.values()].map(({ state }) => state.status()));
    return { status: 200, body: { gateway: options.gateway, incarnation: options.incarnation, routes } };
  }
  if (target.pathname === '/admin/v1/reload') return answerReload(options, request.method ?? '');
  if (!target.pathname.startsWith(`${ADMIN_PATH}/`)) {
    return refused(404, 'bad request', `expected a path below ${ADMIN_PATH}`);
  }
  const [name = '', ...path] = target.pathname.slice(ADMIN_PATH.length + 1).split('/');
  const route = options.routes.get(name);
  if (route === undefined) {
    const known = [...options.routes.keys()].join(', ');
    return refused(
      404,
      'unknown route',
      `expected one of the routes (${known}), got "${name.slice(0, 100)}"`,
    );
  }
  return answerRoute(options, route, {
    method: request.method ?? '',
    path,
    query: target.searchParams,
    body: () => readJson(request),
  });
}

async function answerReload({ gateway, reload }: AdminServerOptions, method: string): Promise<Answer> {
  if (method !== 'POST')
    return refused(404, 'bad request', `expected POST on /admin/v1/reload, got ${method}`);
  if (reload == null) {
    return refused(
      409,
      'bad request',
      'expected a gateway whose configuration is a file: only a file can be read again',
    );
  }
  const outcome = await reload();
  return 'refusal' in outcome
    ? refused(409, 'bad request', outcome.refusal)
    : { status: 200, body: { gateway, changed: outcome.changed } };
}

async function answerRoute(
  options: AdminServerOptions,
  route: AdministeredRoute,
  call: Call,
): Promise<Answer> {
  const { state } = route;
  switch (`${call.method} ${call.path.join('/')}`) {
    case 'GET ':
      if (call.query.get('controller') === '1') state.heardController();
      return { status: 200, body: await state.status() };
    case 'PUT ': {
      const request = parse(pushRequestSchema, await call.body());
      const taken = await state.push(request);
      if (!('code' in taken)) {
        const { record } = request;
        options.notice(
          `Route ${route.name} holds epoch ${record.epoch}: share ${record.share}, ${record.stage} of ${record.migrationId}`,
        );
      }
      return answerWith(taken, state);
    }
    case 'POST lease':
      return answerWith(await state.renew(parse(renewRequestSchema, await call.body())), state);
    case 'GET evidence':
      return readEvidence(route, call.query);
    case 'POST kill': {
      const { by, reason } = parse(killRequestSchema, await call.body());
      options.notice(`Route ${route.name}: kill switch set by ${by}: ${reason}`);
      return { status: 200, body: await state.kill({ by, reason, at: options.wallNow().toISOString() }) };
    }
    case 'DELETE kill': {
      const { by, reason } = parse(killRequestSchema, await call.body());
      options.notice(`Route ${route.name}: kill switch cleared by ${by}: ${reason}`);
      return { status: 200, body: await state.clearKill() };
    }
    default:
      return refused(
        404,
        'bad request',
        `expected a known call, got ${call.method} on /${call.path.join('/')}`,
      );
  }
}

async function readEvidence(route: AdministeredRoute, query: URLSearchParams): Promise<Answer> {
  const epochText = query.get('epoch') ?? String(route.state.epoch);
  if (!/^\d{1,15}$/.test(epochText))
    throw new BadRequest(`epoch: expected a number, got "${epochText.slice(0, 50)}"`);
  if (query.get('peek') === '1') {
    return { status: 200, body: await route.evidence.peek(Number(epochText)) };
  }
  try {
    const reading = await route.evidence.read(Number(epochText), query.get('since') ?? undefined);
    return { status: 200, body: reading };
  } catch (error) {
    if (error instanceof UnknownCursor)
      return refused(409, 'unknown cursor', error.message, await route.state.status());
    throw error;
  }
}

function readiness(routes: ReadonlyMap<string, AdministeredRoute>): Answer {
  const waiting = [...routes.values()].filter(({ state }) => !state.isReady()).map(({ name }) => name);
  return waiting.length === 0
    ? { status: 200, body: { status: 'ready' } }
    : { status: 503, body: { status: 'waiting for a routing record', routes: waiting } };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT_BYTES) throw new BadRequest(`expected a body of at most ${BODY_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new BadRequest('expected a JSON body');
  }
}

function parse<Output>(schema: z.ZodType<Output>, value: unknown): Output {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new BadRequest(z.prettifyError(result.error).slice(0, 2_000));
}

async function answerWith(outcome: object | PushRefusal, state: AdministeredRoute['state']): Promise<Answer> {
  if (!('code' in outcome)) return { status: 200, body: outcome };
  const status = outcome.code === 'bad request' ? 400 : 409;
  return refused(status, outcome.code, outcome.message, await state.status());
}

function refusedBy({ status, message, retryAfterS }: GuardRefusal): Answer {
  const answer = refused(status, 'unauthorized', message);
  return retryAfterS === undefined ? answer : { ...answer, retryAfterS };
}

function refused(status: number, code: AdminRefusal, message: string, seen?: GatewayStatus): Answer {
  const body: AdminError = { error: { code, message }, ...(seen === undefined ? {} : { status: seen }) };
  return { status, body };
}

function answerFailure(options: AdminServerOptions, error: unknown): Answer {
  if (error instanceof BadRequest) return refused(400, 'bad request', error.message);
  options.notice(`An admin call failed unexpectedly: ${error}`);
  return refused(500, 'bad request', 'this call failed unexpectedly; the log of the gateway has the reason');
}

class Exposition {
  constructor(
    readonly contentType: string,
    readonly text: string,
  ) {}
}

function send(response: ServerResponse, { status, body, retryAfterS }: Answer): void {
  const isExposition = body instanceof Exposition;
  const text = isExposition ? body.text : JSON.stringify(body);
  response.writeHead(status, {
    'content-type': isExposition ? body.contentType : 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(retryAfterS === undefined ? {} : { 'retry-after': `${retryAfterS}` }),
    // An answer before the whole body was read leaves the rest of it in the way of the next request.
    ...(response.req.complete && retryAfterS === undefined ? {} : { connection: 'close' }),
  });
  response.end(text);
}
