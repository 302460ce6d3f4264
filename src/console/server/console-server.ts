import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FailedLogin, FailedLogins } from '../../core/access/failed-logins';
import type { Plan } from '../../core/plan/plan';
import { changeTexts } from '../../core/plan/plan-change';
import { Connections } from '../../gateway/sockets/connections';
import { createListener, type ListenerTls, schemeOf } from '../../gateway/sockets/listener-tls';
import type { ConsoleClient } from '../source/console-client';
import { checkpointLine } from '../view/checkpoint-line';
import { type CommandRequest, readAmendmentRequest, readCommandRequest } from './command-request';
import type { ConsoleFeeds, WatchedMigration } from './console-feeds';
import { ConsoleGuard } from './console-guard';
import { acceptsGzip, EventStream } from './event-stream';
import type { PageFile } from './page-file';
import { commandRefusal } from './roles';
import { type Identity, isRefusal, type Visitor, type VisitorRefusal } from './visitor';

export interface ConsoleServerOptions {
  readonly client: () => Promise<ConsoleClient>;
  readonly feeds: ConsoleFeeds;
  readonly files: ReadonlyMap<string, PageFile>;
  readonly token: string;
  /** Who gives the commands of this page: recorded with each. The name is null for whoever has the token. */
  readonly by: (name: string | null) => string;
  /** How people log in, once it is known where the console is reached; by the token when absent. */
  readonly identity?: ((url: URL) => Identity) | null;
  /** Names that the page may be reached by, beside loopback. */
  readonly hosts: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly loginFailed: (failure: FailedLogin) => void;
  /** The report of a route's newest migration, or of one run, as one HTML page; absent: none is offered. */
  readonly report?: (route: string, runId: string | null) => Promise<string>;
  /** The plan in a text that somebody gave; throws `BadInput` for what is wrong with it. Absent: plans are not amended here. */
  readonly readPlan?: (text: string) => Plan;
  /** Null, or absent: plain HTTP. */
  readonly tls?: ListenerTls | null;
}

export interface RunningConsole {
  /** Where it is reached, without the token. */
  readonly url: string;
  stop(): Promise<void>;
}

const BODY_LIMIT_BYTES = 65_536;
const VIEWERS_AT_MOST = 200;
/** Viewers, and what their browsers fetch and send besides. */
const CONNECTIONS_AT_MOST = 1_000;
const ROUTE = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const RUN = /^[0-9a-f-]{36}$/;
/** Where another site may lead a browser once people log in elsewhere: what it gets there is the same for everybody. */
const NAVIGABLE = /^\/(?:login|callback)?(?:\?|$)/;
/** Node's timers know no longer one. */
const LONGEST_TIMER_MS = 2_147_483_647;

const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** Serves the page and its live data; rejects when the address cannot be listened on. */
export async function startConsole(options: ConsoleServerOptions): Promise<RunningConsole> {
  const server = createListener(options.tls ?? null, { headersTimeout: 5_000, requestTimeout: 10_000 });
  const connections = new Connections(server, CONNECTIONS_AT_MOST);
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const name = options.host.includes(':') ? `[${options.host}]` : options.host;
  const url = `${schemeOf(server)}://${name}:${port}/`;
  const site = new ConsoleSite(
    options,
    new ConsoleGuard(options.token, [options.host, ...options.hosts], port, schemeOf(server) === 'https'),
    options.identity?.(new URL(url)) ?? null,
  );
  server.on('request', (request, response) => {
    site.answer(request, response).catch(() => response.destroy());
  });
  return {
    url,
    stop: () => stopServer(server, connections, options.feeds),
  };
}

async function stopServer(server: Server, connections: Connections, feeds: ConsoleFeeds): Promise<void> {
  feeds.stop();
  const closed = once(server, 'close');
  server.close();
  connections.destroyAll();
  await closed;
}

class ConsoleSite {
  #viewers = 0;
  readonly #failedLogins: FailedLogins;

