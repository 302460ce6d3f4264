import { appendFileSync } from 'node:fs';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { Random } from './random';

/** What a caller asks for. `hosted` uses a tool that the provider runs, so it must never be asked twice. */
export type RequestKind = 'plain' | 'stream' | 'hosted' | 'embedding' | 'file';

/** How an answer ended, as the caller's own socket saw it. */
export type AnswerEnd = 'clean' | 'cut' | 'patience' | 'unreachable';

/** One request, as a caller logs it once it is over. */
export interface CallerLine {
  readonly nonce: string;
  readonly kind: RequestKind;
  readonly gateway: string;
  readonly sentMs: number;
  readonly endMs: number;
  /** 0 where no head came. */
  readonly status: number;
  /** Who is said to have answered. */
  readonly provider: string | null;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly end: AnswerEnd;
  /** What the caller's client makes of the answer; null where it cannot be read. */
  readonly text: string | null;
  /** Of a stream: whether `[DONE]` came, and whether an error event did. */
  readonly done: boolean;
  readonly error: boolean;
}

export interface CallersOptions {
  readonly seed: number;
  readonly ratePerSecond: number;
  readonly model: string;
  readonly gateways: readonly { readonly name: string; readonly port: number }[];
  /** Headers that no provider may see. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly log: string;
}

const PATIENCE_MS = 12_000;
const UNDER_WAY_MOST = 400;
const BOUNDARY = 'chaos-boundary';

/** An open loop: requests come at their own times, however slow the answers are, to each gateway in turn. */
export class Callers {
  readonly #random: Random;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });
  readonly #underWay = new Set<Promise<void>>();
  readonly #avoided = new Set<string>();
  #sent = 0;
  #stopped = false;
  #dueMs = performance.now();

  constructor(private readonly options: CallersOptions) {
    this.#random = new Random(options.seed);
    this.#tick();
  }

  get sent(): number {
    return this.#sent;
  }

  /** As a load balancer does with a replica that is about to be restarted. */
  avoid(gateway: string, isAvoided: boolean): void {
    if (isAvoided) this.#avoided.add(gateway);
    else this.#avoided.delete(gateway);
  }

