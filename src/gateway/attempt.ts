import type { Readable } from 'node:stream';
import { type AnswerHead, readAnswerHead } from './answer-head';
import { type AnswerMode, answerMode } from './answer-mode';
import type { AnswerSink, AttemptOptions, AttemptServices } from './attempt-options';
import type { CutCause } from './candidate-permits';
import type { Timed } from './deadlines';
import { connectionFailure, type Failure, statusFailure } from './failure';
import type { Exchange, ExchangeHandler } from './http1/exchange';
import { LONG_BODY_BYTES, LongBody } from './long-body';
import { type PlainFacts, readPlain } from './plain-answer';
import type { BodyRedactor } from './provider-keys';
import { StreamScanner } from './stream-scanner';

/** Who is told of an attempt's moments. */
export interface AttemptOwner {
  /** The answer is good so far and is to be passed on from now. */
  attemptCommitted(attempt: Attempt): AnswerSink;
  /** It is over; `failure` and `committed` say how. */
  attemptEnded(attempt: Attempt): void;
}

const MAX_ERROR_BYTES = 1_048_576;
const EMPTY = Buffer.alloc(0);

/** One request to one provider, with its named moments: sent, head, data, end, error. */
export class Attempt implements ExchangeHandler, Timed {
  place = -1;
  readonly startedMs: number;
  deadlineMs: number;
  sent = false;
  committed = false;
  ended = false;
  endedMs = 0;
  status = 0;
  head: AnswerHead | null = null;
  failure: Failure | null = null;
  scanner: StreamScanner | null = null;
  plain: PlainFacts | null = null;

  readonly #owner: AttemptOwner;
  readonly #services: AttemptServices;
  readonly #redactor: BodyRedactor | null;
  #mode: AnswerMode = 'held';
  #held: Buffer[] = [];
  #heldBytes = 0;
  #sink: AnswerSink | null = null;
  #exchange: Exchange | null = null;
  #paused = false;

  constructor(
    readonly options: AttemptOptions,
    owner: AttemptOwner,
    services: AttemptServices,
  ) {
    this.#owner = owner;
    this.#redactor = options.provider.keys.redactor();
    this.#services = services;
    this.startedMs = services.now();
    const { limits, streams, holds } = options;
    this.deadlineMs = this.startedMs + (streams && holds ? limits.firstContentMs : limits.answerMs);
  }