  constructor(
    private readonly options: ConsoleServerOptions,
    private readonly guard: ConsoleGuard,
    private readonly identity: Identity | null,
  ) {
    this.#failedLogins = new FailedLogins({
      listener: 'console',
      now: () => performance.now(),
      log: options.loginFailed,
    });
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isNavigable = this.identity !== null && NAVIGABLE.test(request.url ?? '');
    const foreign = this.guard.refuseForeign(request, isNavigable);
    if (foreign !== null) return refuse(response, foreign);
    const url = URL.canParse(request.url ?? '', 'http://console.invalid')
      ? new URL(request.url ?? '', 'http://console.invalid')
      : null;
    if (url === null) return refuse(response, { status: 400, message: 'expected a path' });
    const call = `${request.method} ${url.pathname}`;
    const file =
      request.method === 'GET' || request.method === 'HEAD'
        ? this.options.files.get(url.pathname)
        : undefined;
    if (file !== undefined) return sendFile(request, response, file);
    if (this.identity === null && call === 'POST /api/session') return this.#openSession(request, response);
    if ((await this.identity?.answer(request, url, response)) === true) return;
    const visitor = this.#visitorOf(request);
    if (isRefusal(visitor)) {
      const login = this.identity?.kind ?? 'token';
      return sendJson(response, visitor.status, { message: visitor.message, login });
    }
    if (call === 'GET /api/session') {
      const { name, role } = visitor;
      return sendJson(response, 200, { by: this.options.by(name), name, role });
    }
    if (call === 'GET /api/live') return this.#stream(url, visitor, request, response);
    const [, route = '', what] =
      /^\/api\/routes\/([^/]+)\/(commands|amendment|checkpoints|report)$/.exec(url.pathname) ?? [];
    if (!ROUTE.test(route)) return sendJson(response, 404, { message: 'expected a path of this console' });
    if (what === 'commands' && request.method === 'POST')
      return this.#command(route, visitor, request, response);
    if (what === 'amendment' && request.method === 'POST')
      return this.#amendment(route, visitor, request, response);
    if (what === 'checkpoints' && request.method === 'GET') return this.#checkpoints(route, url, response);
    if (what === 'report' && request.method === 'GET') return this.#report(route, url, response);
    return sendJson(response, 405, { message: `expected another method for ${url.pathname}` });
  }

  async #openSession(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    const cookie = this.guard.cookieFor((body as { token?: unknown } | null)?.token);
    if (cookie === null) {
      const retryAfterS = this.#failedLogins.add(request.socket.remoteAddress);
      if (retryAfterS === null) {
        return refuse(response, { status: 401, message: 'expected the token that cutover ui printed' });
      }
      response.setHeader('retry-after', retryAfterS);
      response.setHeader('connection', 'close');
      return refuse(response, {
        status: 429,
        message: 'too many wrong tokens from this address: try again in a minute',
      });
    }
    response.setHeader('set-cookie', cookie);
    return sendJson(response, 200, { by: this.options.by(null) });
  }

  #visitorOf(request: IncomingMessage): Visitor | VisitorRefusal {
    if (this.identity !== null) return this.identity.visitorOf(request);
    return this.guard.refuseStranger(request) ?? { name: null, role: 'operator', untilMs: null };
  }

  #stream(url: URL, { untilMs }: Visitor, request: IncomingMessage, response: ServerResponse): void {
    const route = url.searchParams.get('route');
    const runId = url.searchParams.get('run');
    if ((route !== null && !ROUTE.test(route)) || (runId !== null && !RUN.test(runId))) {
      sendJson(response, 400, { message: 'expected the name of a route, and the id of a run or none' });
      return;
    }
    if (this.#viewers >= VIEWERS_AT_MOST) {
      sendJson(response, 503, { message: `expected at most ${VIEWERS_AT_MOST} viewers` });
      return;
    }
    this.#viewers += 1;
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const stream = new EventStream(request, response);
    const { feeds } = this.options;
    const subscriptions = [
      ...(route === null
        ? [feeds.list.subscribe((changed) => stream.send('list', changed))]
        : [feeds.watch(route, runId).feed.subscribe((changed) => stream.send('migration', changed))]),
    ];
    // A login that is over shows nothing more: the page asks for another.
    const ending =
      untilMs === null
        ? undefined
        : setTimeout(() => response.destroy(), Math.min(Math.max(0, untilMs - Date.now()), LONGEST_TIMER_MS));
    response.once('close', () => {
      clearTimeout(ending);
      this.#viewers -= 1;
      for (const unsubscribe of subscriptions) unsubscribe();
    });
  }

  async #command(
    route: string,
    visitor: Visitor,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const read = await readOrder(visitor, request, response, readCommandRequest);
    if (read !== null) await this.#give(route, visitor, read, response);
  }

  /** What another plan would change; where it is given as a command, the amendment itself. */
  async #amendment(
    route: string,
    visitor: Visitor,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const read = await readOrder(visitor, request, response, readAmendmentRequest);
    if (read === null) return;
    const { readPlan } = this.options;
    if (readPlan === undefined) return sendJson(response, 404, { message: 'this console amends no plans' });
    try {
      const plan = readPlan(read.text);
      if (plan.route !== route) {
        return sendJson(response, 400, {
          message: `expected a plan of the route "${route}", got one of "${plan.route}"`,
        });
      }
      if (read.give === undefined) {
        const { changes, refusal, digest } = await (await this.options.client()).amendment(route, plan);
        return sendJson(response, 200, { changes: changes.map(changeTexts), refusal, digest });
      }
      const { commandId, reason, digest } = read.give;
      const order = {
        name: 'amend',
        label: 'Amend the plan',
        commandId,
        reason,
        payload: { plan, digest },
      } as const;
      await this.#give(route, visitor, order, response);
    } catch (error) {
      sendProblem(response, error);
    }
  }

  /** Sends a command and follows it. */
  async #give(
    route: string,
    { name: person }: Visitor,
    command: Omit<CommandRequest, 'payload'> & { readonly payload: Readonly<Record<string, unknown>> },
    response: ServerResponse,
  ): Promise<void> {
    const { name, commandId, label, reason, payload } = command;
    const by = this.options.by(person);
    const watched: WatchedMigration = this.options.feeds.watch(route, null);
    const order = { commandId, name, label, by, atMs: Date.now(), end: null };
    watched.source.follow(order);
    watched.feed.nudge();
    try {
      const client = await this.options.client();
      const sent = await client.command(route, name, { ...payload, by, reason, commandId });
      sendJson(response, 202, { commandId: sent.commandId, via: sent.via });
    } catch (error) {
      const failed = error instanceof Error ? error.message : String(error);
      watched.source.follow({ ...order, end: { failed } });
      sendProblem(response, error);
    }
    watched.feed.nudge();
  }

  async #report(route: string, url: URL, response: ServerResponse): Promise<void> {
    const { report } = this.options;
    const runId = url.searchParams.get('run');
    if (runId !== null && !RUN.test(runId))
      return sendJson(response, 400, { message: 'expected the id of a run' });
    if (report === undefined) return sendJson(response, 404, { message: 'this console writes no reports' });
    try {
      const html = await report(route, runId);
      response.writeHead(200, {
        ...SECURITY_HEADERS,
        // The page is one file with its own style, and loads nothing.
        'content-security-policy':
          "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        'content-type': 'text/html; charset=utf-8',
        'content-length': Buffer.byteLength(html),
        'cache-control': 'no-store',
      });
      response.end(html);
    } catch (error) {
      sendProblem(response, error);
    }
  }

  async #checkpoints(route: string, url: URL, response: ServerResponse): Promise<void> {
    const runId = url.searchParams.get('run');
    if (runId !== null && !RUN.test(runId))
      return sendJson(response, 400, { message: 'expected the id of a run' });
    try {
      const client = await this.options.client();
      const lines = [];
      const options = runId === null ? {} : { runId };
      for await (const entry of client.checkpoints(route, options)) lines.push(checkpointLine(entry));
      sendJson(response, 200, lines.reverse());
    } catch (error) {
      sendProblem(response, error);
    }
  }
}

