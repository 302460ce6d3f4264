import type { Readable } from 'node:stream';

/** What is sent. */
export interface UpstreamRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /**
   * Flat list. A Content-Length gives the length of a body that is a stream, which else goes out chunked; the
   * other headers that frame a message are not taken.
   */
  readonly headers: readonly string[];
  readonly body: string | Buffer | Readable | null;
}

/** Called at the moments of one request, in this order; nothing after `onComplete`, `onError` or an abort. */
export interface ExchangeHandler {
  /** The bytes of the request go to a socket next, unless it is aborted now. */
  onConnect(exchange: Exchange): void;
  /** `headers` is a flat list. Also called for interim answers (1xx). */
  onHeaders(status: number, headers: string[]): void;
  /** False pauses the answer until `resume`. */
  onData(bytes: Buffer): boolean;
  onComplete(): void;
  onError(error: Error): void;
}

/** What carries an exchange from the moment that it is sent. */
export interface Carrier {
  abort(exchange: Exchange): void;
  resume(exchange: Exchange): void;
}

/** One request on its way, and the handle by which its handler stops or resumes it. */
export class Exchange {
  aborted = false;
  carrier: Carrier | null = null;

  constructor(
    readonly request: UpstreamRequest,
    readonly handler: ExchangeHandler,
  ) {}

  /** Ends it without another call of the handler; its connection is closed if the request may have been sent. */
  abort(): void {
    this.aborted = true;
    this.carrier?.abort(this);
  }

  /** Takes up an answer again that was paused. */
  resume(): void {
    this.carrier?.resume(this);
  }
}