  dispatch(): void {
    const { provider, permit, path, method } = this.options;
    provider.inFlight += 1;
    this.#services.deadlines.add(this);
    permit?.onCut((cause) => this.#cut(cause));
    if (this.ended) return;
    const { headers, body } = outgoing(this.options);
    provider.pool.dispatch({ path, method, headers, body }, this);
  }

  /** The complete answer that was kept back, for an owner that passes it on after all. */
  get heldBody(): Buffer {
    if (this.#held.length === 1) return this.#held[0] as Buffer;
    return this.#held.length === 0 ? EMPTY : Buffer.concat(this.#held);
  }

  /** Whether a complete answer is held that could be passed on as it is. */
  get holdsAnswer(): boolean {
    return this.head !== null && !this.committed && this.#complete;
  }
  #complete = false;

  /** The sink takes more. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.deadlineMs = this.#services.now() + this.options.limits.idleMs;
    this.#exchange?.resume();
  }

  /** The caller left, or the process ends. */
  abandon(why: string): void {
    this.#fail({ kind: 'aborted', why, ambiguous: true });
  }

  expire(): void {
    if (this.#paused) this.abandon('the caller stopped reading');
    else
      this.#fail({
        kind: 'timeout',
        why: this.head === null ? 'no answer in time' : 'no progress in time',
        ambiguous: this.sent,
      });
  }

  // The moments below are called by the connection.

  onConnect(exchange: Exchange): void {
    this.#exchange = exchange;
    if (this.ended) {
      exchange.abort();
      return;
    }
    if (this.options.permit !== null && !this.options.permit.send()) {
      this.#fail({ kind: 'withdrawn', why: 'the routing changed before it was sent', ambiguous: false });
      return;
    }
    this.sent = true;
  }

  onHeaders(status: number, raw: readonly string[]): void {
    if (status < 200 || this.ended) return;
    const head = readAnswerHead(raw, this.options.provider.keys, this.#services.wallNow);
    this.status = status;
    this.head = head;
    const { holds, endpoint, removesUsage, limits } = this.options;
    const mode = answerMode(status, head, this.options);
    if (typeof mode === 'object') {
      this.#fail(mode);
      return;
    }
    this.#mode = mode;
    if (mode === 'scanned' || mode === 'scanned-held')
      this.scanner = new StreamScanner(endpoint, removesUsage);
    if (!holds && this.#mode !== 'held') this.#commit();
    if (this.#mode === 'passed' || this.#mode === 'scanned')
      this.deadlineMs = this.#services.now() + limits.idleMs;
  }

  onData(chunk: Buffer): boolean {
    if (this.ended) return true;
    return this.#take(this.#redactor === null ? chunk : this.#redactor.push(chunk));
  }

  #take(chunk: Buffer): boolean {
    switch (this.#mode) {
      case 'held':
        return this.#hold(chunk);
      case 'passed':
        if (!this.committed) this.#commit();
        return this.#pass(chunk, this.#services.now());
      case 'scanned': {
        const nowMs = this.#services.now();
        return this.#pass((this.scanner as StreamScanner).push(chunk, nowMs), nowMs);
      }
      case 'scanned-held':
        return this.#scanHeld(chunk, this.scanner as StreamScanner);
    }
  }

  onComplete(): void {
    if (this.ended) return;
    const rest = this.#redactor?.end() ?? null;
    if (rest !== null) this.#take(rest);
    if (this.ended) return;
    this.#complete = true;
    const nowMs = this.#services.now();
    if (this.scanner !== null) this.#endStream(this.scanner, nowMs);
    else if (this.#mode === 'held') this.#endHeld();
    else {
      if (!this.committed) this.#commit();
      this.#sink?.end();
      this.#finish(null);
    }
  }

  onError(error: Error): void {
    if (this.ended) return;
    const secure = this.options.provider.base.protocol === 'https:';
    this.#fail(connectionFailure(error, { sent: this.sent, answerBegan: this.head !== null, secure }));
  }

  #hold(chunk: Buffer): boolean {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    const cap = this.status >= 300 ? MAX_ERROR_BYTES : this.options.maxHeldBytes;
    if (this.#heldBytes <= cap) return true;
    this.#mode = 'passed';
    this.#commit();
    return this.#flushHeld();
  }

  #scanHeld(chunk: Buffer, scanner: StreamScanner): boolean {
    const nowMs = this.#services.now();
    this.#held.push(scanner.push(chunk, nowMs));
    this.#heldBytes += chunk.length;
    if (scanner.errorEvent && !scanner.hasContent) {
      this.#fail({ kind: 'error_event', why: 'an error as the first event', ambiguous: true });
      return true;
    }
    if (scanner.malformed && !scanner.hasContent) {
      this.#fail({ kind: 'malformed', why: 'an event that is no JSON object', ambiguous: true });
      return true;
    }
    if (!scanner.hasContent && this.#heldBytes <= this.options.maxHeldBytes) return true;
    this.#mode = 'scanned';
    this.deadlineMs = nowMs + this.options.limits.idleMs;
    this.#commit();
    return this.#flushHeld();
  }

  #endStream(scanner: StreamScanner, nowMs: number): void {
    const rest = scanner.end(nowMs);
    if (!this.committed) {
      this.#held.push(rest);
      if (scanner.hasContent) {
        this.#commit();
        this.#flushHeld();
      } else {
        const why = scanner.errorEvent
          ? 'an error as the first event'
          : 'the stream ended before any content';
        this.#end({ kind: scanner.errorEvent ? 'error_event' : 'truncated', why, ambiguous: true });
        return;
      }
    } else if (rest.length > 0 && scanner.mayEnd) this.#sink?.write(rest);
    if (scanner.errorEvent) {
      // The provider's own error event has been passed on: the caller knows.
      this.#sink?.end();
      this.#finish({ kind: 'error_event', why: 'an error event in mid-stream', ambiguous: true });
    } else if (scanner.mayEnd) {
      this.#sink?.end();
      this.#finish(
        scanner.malformed ? { kind: 'malformed', why: 'an event that is no JSON', ambiguous: true } : null,
      );
    } else {
      this.#end({ kind: 'truncated', why: 'the stream ended without its end', ambiguous: true });
    }
  }

  #endHeld(): void {
    const head = this.head as AnswerHead;
    const failure = statusFailure(this.status);
    if (failure !== null) {
      this.#end(failure);
      return;
    }
    const { endpoint, reads, holds, streams } = this.options;
    const body = this.heldBody;
    let fault: Failure | null = null;
    if (reads && !head.coded) {
      this.plain = readPlain(endpoint, head.contentType, body);
      if (this.plain.fault !== null) fault = { ...this.plain.fault, ambiguous: true };
      else if (streams && endpoint !== 'bytes')
        fault = { kind: 'malformed', why: 'expected a stream', ambiguous: true };
    }
    if (fault !== null && holds) {
      this.#end(fault);
      return;
    }
    this.committed = true;
    this.#sink = this.#owner.attemptCommitted(this);
    this.#sink.whole(this.status, head.headers, body);
    this.#finish(fault);
  }

  #commit(): void {
    const head = this.head as AnswerHead;
    this.committed = true;
    this.#sink = this.#owner.attemptCommitted(this);
    this.#sink.begin(this.status, head.headers, this.scanner === null ? head.contentLength : null);
  }

