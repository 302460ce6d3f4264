import type { Dialect } from '../../../core/configuration/dialect';
import type { Arm } from '../../../core/routing/routing';
import type { StreamScanner } from '../../answers/stream-scanner';
import type { Caller } from '../../callers/callers';
import type { CallerAnswer } from '../../http1/caller-answer';
import type { CallerRequest } from '../../http1/caller-request';
import { type GatewayError, upstreamError } from '../../request/gateway-error';
import type { RequestFacts } from '../../request/request-facts';
import type { RequestHead } from '../../request/request-head';
import { dialectOfPath } from '../../request/spoken-dialect';
import type { Endpoint, RequestClass } from '../../request/traffic-class';
import { dialectOf, mappingOf, type Route } from '../../routing/route';
import type { MemoryAccount } from '../../sockets/memory-budget';
import { requestLine } from '../../telemetry/request-line';
import type { RequestTrace } from '../../telemetry/tracing';
import type { Attempt } from '../../upstream/attempt';
import type { Failure } from '../../upstream/failure';
import type { Provider } from '../../upstream/provider';
import type { ActiveCall, Services } from '../services';
import { type AnsweredCall, CallAnswer } from './call-answer';
import { CallRecord } from './call-record';

/** Who makes the answer: one attempt, or two of which the first good one is passed on. */
export interface AnswerSource {
  /** Reads the stream that is passed on, null where it is none. */
  readonly scanner: StreamScanner | null;
  resume(): void;
  abandon(why: string): void;
  /** Ends what runs after a defect: it is counted nowhere and only gives back what it holds. */
  discard(): void;
}