/** By the name of what the client throws. */
const STATUS_OF: Readonly<Record<string, number>> = {
  InvalidCommand: 400,
  InvalidDocument: 400,
  NoMigration: 404,
  CommandRefused: 409,
  TemporalUnreachable: 503,
  NoWorker: 503,
  EncodedPayloads: 503,
  CodecFailed: 503,
};

function sendProblem(response: ServerResponse, error: unknown): void {
  const { message, name } = error instanceof Error ? error : new Error(String(error));
  sendJson(response, STATUS_OF[name] ?? 500, { message });
}

/** What somebody orders; null where that was answered because it may not, or cannot, be done. */
async function readOrder<Order extends object>(
  { name: person, role }: Visitor,
  request: IncomingMessage,
  response: ServerResponse,
  read: (body: unknown) => Order | { readonly problem: string },
): Promise<Order | null> {
  const refusal = commandRefusal(role, person);
  if (refusal !== null) {
    sendJson(response, 403, { message: refusal });
    return null;
  }
  if (request.headers['content-type']?.split(';')[0] !== 'application/json') {
    sendJson(response, 415, { message: 'expected application/json' });
    return null;
  }
  const order = read(await readJson(request));
  if (!('problem' in order)) return order;
  sendJson(response, 400, { message: order.problem });
  return null;
}

function sendFile(request: IncomingMessage, response: ServerResponse, file: PageFile): void {
  const headers = {
    ...SECURITY_HEADERS,
    'cache-control': 'no-cache',
    etag: file.etag,
    vary: 'accept-encoding',
  };
  if (request.headers['if-none-match'] === file.etag) {
    response.writeHead(304, headers).end();
    return;
  }
  const zipped = acceptsGzip(request);
  const bytes = zipped ? file.gzipped : file.bytes;
  response.writeHead(200, {
    ...headers,
    'content-type': file.type,
    'content-length': bytes.length,
    ...(zipped ? { 'content-encoding': 'gzip' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

function refuse(response: ServerResponse, { status, message }: VisitorRefusal): void {
  sendJson(response, status, { message });
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    // An answer before the whole body was read leaves the rest of it in the way of the next request.
    ...(response.req.complete ? {} : { connection: 'close' }),
  });
  response.end(text);
}

/** The body as JSON; undefined when it is none, or too long. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT_BYTES) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}
