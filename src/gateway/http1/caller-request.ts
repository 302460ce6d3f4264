import type { Socket } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import type { ReceivedHead } from './request-parser';

const NOBODY = () => {};

/** A request of a caller, under the names that node:http has for it. Whoever wants its body listens at once. */
export class CallerRequest {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: '1.0' | '1.1';
  /** Flat list of names and values. */
  readonly rawHeaders: readonly string[];
  readonly headers: { readonly upgrade?: string };
  /** The whole body has come. */
  complete = false;
  #onData: (bytes: Buffer) => void = NOBODY;
  #onEnd: () => void = NOBODY;
  #onClose: () => void = NOBODY;
  readonly #flow: (flows: boolean) => void;

  /** `flow` stops and resumes what comes. */
  constructor(
    head: ReceivedHead,
    readonly socket: Socket,
    flow: (flows: boolean) => void,
  ) {
    this.method = head.method;
    this.url = head.target;
    this.httpVersion = head.httpVersion;
    this.rawHeaders = head.fields.list;
    this.headers = head.fields.upgrade === null ? NO_HEADERS : { upgrade: head.fields.upgrade };
    this.#flow = flow;
  }

  /** One listener for each event. `close`: the connection went before the body was complete. */
  on(event: 'data', listener: (bytes: Buffer) => void): void;
  on(event: 'end' | 'close', listener: () => void): void;
  on(event: 'data' | 'end' | 'close', listener: (bytes: Buffer) => void): void {
    if (event === 'data') this.#onData = listener;
    else if (event === 'end') this.#onEnd = listener as () => void;
    else this.#onClose = listener as () => void;
  }

  resume(): void {
    this.#flow(true);
  }

  /**
   * The body as it comes, for a provider. Whoever destroys it (a connection that failed) does not destroy the
   * caller's connection with it, on which an answer is still to be written.
   */
  stream(): Readable {
    const passing = new PassThrough();
    this.on('data', (bytes) => {
      if (!passing.write(bytes)) this.#flow(false);
    });
    this.on('end', () => passing.end());
    this.on('close', () => passing.destroy(new Error('the caller left')));
    passing.on('drain', () => this.#flow(true));
    passing.once('close', () => this.discard());
    passing.on('error', NOBODY);
    return passing;
  }

  /** Reads the rest and throws it away. */
  discard(): void {
    this.#onData = NOBODY;
    this.#onEnd = NOBODY;
    this.#onClose = NOBODY;
    this.#flow(true);
  }

  // The moments below are called by the connection.

  data(bytes: Buffer): void {
    this.#onData(bytes);
  }

  end(): void {
    this.complete = true;
    this.#onEnd();
  }

  gone(): void {
    if (!this.complete) this.#onClose();
  }
}

const NO_HEADERS = {};
