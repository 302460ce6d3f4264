import type { Readable } from 'node:stream';
import type { AnswerGist } from '../answers/answer-gist';
import { type AnswerHead, readAnswerHead } from '../answers/answer-head';
import {
  answerMode,
  isBodiless,
  type ReadMode,
  readingByFirstByte,
  redirectFailure,
} from '../answers/answer-mode';
import { NOTHING_HELD } from '../answers/holdings';
import {
  type AnswerFault,
  hasGist,
  type PlainFacts,
  readPlain,
  readPlainObject,
} from '../answers/plain-answer';
import { StreamScanner } from '../answers/stream-scanner';
import type { TokenUsage } from '../answers/token-usage';
import type { Judgement } from '../contract/judge-answer';
import { KeptAnswer } from '../contract/kept-answer';
import type { Exchange, ExchangeHandler } from '../http1/exchange';
import { latin1 } from '../json/latin1';
import { SparseJson } from '../json/sparse-json';
import { LONG_BODY_BYTES, LongBody } from '../request/long-body';
import type { CutCause } from '../routing/candidate-permits';
import type { MemoryAccount } from '../sockets/memory-budget';
import type { AnswerSink, AttemptOptions, AttemptServices } from './attempt-options';
import type { DeadlineEntry } from './deadlines';
import { connectionFailure, type Failure, statusFailure } from './failure';
import { GuardedHandler } from './guarded-handler';
import type { BodyRedactor } from './provider-keys';

/** Who is told of an attempt's moments. */
export interface AttemptOwner {
  /** The answer is good so far and is to be passed on from now. */
  attemptCommitted(attempt: Attempt): AnswerSink;
  /** It is over; `failure` and `committed` say how. */
  attemptEnded(attempt: Attempt): void;
  /** Nothing to pass on has come within `limits.patienceMs`; it goes on. */
  attemptWaits?(attempt: Attempt): void;
  /** A defect ended it: it holds nothing any more, and nobody has been answered. Must not throw. */
  attemptBroke(attempt: Attempt): void;
}

const MAX_ERROR_BYTES = 1_048_576;
/** So much of an answer is held back without room for it too, or no small answer could fail over any more. */
const ALWAYS_HELD_BYTES = 16_384;
/** What is held goes on in one piece up to this. */
const ONE_PIECE_BYTES = 65_536;
const EMPTY = Buffer.alloc(0);

/**
 * How long an answer is kept back. `whole`: until it is complete. `until content`: until it shows that it is
 * one. `for a moment`: until all that came in one piece has been read, so that it goes on in one piece.
 */
type BufferPolicy = 'whole' | 'until content' | 'for a moment' | 'nothing';

/** One request to one provider, with its named moments: sent, head, data, end, error. */
export class Attempt implements ExchangeHandler, DeadlineEntry {
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

  /** What was found of its answer by what was asked; null: nothing is to be found. Absent until that is known. */
  judgement?: Judgement | null;
  #judged: (() => void) | null = null;
  readonly #owner: AttemptOwner;
  readonly #services: AttemptServices;
  readonly #redactor: BodyRedactor | null;
  #holds: boolean;
  /** When it fails without content, when its owner hears that it waits, and when its caller no longer does. */
  #answerByMs: number;
  #waitsFromMs: number;
  #leaveMs = Number.POSITIVE_INFINITY;
  readonly #account: MemoryAccount;
  #keeping: BufferPolicy = 'whole';
  #reading: ReadMode = 'nothing';
  /** What is wrong with the answer by its head alone. */
  #headFault: AnswerFault | null = null;
  /** Reads a plain answer that is passed on before it is complete. */
  #object: SparseJson | null = null;
  /** What the answer says, where it is to be judged. */
  #kept: KeptAnswer | null = null;
  #hasBody = false;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** What the caller's account holds for it. */
  #charged = 0;
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
    this.#account = services.memory.account(options.caller.team);
    this.startedMs = services.now();
    const { limits, streams, holds } = options;
    this.#holds = holds;
    this.#answerByMs = this.startedMs + (streams && holds ? limits.firstContentMs : limits.answerMs);
    this.#waitsFromMs = this.startedMs + limits.patienceMs;
    this.deadlineMs = Math.min(this.#answerByMs, this.#waitsFromMs);
  }

