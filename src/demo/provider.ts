import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { chosenWord, countedBy, type DemoModel } from './demo-model';
import {
  answerWords,
  chatChunks,
  chatCompletion,
  type DemoRequest,
  embeddings,
  modelList,
  providerErrorBody,
  readDemoRequest,
  responseEvents,
  responseObject,
  sendJson,
  textChunks,
  textCompletion,
  withBrokenArguments,
} from './provider-answers';
import { type ServedModel, serveChat } from './served-chat';

/** How a demo provider behaves; every field may be changed while it serves. */
export interface ProviderBehaviour {
  /** Median time to the first token of a stream, milliseconds; a plain answer adds its tokens' time. */
  latencyMs: number;
  /** Median time between tokens, milliseconds. */
  tokenMs: number;
  /** Multiplies every latency. */
  latencyFactor: number;
  /** Spread of latencies: standard deviation of their logarithm. */
  jitter: number;
  /** Tokens of an answer. */
  tokens: number;
  /** Part of the generating requests that fail, 0 to 1. */
  failureRatio: number;
  failureStatus: number;
  /** Sent as Retry-After with a failure, seconds; null for none. */
  retryAfterS: number | null;
  /** The model that is served, where it matters which; null: any answers do. */
  model: DemoModel | null;
  /** Part of the calls of tools whose arguments do not keep to the schema of their tool, 0 to 1. */
  brokenCallRatio: number;
  /** Digests of the weights that are served, by model; stated in the list of models. */
  digests: Readonly<Record<string, string>>;
}

/** One request as the provider itself saw it: an independent account of who was served where. */
export interface SeenRequest {
  /** Wall clock, milliseconds. */
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
  readonly model: string;
  readonly stream: boolean;
  /** Value of the x-cutover-tag header, null without one. */
  readonly tag: string | null;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** True when the caller went away before the answer was complete. */
  readonly aborted: boolean;
}

export interface ProviderOptions {
  readonly name: string;
  readonly models: readonly string[];
  readonly behaviour?: Partial<ProviderBehaviour>;
  /** Port to listen on; 0 picks a free one. */
  readonly port?: number;
  /** A key to insist on (Bearer or api-key); none when absent. */
  readonly key?: string;
  /** How many of the newest requests are remembered; 100,000 when absent. */
  readonly remember?: number;
  /** What answers chats, in place of words that say nothing; then nothing but chats is served. */
  readonly served?: ServedModel;
  /** Uniform in [0, 1); Math.random when absent. */
  readonly random?: () => number;
}

/** An OpenAI-compatible provider on loopback: real HTTP, realistic latencies, streams. */
export interface DemoProvider {
  readonly name: string;
  /** Base URL with /v1. */
  readonly url: string;
  readonly behaviour: ProviderBehaviour;
  /** The newest requests, oldest first. */
  readonly requests: readonly SeenRequest[];
  /** How many requests were ever seen. */
  readonly requestCount: number;
  stop(): Promise<void>;
}

const DEFAULT_BEHAVIOUR: ProviderBehaviour = {
  latencyMs: 40,
  tokenMs: 4,
  latencyFactor: 1,
  jitter: 0.25,
  tokens: 20,
  failureRatio: 0,
  failureStatus: 500,
  retryAfterS: null,
  brokenCallRatio: 0,
  digests: {},
  model: null,
};

type MutableRequest = { -readonly [Field in keyof SeenRequest]: SeenRequest[Field] };

