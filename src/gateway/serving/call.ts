import type { Dialect } from '../../core/configuration/dialect';
import type { BreachClass } from '../../core/evidence/evidence';
import type { Side } from '../../core/routing/routing';
import type { StreamScanner } from '../answers/stream-scanner';
import type { TokenUsage } from '../answers/token-usage';
import type { Caller } from '../callers/callers';
import type { CallerAnswer } from '../http1/caller-answer';
import type { CallerRequest } from '../http1/caller-request';
import { errorEvent, type GatewayError, sendError, upstreamError } from '../request/gateway-error';
import { lengthOf } from '../request/long-body';
import type { RequestFacts } from '../request/request-facts';
import type { RequestHead } from '../request/request-head';
import { dialectOfPath } from '../request/spoken-dialect';
import type { Endpoint, RequestClass } from '../request/traffic-class';
import { dialectOf, mappingOf, type Route } from '../routing/route';
import { cutOff } from '../sockets/connections';
import type { MemoryAccount } from '../sockets/memory-budget';
import { requestLine } from '../telemetry/request-line';
import type { AttemptNote } from '../telemetry/request-log';
import type { RequestTrace } from '../telemetry/tracing';
import type { Attempt } from '../upstream/attempt';
import type { AnswerSink } from '../upstream/attempt-options';
import { type Failure, gatewayStatus } from '../upstream/failure';
import type { Provider } from '../upstream/provider';
import type { ActiveCall, Services } from './services';
import { UnsentAnswer } from './unsent-answer';

/** Who makes the answer: one attempt, or two of which the first good one is passed on. */
export interface Answering {
  /** Reads the stream that is passed on, null where it is none. */
  readonly scanner: StreamScanner | null;
  resume(): void;
  abandon(why: string): void;
  /** Ends what runs after a defect: it is counted nowhere and only gives back what it holds. */
  discard(): void;
}

/** One request of a caller: what it asks, and the one place where its answer is written. */
export class Call implements AnswerSink, ActiveCall {
  place = -1;
  readonly startedMs: number;
  facts: RequestFacts | null = null;
  body: Buffer = NOTHING;
  /** What the caller's team holds of the memory of this process. */
  readonly memory: MemoryAccount;
  /** In which the gateway's own errors are said. */
  readonly dialect: Dialect;
  /** The arm as drawn, null outside of the arms. */
  side: Side | null = null;
  epoch: number;
  /** 0 to 255 when the request has a key. */
  bucket: number | null = null;
  /** Where outcomes are taken: it was drawn, at the share that was asked for or at another; only the first counts. */
  draw: 'none' | 'as asked' | 'otherwise' = 'none';
  /** What the answer's headers and the log say about who served. */
  servedBy: Provider | null = null;
  servedModel: string | null = null;
  failover: string | null = null;
  readonly notes: AttemptNote[] = [];
  /** The attempt whose answer the caller gets. */
  answering: Attempt | null = null;
  /** What the caller's answer broke of its contract. */
  breach: BreachClass | null = null;
  /** The caller's answer is being judged, which the line of the log waits for and nothing else. */
  awaitsJudgement = false;
  /** The body is needed by an attempt that goes on when the call is over. */
  keepsBody = false;
  /** When it was over; null before. */
  endedMs: number | null = null;
  current: Answering | null = null;
  firstTokenMs: number | null = null;
  /** As the provider that served counted; null when it did not, or its answer was not read. */
  usage: TokenUsage | null = null;
  outcome = 'success';
  /** What the caller's limit of tokens was charged until `usage` is known. */
  estimatedTokens = 0;
  ended = false;
  /** Length of the body, also when it has been let go. */
  bodyBytes = 0;
  /** Null where requests are not traced. */
  readonly trace: RequestTrace | null;
  #unsent: UnsentAnswer | null = null;
  #isFinished = false;

  constructor(
    readonly services: Services,
    readonly route: Route,
    readonly request: CallerRequest,
    readonly response: CallerAnswer,
    readonly head: RequestHead,
    readonly caller: Caller,
    readonly traffic: RequestClass,
    /** Path below /v1 and the query behind it. */
    readonly path: string,
    readonly query: string,
  ) {
    this.startedMs = services.now();
    this.trace = services.tracing?.begin(head.forward) ?? null;
    this.epoch = route.state.epoch;
    this.dialect = dialectOfPath(path) ?? dialectOf(route);
    this.memory = services.memory.account(caller.team);
    response.on('close', () => {
      try {
        this.#callerGone();
      } catch (error) {
        this.broke(error);
      }
    });
  }

  /** Takes a body that the caller's account holds; it is given back when the call ends. */
  takeBody(body: Buffer): void {
    this.body = body;
    this.bodyBytes = body.length;
  }

  /** The headers of the caller's that the next attempt passes on. */
  forward(): readonly string[] {
    return this.trace?.headers() ?? this.head.forward;
  }

