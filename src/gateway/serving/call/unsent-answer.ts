import type { CallerAnswer } from '../../http1/caller-answer';
import { lengthOf } from '../../request/long-body';
import type { MemoryAccount } from '../../sockets/memory-budget';
import type { AttemptServices } from '../../upstream/attempt-options';
import type { DeadlineEntry } from '../../upstream/deadlines';

/** An answer is given to the socket in pieces of this size, and no more of them than it takes. */
const PIECE_BYTES = 65_536;
const NOTHING = Buffer.alloc(0);

export interface UnsentOptions {
  readonly response: CallerAnswer;
  /** What is still to be written, which is let go of piece by piece; empty where all of it has been. */
  readonly pieces: Buffer[];
  readonly account: MemoryAccount;
  /** For how long the caller may read nothing. */
  readonly idleMs: number;
  /** Called once, when the operating system has all of it or the connection is gone. */
  readonly over: () => void;
}

/**
 * What is left of an answer when its provider is done with it: written as fast as its caller reads, counted as
 * held until then, and cut when the caller reads no more.
 */
export class UnsentAnswer implements DeadlineEntry {
  place = -1;
  deadlineMs: number;
  /** All of it has left. */
  isSent = false;
  readonly #options: UnsentOptions;
  readonly #services: AttemptServices;
  /** What the account holds for it. */
  #charged: number;
  /** The piece that is written next, and how much of it has been. */
  #place = 0;
  #written = 0;
  #isOver = false;

  constructor(options: UnsentOptions, services: AttemptServices) {
    this.#options = options;
    this.#services = services;
    this.#charged = lengthOf(options.pieces) + options.response.writableLength;
    this.deadlineMs = services.now() + options.idleMs;
  }

  start(): void {
    const { response, account } = this.#options;
    account.hold(this.#charged);
    this.#services.deadlines.add(this);
    response.on('drain', () => this.#write());
    this.#write();
  }

  expire(): void {
    this.cut();
  }

  broke(error: unknown): void {
    this.#services.defects.report(error, { during: 'unsent answer' });
    this.cut();
  }

  /** All of it has left, or the connection is gone. */
  closed(): void {
    this.isSent = this.#options.response.writableFinished;
    this.#end();
  }

  /** Ends the connection at once. */
  cut(): void {
    this.#options.response.destroy();
    this.#end();
  }

  #write(): void {
    const { response, pieces, idleMs } = this.#options;
    this.deadlineMs = this.#services.now() + idleMs;
    if (this.#isOver || response.writableEnded) return;
    while (this.#place < pieces.length) if (!response.write(this.#next())) return;
    if (pieces.length > 0) response.end();
  }

  #next(): Buffer {
    const { pieces } = this.#options;
    const piece = pieces[this.#place] as Buffer;
    const next = piece.subarray(this.#written, this.#written + PIECE_BYTES);
    this.#written += next.length;
    if (this.#written === piece.length) {
      pieces[this.#place] = NOTHING;
      this.#place += 1;
      this.#written = 0;
      this.#give(piece.length);
    }
    return next;
  }

  #give(bytes: number): void {
    this.#charged -= bytes;
    this.#options.account.give(bytes);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#services.deadlines.remove(this);
    this.#give(this.#charged);
    this.#options.over();
  }
}