  #flushHeld(): boolean {
    const held = this.heldBody;
    this.#held = [];
    return this.#pass(held, this.#services.now());
  }

  #pass(bytes: Buffer, nowMs: number): boolean {
    this.deadlineMs = nowMs + this.options.limits.idleMs;
    if (bytes.length === 0 || this.#sink === null) return true;
    if (this.#sink.write(bytes)) return true;
    this.#paused = true;
    return false;
  }

  #cut(cause: CutCause): void {
    if (this.ended) return;
    if (cause === 'emergency' && (this.committed || !this.options.replayable)) return;
    const why = cause === 'withdrawn' ? 'the routing changed before it was sent' : `cut: ${cause}`;
    this.#fail({ kind: 'withdrawn', why, ambiguous: this.sent });
  }

  /** Ends for a reason that leaves the connection in a bad state. */
  #fail(failure: Failure): void {
    if (this.ended) return;
    this.#end(failure);
    this.#exchange?.abort();
  }

  #end(failure: Failure): void {
    if (this.committed) this.#sink?.breakOff(failure);
    this.#finish(failure);
  }

  #finish(failure: Failure | null): void {
    this.ended = true;
    this.failure = failure;
    const { provider, permit } = this.options;
    const nowMs = this.#services.now();
    this.endedMs = nowMs;
    provider.inFlight -= 1;
    this.#services.deadlines.remove(this);
    permit?.close();
    if (failure === null || failure.kind === 'status_4xx') provider.breaker.succeeded(nowMs);
    else if (this.#isProvidersFault(failure)) provider.breaker.failed(nowMs);
    const retryAfterMs = this.head?.retryAfterMs ?? null;
    if (retryAfterMs !== null && (this.status === 429 || this.status === 503)) {
      provider.holdOff(this.options.caller, retryAfterMs, nowMs);
    }
    this.#owner.attemptEnded(this);
  }

  /** The breaker is shared by all callers: it hears nothing of what concerns one of them. */
  #isProvidersFault({ kind }: Failure): boolean {
    if (kind === 'withdrawn' || kind === 'aborted') return false;
    return !this.options.provider.blamesOnly(this.options.caller, this.status);
  }
}

/** What is sent: a long body in slices, under the length that it has. */
function outgoing({ headers, body }: AttemptOptions): { headers: string[]; body: Buffer | Readable | null } {
  if (body === null || !(Buffer.isBuffer(body) || body instanceof LongBody)) return { headers, body };
  if (Buffer.isBuffer(body) && body.length <= LONG_BODY_BYTES) return { headers, body };
  const long = Buffer.isBuffer(body) ? new LongBody([body]) : body;
  return { headers: [...headers, 'content-length', `${long.length}`], body: long.stream() };
}