  /** OpenTelemetry's `gen_ai.operation.name`. */
  get operation(): string {
    return OPERATIONS[this.traffic.endpoint];
  }

  /** The model that a provider of the route is asked for; null where the body names none. */
  modelAskedOf(provider: Provider): string | null {
    if (this.facts === null) return null;
    const { model } = this.facts;
    const { route } = this;
    return (provider === route.providers.candidate ? mappingOf(route, model)?.candidate : model) ?? model;
  }

  get callerIsGone(): boolean {
    return this.response.destroyed;
  }

  begin(status: number, headers: string[], contentLength: number | null): void {
    if (this.response.headersSent || this.response.destroyed) return;
    if (contentLength !== null) headers.push('content-length', `${contentLength}`);
    this.response.writeHead(status, this.#withGatewayHeaders(headers));
    this.response.on('drain', () => {
      try {
        this.current?.resume();
      } catch (error) {
        this.broke(error);
      }
    });
  }

  flush(): void {
    if (!this.response.destroyed) this.response.flushHeaders();
  }

  write(bytes: Buffer): boolean {
    return this.response.destroyed || this.response.write(bytes);
  }

  end(): void {
    this.response.end();
  }

  whole(status: number, headers: string[], pieces: Buffer[]): void {
    if (this.response.headersSent || this.response.destroyed) return;
    const length = lengthOf(pieces);
    headers.push('content-length', `${length}`);
    this.response.writeHead(status, this.#withGatewayHeaders(headers));
    if (length > ONE_WRITE_BYTES) {
      this.#sendRest(pieces);
      return;
    }
    const [first] = pieces;
    this.response.end(pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces));
  }

  breakOff(failure: Failure): void {
    const { response } = this;
    if (response.destroyed) return;
    if (failure.kind === 'aborted' && response.socket.writableNeedDrain) {
      // A caller that does not read would not read of its end either.
      response.destroy();
      return;
    }
    if (!response.headersSent) {
      this.refuse(this.upstreamFailure(failure));
      return;
    }
    if (this.#streams) {
      const error = upstreamError(502, 'stream_cut', `The answer could not be completed: ${failure.why}.`);
      response.write(errorEvent(error, this.dialect));
    }
    // Without the end of the coding: the caller sees a connection that was cut, never a clean end.
    response.writeOut();
    cutOff(response.socket, this.request.httpVersion === '1.0');
  }

  /** Passes on an answer that an attempt held back. */
  deliver(attempt: Attempt): void {
    const head = attempt.head;
    if (head === null) return;
    this.whole(attempt.status, head.headers, [attempt.heldBody]);
  }

  /** Answers with an error of the gateway. */
  refuse(error: GatewayError, close = false): void {
    this.outcome = error.code;
    const { dialect } = this;
    sendError(this.response, { error, dialect, headers: this.#withGatewayHeaders([]), close });
  }

  /** The gateway's own error for an attempt that gave no answer at all. */
  upstreamFailure(failure: Failure): GatewayError {
    const name = this.servedBy?.name ?? 'the provider';
    return upstreamError(gatewayStatus(failure), failure.kind, `No answer from ${name}: ${failure.why}.`);
  }

  note(attempt: Attempt, purpose: string): void {
    const { failure, status, options } = attempt;
    this.trace?.attemptEnded(attempt, purpose);
    this.notes.push({
      provider: options.provider.name,
      purpose,
      outcome: failure?.kind ?? 'success',
      ...(failure === null ? {} : { why: failure.why }),
      ...(status === 0 ? {} : { status }),
      ms: attempt.endedMs - attempt.startedMs,
    });
  }

  abandon(why: string): void {
    try {
      this.current?.abandon(why);
      this.#unsent?.cut();
    } catch (error) {
      this.broke(error);
    }
  }

  /** A defect in serving this call ends it and nothing else. */
  broke(error: unknown): void {
    this.services.defects.report(error, { during: 'request', path: this.path });
    this.endBroken();
  }

  /** Answers after a defect, or cuts what has been answered in part. */
  endBroken(): void {
    if (this.ended) return;
    const { request, response } = this;
    try {
      if (!response.headersSent) {
        request.resume();
        this.refuse(DEFECT_ERROR, true);
      } else if (!response.writableEnded) this.breakOff(DEFECT);
    } catch {
      response.destroy();
    }
    this.outcome = 'defect';
    this.current?.discard();
    this.finish();
  }

  /** What was found of the caller's answer is known. */
  judged(): void {
    this.awaitsJudgement = false;
    if (this.ended) this.#log();
  }

  /** Counts the request in the metrics, by who served it in the end; null attempt: a cap let none be made. */
  measure(attempt: Attempt | null, side: Side, facts: RequestFacts | null): void {
    const kind = attempt === null ? 'shed' : (attempt.failure?.kind ?? 'success');
    this.services.metrics.requestFinished({
      route: this.route.name,
      trafficClass: this.traffic.class,
      side,
      provider: this.route.providers[side].name,
      operation: this.operation,
      model: facts?.model ?? '',
      outcome: kind === 'withdrawn' ? 'aborted' : kind,
      totalMs: (attempt?.endedMs ?? this.services.now()) - this.startedMs,
      firstTokenMs: this.firstTokenMs,
      interTokenMs: attempt?.scanner?.gapsMs ?? [],
      tokensIn: this.usage?.input ?? 0,
      tokensOut: this.usage?.output ?? 0,
    });
  }

  /** Nothing more comes from providers: the call is over once its caller has read what there is. */
  finish(): void {
    if (this.ended) return;
    if (!this.keepsBody) this.letBodyGo();
    const { response } = this;
    if (this.#unsent === null && response.writableLength > 0 && !response.destroyed) this.#sendRest([]);
    this.#isFinished = true;
    if (this.#unsent === null) this.#close();
  }

  /** Gives the body back; for good. */
  letBodyGo(): void {
    this.memory.give(this.body.length);
    this.body = NOTHING;
  }

  #sendRest(pieces: Buffer[]): void {
    const { response, memory, services } = this;
    const { timeouts } = (this.servedBy ?? this.route.providers.legacy).configuration;
    const idleMs = timeouts.streamIdle;
    const unsent = new UnsentAnswer(
      { response, pieces, account: memory, idleMs, over: () => this.#sent(unsent) },
      services,
    );
    this.#unsent = unsent;
    unsent.start();
  }

  #sent(unsent: UnsentAnswer): void {
    this.#unsent = null;
    if (!unsent.isSent && this.outcome === 'success') this.outcome = 'aborted';
    if (this.#isFinished) this.#close();
  }

  /** Everything about this request is over: writes its log line. */
  #close(): void {
    if (this.ended) return;
    this.ended = true;
    this.caller.limits?.end(this.estimatedTokens, this.usage);
    this.services.active.remove(this);
    this.endedMs = this.services.now();
    if (!this.awaitsJudgement) this.#log();
  }

  #log(): void {
    try {
      this.services.log.request?.(requestLine(this, this.services));
      this.trace?.finished(this);
    } catch (error) {
      this.services.defects.report(error, { during: 'log' });
    }
  }

  get #streams(): boolean {
    return this.current?.scanner !== null && this.current?.scanner !== undefined;
  }

  #withGatewayHeaders(headers: string[]): string[] {
    if (!this.route.configuration.exposeHeaders) return headers;
    if (this.servedBy !== null) headers.push('x-cutover-provider', this.servedBy.name);
    headers.push('x-cutover-epoch', `${this.epoch}`);
    if (this.servedModel !== null && isSafeValue(this.servedModel)) {
      headers.push('x-cutover-model', this.servedModel);
    }
    if (this.failover !== null) headers.push('x-cutover-failover', this.failover);
    if (this.draw !== 'none') headers.push('x-cutover-request', this.#token());
    return headers;
  }

  /** By what an application reports on this answer. */
  #token(): string {
    const side = this.draw === 'as asked' ? this.side : null;
    return this.services.outcomes?.issue(this.route.name, this.epoch, side, this.bucket) ?? '';
  }

  #callerGone(): void {
    this.#unsent?.closed();
    if (this.response.writableFinished || this.ended) return;
    this.current?.abandon('the caller left');
  }
}