  /** Stops sending and resolves when what is under way is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#underWay);
    this.#agent.destroy();
  }

  #tick(): void {
    const { ratePerSecond } = this.options;
    while (!this.#stopped && this.#dueMs <= performance.now()) {
      if (this.#underWay.size < UNDER_WAY_MOST) this.#send();
      this.#dueMs += (-Math.log(1 - this.#random.next()) / ratePerSecond) * 1_000;
    }
    if (!this.#stopped) setTimeout(() => this.#tick(), Math.max(1, this.#dueMs - performance.now()));
  }

  #send(): void {
    const { gateways, seed } = this.options;
    const usable = gateways.filter(({ name }) => !this.#avoided.has(name));
    const gateway = usable[this.#sent % usable.length];
    if (gateway === undefined) return;
    const nonce = `nonce-${seed}-${this.#sent}`;
    this.#sent += 1;
    const asking = this.#ask(nonce, kindOf(this.#random.next()), gateway).then((line) => {
      appendFileSync(this.options.log, `${JSON.stringify(line)}\n`);
      this.#underWay.delete(asking);
    });
    this.#underWay.add(asking);
  }

  async #ask(
    nonce: string,
    kind: RequestKind,
    gateway: { readonly name: string; readonly port: number },
  ): Promise<CallerLine> {
    const sentMs = Date.now();
    const { path, type, body } = questionOf(kind, nonce, this.options.model);
    const answer = await new Promise<Answer>((resolve) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: gateway.port,
          agent: this.#agent,
          method: 'POST',
          path: `/v1${path}`,
          headers: {
            ...this.options.secrets,
            'content-type': type,
            'content-length': Buffer.byteLength(body),
          },
        },
        (response) => read(response, sent, resolve),
      );
      sent.setTimeout(PATIENCE_MS);
      const patience = setTimeout(() => {
        sent.destroy();
        resolve({ ...NO_ANSWER, end: 'patience' });
      }, PATIENCE_MS);
      sent.once('close', () => clearTimeout(patience));
      sent.once('error', () => resolve({ ...NO_ANSWER, end: 'unreachable' }));
      sent.end(body);
    });
    const { status, headers, end, body: given } = answer;
    const provider = headers['x-cutover-provider'];
    return {
      ...{ nonce, kind, gateway: gateway.name, sentMs, endMs: Date.now(), status, end, headers },
      provider: typeof provider === 'string' ? provider : null,
      ...understood(kind, status, given),
    };
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly end: AnswerEnd;
  readonly body: string;
}

const NO_ANSWER: Answer = { status: 0, headers: {}, end: 'unreachable', body: '' };

function read(response: IncomingMessage, sent: ClientRequest, resolve: (answer: Answer) => void): void {
  const chunks: Buffer[] = [];
  const { statusCode: status = 0, headers } = response;
  const finish = (end: AnswerEnd) =>
    resolve({ status, headers, end, body: Buffer.concat(chunks).toString('utf8') });
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.once('end', () => finish('clean'));
  response.once('error', () => finish('cut'));
  response.once('close', () => finish(response.complete ? 'clean' : 'cut'));
  sent.once('error', () => finish('cut'));
}

function kindOf(draw: number): RequestKind {
  if (draw < 0.5) return 'plain';
  if (draw < 0.8) return 'stream';
  if (draw < 0.9) return 'hosted';
  return draw < 0.95 ? 'embedding' : 'file';
}

function questionOf(
  kind: RequestKind,
  nonce: string,
  model: string,
): { path: string; type: string; body: string } {
  const json = (path: string, body: object) => ({
    path,
    type: 'application/json',
    body: JSON.stringify(body),
  });
  switch (kind) {
    case 'plain':
    case 'stream': {
      const messages = [{ role: 'user', content: nonce }];
      return json('/chat/completions', { model, messages, ...(kind === 'stream' ? { stream: true } : {}) });
    }
    case 'hosted':
      return json('/responses', { model, input: nonce, tools: [{ type: 'web_search' }] });
    case 'embedding':
      return json('/embeddings', { model, input: nonce });
    case 'file': {
      const head = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n`;
      const type = `multipart/form-data; boundary=${BOUNDARY}`;
      return { path: '/files', type, body: `${head}${nonce}\r\n--${BOUNDARY}--\r\n` };
    }
  }
}

function understood(
  kind: RequestKind,
  status: number,
  body: string,
): Pick<CallerLine, 'text' | 'done' | 'error'> {
  if (status !== 200) return { text: null, done: false, error: status !== 0 };
  if (kind === 'stream') return understoodStream(body);
  try {
    const answer = JSON.parse(body);
    const error = answer.error != null;
    return { text: error ? null : textOf(kind, answer), done: false, error };
  } catch {
    return { text: null, done: false, error: false };
  }
}

// biome-ignore lint/suspicious/noExplicitAny: an answer is whatever came
function textOf(kind: RequestKind, answer: any): string | null {
  switch (kind) {
    case 'hosted':
      return answer.output?.[0]?.content?.[0]?.text ?? null;
    case 'embedding':
      return answer.text ?? null;
    case 'file':
      return answer.filename ?? null;
    default:
      return answer.choices?.[0]?.message?.content ?? null;
  }
}

function understoodStream(body: string): Pick<CallerLine, 'text' | 'done' | 'error'> {
  let text = '';
  let done = false;
  let error = false;
  for (const line of body.split('\n')) {
    if (!line.startsWith('data: ')) continue;
    const data = line.slice('data: '.length);
    if (data === '[DONE]') {
      done = true;
      continue;
    }
    try {
      const event = JSON.parse(data);
      error ||= event.error != null;
      text += event.choices?.[0]?.delta?.content ?? '';
    } catch {
      // Half an event is the end of a cut answer.
    }
  }
  return { text, done, error };
}