/** One request of a caller: what it asks, and how long it lasts. What became of it is in `record`. */
export class Call implements ActiveCall, AnsweredCall {
  place = -1;
  readonly startedMs: number;
  facts: RequestFacts | null = null;
  body: Buffer = NOTHING;
  /** Length of the body, also when it has been let go. */
  bodyBytes = 0;
  /** The body is needed by an attempt that goes on when the call is over. */
  keepsBody = false;
  /** Uniform in [0, 1): copied to the candidate below what the routing asks for; 1 where nothing is copied. */
  copyDraw = 1;
  readonly memory: MemoryAccount;
  readonly dialect: Dialect;
  readonly record: CallRecord;
  readonly answer: CallAnswer;
  /** Null where requests are not traced. */
  readonly trace: RequestTrace | null;
  current: AnswerSource | null = null;
  /** When it was over; null before. */
  endedMs: number | null = null;
  /** What the caller's limit of tokens was charged until its usage is known. */
  readonly #estimatedTokens: number;
  /** The caller's answer is being judged, which the line of the log waits for and nothing else. */
  #awaitsJudgement = false;
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
    estimatedTokens: number,
  ) {
    this.#estimatedTokens = estimatedTokens;
    this.startedMs = services.now();
    this.trace = services.tracing?.begin(head.forward) ?? null;
    this.dialect = dialectOfPath(path) ?? dialectOf(route);
    this.memory = services.memory.account(caller.team);
    this.record = new CallRecord(route.state.epoch);
    this.answer = new CallAnswer(this);
    response.on('close', () => {
      try {
        this.#callerGone();
      } catch (error) {
        this.broke(error);
      }
    });
  }

  get ended(): boolean {
    return this.endedMs !== null;
  }

  /** Takes a body that the caller's account holds; it is given back when the call ends. */
  takeBody(body: Buffer): void {
    this.body = body;
    this.bodyBytes = body.length;
  }

  /** Gives the body back; for good. */
  letBodyGo(): void {
    this.memory.give(this.body.length);
    this.body = NOTHING;
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

  get streams(): boolean {
    return this.current?.scanner !== null && this.current?.scanner !== undefined;
  }

  get callerIsGone(): boolean {
    return this.response.destroyed;
  }

  resume(): void {
    try {
      this.current?.resume();
    } catch (error) {
      this.broke(error);
    }
  }

  /** An attempt at it is over, whoever the caller's answer comes from. */
  attemptEnded(attempt: Attempt, purpose: string): void {
    this.trace?.attemptEnded(attempt, purpose);
    this.record.asked(attempt, purpose);
  }

  abandon(why: string): void {
    try {
      this.current?.abandon(why);
      this.answer.cut();
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
    const { request, response, answer, record } = this;
    try {
      if (!response.headersSent) {
        request.resume();
        answer.refuse(DEFECT_ERROR, true);
      } else if (!response.writableEnded) answer.breakOff(DEFECT);
    } catch {
      response.destroy();
    }
    record.endedAs('defect');
    this.current?.discard();
    this.finish();
  }

  /** The caller has got what this attempt, at this provider, could give: it is counted, and over. */
  servedBy(attempt: Attempt, provider: Arm): void {
    this.record.attemptEnded(attempt);
    this.#measure(attempt, provider);
    this.finish();
  }

  /** A provider has as many requests in flight as its cap allows, and no other may be asked. */
  refuseBusy(provider: Arm): void {
    const { name } = this.route.providers[provider];
    const message = `${name} has as many requests in flight as its maxConcurrent allows.`;
    this.answer.refuse({ ...upstreamError(503, 'concurrency_cap', message), retryAfterS: 1 });
    this.#measure(null, provider);
    this.finish();
  }

  /** The line of the log waits for what is found of the caller's answer. */
  awaitJudgement(): void {
    this.#awaitsJudgement = true;
  }

  /** What was found of the caller's answer is known. */
  judged(): void {
    this.#awaitsJudgement = false;
    if (this.ended) this.#log();
  }

  /** Nothing more comes from providers: the call is over once its caller has read what there is. */
  finish(): void {
    if (this.ended) return;
    if (!this.keepsBody) this.letBodyGo();
    this.answer.finish();
    this.#isFinished = true;
    if (!this.answer.isUnread) this.#close();
  }

  answerLeft(): void {
    if (this.#isFinished) this.#close();
  }

  /** Counts the request in the metrics, by who served it in the end; null attempt: a cap let none be made. */
  #measure(attempt: Attempt | null, provider: Arm): void {
    const kind = attempt === null ? 'shed' : (attempt.failure?.kind ?? 'success');
    const { usage, firstTokenMs } = this.record;
    this.services.metrics.requestFinished({
      route: this.route.name,
      trafficClass: this.traffic.class,
      provider,
      providerName: this.route.providers[provider].name,
      operation: this.operation,
      model: this.facts?.model ?? '',
      outcome: kind === 'withdrawn' ? 'aborted' : kind,
      totalMs: (attempt?.endedMs ?? this.services.now()) - this.startedMs,
      firstTokenMs,
      interTokenMs: attempt?.scanner?.gapsMs ?? [],
      tokensIn: usage?.input ?? 0,
      tokensOut: usage?.output ?? 0,
    });
  }

  /** Everything about this request is over: writes its log line. */
  #close(): void {
    if (this.ended) return;
    this.endedMs = this.services.now();
    this.caller.limits?.end(this.#estimatedTokens, this.record.usage);
    this.services.active.remove(this);
    if (!this.#awaitsJudgement) this.#log();
  }

  #log(): void {
    try {
      this.services.log.request?.(requestLine(this, this.services));
      this.trace?.finished(this);
    } catch (error) {
      this.services.defects.report(error, { during: 'log' });
    }
  }

  #callerGone(): void {
    this.answer.closed();
    if (this.response.writableFinished || this.ended) return;
    this.current?.abandon('the caller left');
  }
}

const DEFECT: Failure = { kind: 'aborted', why: 'the gateway failed', ambiguous: true };
const DEFECT_ERROR: GatewayError = {
  status: 500,
  type: 'server_error',
  code: 'gateway_defect',
  message: 'The gateway could not handle this request; its log has the reason.',
};
const NOTHING = Buffer.alloc(0);

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