const DEFECT: Failure = { kind: 'aborted', why: 'the gateway failed', ambiguous: true };
const DEFECT_ERROR: GatewayError = {
  status: 500,
  type: 'server_error',
  code: 'gateway_defect',
  message: 'The gateway failed at this request; its log has the reason.',
};
const NOTHING = Buffer.alloc(0);
/** Longer answers leave in pieces, as fast as their callers read. */
const ONE_WRITE_BYTES = 16_384;

/** Names of OpenTelemetry's `gen_ai.operation.name`, and our own where it has none. */
const OPERATIONS: Readonly<Record<Endpoint, string>> = {
  chat: 'chat',
  completions: 'text_completion',
  responses: 'chat',
  messages: 'chat',
  token_count: 'other',
  moderations: 'other',
  speech: 'generate_content',
  transcript: 'generate_content',
  images: 'generate_content',
  json: 'other',
  opaque: 'other',
};

let lastSafeValue = '';

/** Whether a text may stand in a header; nearly always it is the same as the last time. */
function isSafeValue(text: string): boolean {
  if (text === lastSafeValue) return true;
  if (!SAFE_VALUE.test(text)) return false;
  lastSafeValue = text;
  return true;
}

const SAFE_VALUE = /^[\x21-\x7e][\x20-\x7e]{0,255}$/;
