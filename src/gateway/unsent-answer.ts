import type { ServerResponse } from 'node:http';
import type { AttemptServices } from './attempt-options';
import type { Timed } from './deadlines';
import type { MemoryAccount } from './memory-budget';

/** An answer is given to the socket in pieces of this size, and no more of them than it takes. */
const PIECE_BYTES = 65_536;

export interface UnsentOptions {
  readonly response: ServerResponse;
  /** What is still to be written; empty where all of it has been. */
  readonly body: Buffer;
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
export class UnsentAnswer implements Timed {
  place = -1;
  deadlineMs: number;
  /** All of it has left. */
  isSent = false;
  readonly #options: UnsentOptions;
  readonly #services: AttemptServices;
  readonly #bytes: number;
  #written = 0;
  #isOver = false;

  constructor(options: UnsentOptions, services: AttemptServices) {
    this.#options = options;
    this.#services = services;
    this.#bytes = options.body.length + options.response.writableLength;
    this.deadlineMs = services.now() + options.idleMs;
  }

  start(): void {
    const { response, account } = this.#options;
    account.hold(this.#bytes);
    this.#services.deadlines.add(this);
    response.on('drain', () => this.#write());
    response.once('finish', () => {
      this.isSent = true;
      this.#end();
    });
    response.once('close', () => this.#end());
    this.#write();
  }

  expire(): void {
    this.cut();
  }

  broke(error: unknown): void {
    this.#services.defects.report(error, { during: 'unsent answer' });
    this.cut();
  }

  /** Ends the connection at once. */
  cut(): void {
    this.#options.response.destroy();
    this.#end();
  }

  #write(): void {
    const { response, body, idleMs } = this.#options;
    this.deadlineMs = this.#services.now() + idleMs;
    if (this.#isOver || response.writableEnded) return;
    while (this.#written < body.length) {
      const piece = body.subarray(this.#written, this.#written + PIECE_BYTES);
      this.#written += piece.length;
      if (!response.write(piece)) return;
    }
    if (body.length > 0) response.end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#services.deadlines.remove(this);
    this.#options.account.give(this.#bytes);
    this.#options.over();
  }
}