/** Starts a demo provider; it answers once the promise is fulfilled. */
export async function startProvider(options: ProviderOptions): Promise<DemoProvider> {
  const behaviour = { ...DEFAULT_BEHAVIOUR, ...options.behaviour };
  const random = options.random ?? Math.random;
  const remember = options.remember ?? 100_000;
  const requests: MutableRequest[] = [];
  let requestCount = 0;

  const server = createServer(async (request, response) => {
    const body = await readBody(request);
    if (body === null) return;
    const asked = readDemoRequest(body);
    const { brokenCallRatio } = behaviour;
    // Nothing is drawn where nothing breaks: seeded tests stay what they are.
    const breaks = brokenCallRatio > 0 && random() < brokenCallRatio;
    const tag = request.headers['x-cutover-tag'];
    const seen: MutableRequest = {
      atMs: Date.now(),
      method: request.method ?? '',
      path: (request.url ?? '').split('?')[0] as string,
      model: asked.model,
      stream: asked.stream,
      tag: typeof tag === 'string' ? tag : null,
      status: 0,
      headers: request.headers,
      body,
      aborted: false,
    };
    requestCount += 1;
    requests.push(seen);
    if (requests.length > remember * 1.25) requests.splice(0, requests.length - remember);
    response.on('close', () => {
      seen.aborted = !response.writableFinished;
    });
    response.setHeader('x-request-id', `req_${options.name}_${requestCount}`);
    const pace = new Pace(behaviour, random);
    const counted = behaviour.model === null ? asked : countedBy(behaviour.model, asked);
    const answered = breaks ? withBrokenArguments(counted) : counted;
    seen.status = await answer(options, behaviour, pace, seen, answered, response, `${requestCount}`);
  });
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    name: options.name,
    url: `http://127.0.0.1:${port}/v1`,
    behaviour,
    requests,
    get requestCount() {
      return requestCount;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Draws log-normal waiting times from a behaviour. */
class Pace {
  constructor(
    private readonly behaviour: ProviderBehaviour,
    private readonly random: () => number,
  ) {}

  first(): Promise<void> {
    return this.wait(this.behaviour.latencyMs);
  }

  token(): Promise<void> {
    return this.wait(this.behaviour.tokenMs);
  }

  draw(): number {
    return this.random();
  }

  fails(): boolean {
    return this.random() < this.behaviour.failureRatio;
  }

  async wait(medianMs: number): Promise<void> {
    const { jitter, latencyFactor } = this.behaviour;
    const normal = Math.sqrt(-2 * Math.log(1 - this.random())) * Math.cos(2 * Math.PI * this.random());
    const waitMs = medianMs * latencyFactor * Math.exp(jitter * normal);
    if (waitMs >= 0.5) await sleep(waitMs);
  }
}

async function answer(
  options: ProviderOptions,
  behaviour: ProviderBehaviour,
  pace: Pace,
  seen: SeenRequest,
  asked: DemoRequest,
  response: ServerResponse,
  number: string,
): Promise<number> {
  if (options.key !== undefined && !presents(seen, options.key)) {
    return sendJson(
      response,
      401,
      providerErrorBody('Incorrect API key provided.', 'invalid_request_error', 'invalid_api_key'),
    );
  }
  const path = seen.path.replace(/^.*\/v1/, '');
  if (seen.method === 'GET' && path === '/models')
    return sendJson(response, 200, modelList(options.models, behaviour.digests));
  if (seen.method !== 'POST') return notFound(response, `${seen.method} ${seen.path}`);
  if (!GENERATING.has(path)) return notFound(response, `POST ${seen.path}`);
  if (!options.models.includes(asked.model)) {
    return sendJson(
      response,
      404,
      providerErrorBody(
        `The model \`${asked.model}\` does not exist.`,
        'invalid_request_error',
        'model_not_found',
      ),
    );
  }
  if (pace.fails()) {
    await pace.wait(behaviour.latencyMs / 4);
    if (behaviour.retryAfterS !== null) response.setHeader('retry-after', String(behaviour.retryAfterS));
    return sendJson(
      response,
      behaviour.failureStatus,
      providerErrorBody('The demo provider was made to fail.', 'server_error', null),
    );
  }
  if (options.served !== undefined) {
    if (path !== '/chat/completions') return notFound(response, `POST ${seen.path}`);
    return serveChat(options.served, `chatcmpl-${options.name}-${number}`, asked, seen.body, response);
  }
  const chosen = behaviour.model === null ? null : chosenWord(behaviour.model, asked, pace.draw());
  const words = chosen === null ? answerWords(behaviour.tokens) : [chosen];
  if (path === '/embeddings') {
    await pace.wait(behaviour.latencyMs / 2);
    return sendJson(response, 200, embeddings(asked));
  }
  await pace.first();
  const id = `${options.name}-${number}`;
  if (asked.stream) return stream(response, pace, eventsOf(path, id, asked, words));
  await pace.wait(behaviour.tokenMs * words.length);
  if (path === '/responses')
    return sendJson(response, 200, responseObject(`resp_${id}`, asked, words, 'completed'));
  if (path === '/completions') return sendJson(response, 200, textCompletion(`cmpl-${id}`, asked, words));
  return sendJson(response, 200, chatCompletion(`chatcmpl-${id}`, asked, words));
}

const GENERATING = new Set(['/chat/completions', '/completions', '/responses', '/embeddings']);

function eventsOf(path: string, id: string, asked: DemoRequest, words: readonly string[]): string[] {
  if (path === '/responses') {
    return responseEvents(`resp_${id}`, asked, words).map(
      (event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
    );
  }
  const chunks =
    path === '/completions'
      ? textChunks(`cmpl-${id}`, asked, words)
      : chatChunks(`chatcmpl-${id}`, asked, words);
  return [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), 'data: [DONE]\n\n'];
}

async function stream(response: ServerResponse, pace: Pace, events: readonly string[]): Promise<number> {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  });
  for (const event of events) {
    if (response.destroyed) return 200;
    response.write(event);
    await pace.token();
  }
  response.end();
  return 200;
}

function presents(seen: SeenRequest, key: string): boolean {
  return seen.headers.authorization === `Bearer ${key}` || seen.headers['api-key'] === key;
}

function notFound(response: ServerResponse, what: string): number {
  return sendJson(
    response,
    404,
    providerErrorBody(`Unknown request URL: ${what}.`, 'invalid_request_error', 'unknown_url'),
  );
}

async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return null;
  }
  return Buffer.concat(chunks);
}
