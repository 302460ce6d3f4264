import type { Readable } from 'node:stream';
import type { Caller } from '../callers/callers';
import type { LongBody } from '../request/long-body';
import type { AskedForm } from '../request/request-facts';
import type { Endpoint } from '../request/traffic-class';
import type { CandidatePermit } from '../routing/candidate-permits';
import type { MemoryBudget } from '../sockets/memory-budget';
import type { Defects } from '../telemetry/defects';
import type { Deadlines } from './deadlines';
import type { Failure } from './failure';
import type { Provider } from './provider';

/** Where a committed answer goes: to the caller, or nowhere (a mirror). */
export interface AnswerSink {
  begin(status: number, headers: string[], contentLength: number | null): void;
  /** Nothing of the body is there yet: the head is sent without it. */
  flush(): void;
  /** False asks to pause until the attempt is resumed. */
  write(bytes: Buffer): boolean;
  end(): void;
  /** A complete answer, in pieces that are the sink's from then on. */
  whole(status: number, headers: string[], body: Buffer[]): void;
  /** The answer cannot be completed: an explicit error or a cut connection, never a clean end. */
  breakOff(failure: Failure): void;
}

/** Times of one attempt, milliseconds. */
export interface AttemptLimits {
  /** To the head of an answer, or the whole of a held plain one. */
  readonly answerMs: number;
  /** To the first content of a stream. */
  readonly firstContentMs: number;
  /** Between two pieces once the answer runs. */
  readonly idleMs: number;
  /** After this, without anything to pass on, the owner hears that the attempt waits; it goes on. */
  readonly patienceMs: number;
}

export interface AttemptOptions {
  readonly provider: Provider;
  readonly caller: Caller;
  readonly method: string;
  readonly path: string;
  readonly headers: string[];
  readonly body: Buffer | LongBody | Readable | null;
  readonly endpoint: Endpoint;
  /** A stream was asked for. */
  readonly streams: boolean;
  /** Whether a stream was asked for depends on who reads it, so an answer of either form is right. */
  readonly mayStream: boolean;
  /** How many choices were asked for. */
  readonly choices: number;
  /** What the answer is to be judged by, for which its text is kept; null where it is not. */
  readonly asks: AskedForm | null;
  /** Keep its text also where it is judged by nothing: another model is to compare it. */
  readonly keeps: boolean;
  /** Keep the answer back until its commit point, so that another attempt can still take its place. */
  readonly holds: boolean;
  /** Read usage and times on the side. */
  readonly reads: boolean;
  /** The usage event was asked for by the gateway and is taken out again. */
  readonly removesUsage: boolean;
  /** May be made again elsewhere after it was sent; else an emergency lets it run on. */
  readonly replayable: boolean;
  readonly limits: AttemptLimits;
  readonly maxHeldBytes: number;
  readonly permit: CandidatePermit | null;
}

/** Clocks, timers and room that attempts share. */
export interface AttemptServices {
  readonly deadlines: Deadlines;
  readonly defects: Defects;
  readonly memory: MemoryBudget;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly wallNow: () => number;
}