  dispatch(): void {
    const { provider, permit, path, method } = this.options;
    provider.inFlight += 1;
    this.#services.deadlines.add(this);
    try {
      permit?.onCut((cause) => {
        try {
          this.#cut(cause);
        } catch (error) {
          this.broke(error);
        }
      });
      if (this.ended) return;
      const { headers, body } = outgoing(this.options);
      provider.pool.dispatch({ path, method, headers, body }, new GuardedHandler(this));
    } catch (error) {
      this.broke(error);
    }
  }

  /** Says what was found of its answer. */
  judgeAs(judgement: Judgement | null): void {
    this.judgement = judgement;
    this.#judged?.();
    this.#judged = null;
  }

  /** Calls back once it is known what was found of its answer; never where nobody looks at it. */
  whenJudged(judged: () => void): void {
    if (this.judgement === undefined) this.#judged = judged;
    else judged();
  }

  /** A defect in handling one of its moments: gives back what it holds, and its owner ends the rest. */
  broke(error: unknown): void {
    this.#services.defects.report(error, { during: 'attempt', provider: this.options.provider.name });
    this.discard();
    this.#owner.attemptBroke(this);
  }

  /** Ends it without a word to its owner; never throws. */
  discard(): void {
    if (!this.ended) {
      this.ended = true;
      this.#giveBack();
    }
    this.#held = [];
    this.#letKeptGo();
    try {
      this.#exchange?.abort();
    } catch {
      // Its connection had gone before.
    }
  }

  /** Tokens as its provider counted them, null when it did not. */
  get usage(): TokenUsage | null {
    return this.scanner?.usage ?? this.plain?.usage ?? null;
  }

  /** Milliseconds to the first token, null when none came. */
  get firstTokenMs(): number | null {
    const atMs = this.scanner?.firstContentMs ?? null;
    return atMs === null ? null : atMs - this.startedMs;
  }

  /** What the answer has come to; null when it was not read. */
  get gist(): AnswerGist | null {
    return this.scanner === null ? (this.plain?.gist ?? null) : this.scanner.gist;
  }

  /** The answer is complete, and nothing is in it that a caller could use. */
  get isEmpty(): boolean {
    return this.scanner === null ? this.plain?.gist?.holds === NOTHING_HELD : this.scanner.isEmpty;
  }

  get #keepsText(): boolean {
    return this.options.asks !== null || this.options.keeps;
  }

  /** What the answer says, where it is to be judged; to be read at once. */
  get kept(): KeptAnswer | null {
    return this.#kept;
  }

  /** What the answer says, where it is to be judged; the receiver's from then on. */
  takeKept(): KeptAnswer | null {
    const kept = this.#kept;
    this.#kept = null;
    return kept;
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
    this.#discharge();
    this.#allowMore(this.#services.now());
    this.#exchange?.resume();
  }

  /** The caller left, or the process ends. */
  abandon(why: string): void {
    this.#fail({ kind: 'aborted', why, ambiguous: true });
  }

  /** Its caller waits no longer than until then, by its own account: that is no failure of the provider. */
  leaveAt(timeMs: number): void {
    if (this.committed || this.ended) return;
    this.#leaveMs = timeMs;
    this.deadlineMs = Math.min(this.deadlineMs, timeMs);
  }

  /** Nobody else is left to answer: passes on what there is, as it comes. */
  release(): void {
    this.#holds = false;
    if (this.ended || this.committed || this.head === null || this.status >= 300) return;
    this.#passOn(this.#services.now());
  }

  expire(): void {
    const nowMs = this.#services.now();
    if (this.#paused) this.abandon('the caller stopped reading');
    else if (!this.committed && nowMs < this.#answerByMs) this.#wait(nowMs);
    else
      this.#fail({
        kind: 'timeout',
        why: this.head === null ? 'no answer in time' : 'no progress in time',
        ambiguous: this.sent,
      });
  }

  #wait(nowMs: number): void {
    if (nowMs >= this.#leaveMs) {
      this.abandon('the caller would have left');
      return;
    }
    this.deadlineMs = Math.min(this.#answerByMs, this.#leaveMs);
    if (nowMs < this.#waitsFromMs) return;
    this.#waitsFromMs = Number.POSITIVE_INFINITY;
    this.#owner.attemptWaits?.(this);
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
    const redirect = redirectFailure(status);
    if (redirect !== null) {
      this.#fail(redirect);
      return;
    }
    const { reading, fault } = answerMode(status, head, this.options);
    if (fault !== null && this.#holds) {
      this.#fail({ ...fault, ambiguous: true });
      return;
    }
    this.#headFault = fault;
    this.#reading = reading;
    if (reading === 'events') this.#readEvents();
    this.#keeping = this.#keepingOf(status, reading);
    if (this.#keeping === 'for a moment') process.nextTick(endMoment, this);
  }

  onData(chunk: Buffer): boolean {
    if (this.ended) return true;
    return this.#take(this.#redactor === null ? chunk : this.#redactor.push(chunk));
  }

  #take(chunk: Buffer): boolean {
    if (chunk.length === 0) return true;
    this.#hasBody = true;
    if (this.#reading === 'first byte') this.#readFirstByte(chunk);
    if (this.#reading === 'object' && this.#keepsText) this.#keepBody(chunk);
    const nowMs = this.#services.now();
    const bytes = this.scanner === null ? chunk : this.scanner.push(chunk, nowMs);
    if (this.committed) {
      this.#object?.push(latin1(chunk));
      return this.#pass(bytes, nowMs);
    }
    this.#held.push(bytes);
    this.#heldBytes += chunk.length;
    return this.#keeping === 'for a moment' || this.#keep(this.#charge(chunk.length), nowMs);
  }

  onComplete(): void {
    if (this.ended) return;
    const rest = this.#redactor?.end() ?? null;
    if (rest !== null) this.#take(rest);
    if (this.ended) return;
    this.#complete = true;
    const nowMs = this.#services.now();
    if (this.scanner !== null) this.#endStream(this.scanner, nowMs);
    else this.#endPlain(nowMs);
  }

  onError(error: Error): void {
    if (this.ended) return;
    const secure = this.options.provider.base.protocol === 'https:';
    this.#fail(connectionFailure(error, { sent: this.sent, answerBegan: this.head !== null, secure }));
  }

  /** All that came in one piece has been read: nothing is kept back any longer. */
  endMoment(): void {
    if (!this.ended && this.#keeping === 'for a moment') this.#passOn(this.#services.now());
  }

  #keepingOf(status: number, reading: ReadMode): BufferPolicy {
    const { streams, endpoint } = this.options;
    if (status >= 300) return status >= 400 || this.#holds ? 'whole' : 'for a moment';
    if (!this.#holds) return 'for a moment';
    if (reading === 'events' || reading === 'first byte') return 'until content';
    return reading === 'nothing' && (streams || endpoint === 'speech') ? 'until content' : 'whole';
  }

  #readEvents(): void {
    const { endpoint, removesUsage, choices, maxHeldBytes, limits } = this.options;
    if (this.#keepsText && hasGist(endpoint)) this.#kept = new KeptAnswer(this.#account, endpoint);
    const kept = this.#kept;
    this.scanner = new StreamScanner({ endpoint, removesUsage, choices, maxHeldBytes, kept });
    if (!this.#holds) return;
    this.#answerByMs = this.startedMs + limits.firstContentMs;
    this.deadlineMs = Math.min(this.#answerByMs, this.#waitsFromMs, this.#leaveMs);
  }

  #keepBody(chunk: Buffer): void {
    const { endpoint } = this.options;
    if (!hasGist(endpoint)) return;
    this.#kept ??= new KeptAnswer(this.#account, endpoint);
    this.#kept.addBody(chunk);
  }

  #readFirstByte(chunk: Buffer): void {
    const reading = readingByFirstByte(chunk);
    if (reading === null) return;
    this.#reading = reading;
    if (reading === 'events') this.#readEvents();
    else if (this.committed) this.#object = new SparseJson();
    else if (this.#keeping === 'until content') this.#keeping = 'whole';
  }

  /** Decides about what is kept back, now that more has come. */
  #keep(hasRoom: boolean, nowMs: number): boolean {
    const { scanner } = this;
    const cap = this.status >= 300 ? MAX_ERROR_BYTES : this.options.maxHeldBytes;
    if (!hasRoom || this.#heldBytes > cap) return this.#passOn(nowMs);
    if (this.#keeping === 'whole' || this.#reading === 'first byte') return true;
    if (scanner === null || scanner.hasContent) return this.#passOn(nowMs);
    if (scanner.errorEvent || scanner.malformed) this.#fail({ ...faultOf(scanner), ambiguous: true });
    return true;
  }

  #endStream(scanner: StreamScanner, nowMs: number): void {
    const rest = scanner.end(nowMs);
    const fault = this.#headFault ?? scanner.fault;
    if (!this.committed) {
      // A second piece, even an empty one, would have all of it copied.
      if (rest.length > 0) this.#held.push(rest);
      if (this.#keeping === 'until content' && !scanner.hasContent) {
        this.#end({ ...faultOf(scanner), ambiguous: true });
        return;
      }
      this.#passOn(nowMs);
    } else if (rest.length > 0 && scanner.mayEnd) this.#sink?.write(rest);
    const failure = fault === null ? null : { ...fault, ambiguous: true };
    // The caller is told of a cut, unless the provider's own error event has been passed on.
    if (failure !== null && !scanner.mayEnd && !scanner.errorEvent) this.#end(failure);
    else {
      this.#sink?.end();
      this.#finish(failure);
    }
  }

  #endPlain(nowMs: number): void {
    if (this.#keeping === 'whole') {
      const failure = statusFailure(this.status);
      if (failure !== null) {
        this.#end(failure);
        return;
      }
    }
    const fault = this.#plainFault();
    const failure = fault === null ? null : { ...fault, ambiguous: true };
    if (failure !== null && !this.committed && this.#holds) {
      this.#end(failure);
      return;
    }
    if (!this.committed && isBodiless(this.status, this.options.method)) this.#passOn(nowMs);
    if (this.committed) this.#sink?.end();
    else {
      this.committed = true;
      this.#sink = this.#owner.attemptCommitted(this);
      this.#sink.whole(this.status, (this.head as AnswerHead).headers, this.#held);
    }
    this.#finish(failure);
  }

  /** What is wrong with a plain answer that is complete. */
  #plainFault(): AnswerFault | null {
    const { endpoint, choices, streams } = this.options;
    if (this.#headFault !== null) return this.#headFault;
    switch (this.#reading) {
      case 'object': {
        this.plain =
          this.#object === null
            ? readPlain(endpoint, this.#held, choices)
            : readPlainObject(endpoint, this.#object.end(), choices);
        const { fault } = this.plain;
        if (!streams || endpoint === 'speech' || fault?.kind === 'error_event') return fault;
        const { contentType } = this.head as AnswerHead;
        return { kind: 'malformed', why: `expected a stream, got "${contentType.slice(0, 60)}"` };
      }
      case 'first byte':
        return { kind: 'truncated', why: 'the stream ended before any content' };
      default:
        if (endpoint !== 'speech' || this.#hasBody || this.status >= 300) return null;
        return { kind: 'truncated', why: 'an answer without any content' };
    }
  }

  /** Passes on what was kept back, and all that comes from now on. */
  #passOn(nowMs: number): boolean {
    const head = this.head as AnswerHead;
    const held = this.#heldBytes <= ONE_PIECE_BYTES ? [this.heldBody] : this.#held;
    this.#held = [];
    this.#keeping = 'nothing';
    this.committed = true;
    if (this.#reading === 'object') {
      this.#object = new SparseJson();
      for (const piece of held) this.#object.push(latin1(piece));
    }
    this.#sink = this.#owner.attemptCommitted(this);
    this.#sink.begin(this.status, head.headers, this.scanner === null ? head.contentLength : null);
    if (!this.#complete && held[0]?.length === 0) this.#sink.flush();
    for (const piece of held) this.#pass(piece, nowMs);
    // Else the account holds it until the caller takes more.
    if (!this.#paused) this.#discharge();
    return !this.#paused;
  }

  /** Counts bytes that are held back; false when they should not be, for want of room. */
  #charge(bytes: number): boolean {
    this.#charged += bytes;
    if (this.#account.take(bytes)) return true;
    this.#account.hold(bytes);
    return this.status >= 300 || this.#heldBytes <= ALWAYS_HELD_BYTES;
  }

  #discharge(): void {
    if (this.#charged > 0) this.#account.give(this.#charged);
    this.#charged = 0;
  }

  #pass(bytes: Buffer, nowMs: number): boolean {
    this.#allowMore(nowMs);
    if (bytes.length === 0 || this.#sink === null || this.#sink.write(bytes)) return true;
    this.#paused = true;
    this.deadlineMs = nowMs + this.options.limits.idleMs;
    return false;
  }

  /** Sets the deadline after some progress; a plain answer may be silent as long as the whole may take. */
  #allowMore(nowMs: number): void {
    const { limits } = this.options;
    const idleMs = nowMs + limits.idleMs;
    this.deadlineMs = this.scanner === null ? Math.max(idleMs, this.startedMs + limits.answerMs) : idleMs;
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
    this.#giveBack();
    const { provider } = this.options;
    const nowMs = this.#services.now();
    this.endedMs = nowMs;
    const retryAfterMs = this.head?.retryAfterMs ?? null;
    const { headers } = this.options;
    const isOneKeys = provider.restKey({ headers, status: this.status, retryAfterMs }, nowMs);
    if (failure === null || failure.kind === 'status_4xx') provider.breaker.succeeded(nowMs);
    else if (!isOneKeys && this.#isProvidersFault(failure)) provider.breaker.failed(nowMs);
    if (!isOneKeys && retryAfterMs !== null && (this.status === 429 || this.status === 503)) {
      provider.holdOff(this.options.caller, retryAfterMs, nowMs);
    }
    this.#owner.attemptEnded(this);
    this.#letKeptGo();
    if (this.committed || this.#heldBytes > MAX_ERROR_BYTES) this.#letGo();
  }

  #letKeptGo(): void {
    this.#kept?.release();
    this.#kept = null;
  }

  /** A short answer is kept for an owner that waits for another attempt before it decides. */
  #letGo(): void {
    this.#held = [];
    this.#complete = false;
  }

  /** Gives back what an attempt holds of what all share; once, and before anything that could throw. */
  #giveBack(): void {
    const { provider, permit } = this.options;
    provider.inFlight -= 1;
    this.#services.deadlines.remove(this);
    permit?.close();
    this.#discharge();
  }

  /** The breaker is shared by all callers: it hears nothing of what concerns one of them. */
  #isProvidersFault({ kind }: Failure): boolean {
    if (kind === 'withdrawn' || kind === 'aborted') return false;
    return !this.options.provider.blamesOnly(this.options.caller, this.status);
  }
}

/** In place of a closure per answer. Nobody else would catch what is thrown in a tick of its own. */
function endMoment(attempt: Attempt): void {
  try {
    attempt.endMoment();
  } catch (error) {
    attempt.onError(error as Error);
  }
}

/** What is wrong with a stream that gave no content. */
function faultOf(scanner: StreamScanner): AnswerFault {
  return scanner.fault ?? { kind: 'truncated', why: 'the stream ended before any content' };
}

/** What is sent: a long body in slices, under the length that it has. */
function outgoing({ headers, body }: AttemptOptions): { headers: string[]; body: Buffer | Readable | null } {
  if (body === null || !(Buffer.isBuffer(body) || body instanceof LongBody)) return { headers, body };
  if (Buffer.isBuffer(body) && body.length <= LONG_BODY_BYTES) return { headers, body };
  const long = Buffer.isBuffer(body) ? new LongBody([body]) : body;
  return { headers: [...headers, 'content-length', `${long.length}`], body: long.stream() };
}
