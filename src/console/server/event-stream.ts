import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, createGzip, type Gzip } from 'node:zlib';

/** A viewer that has not read so much is cut off: its browser connects again and is sent everything anew. */
const UNREAD_AT_MOST_BYTES = 2_000_000;
/** Below the idle time after which proxies close a connection. */
const ALIVE_EVERY_MS = 15_000;

/** One viewer's stream of server-sent events, compressed where its browser can read that. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #gzip: Gzip | null;
  readonly #alive: NodeJS.Timeout;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#response = response;
    const isZipped = acceptsGzip(request);
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
      ...(isZipped ? { 'content-encoding': 'gzip', vary: 'accept-encoding' } : {}),
    });
    // Every write is flushed: an event never waits for the next.
    this.#gzip = isZipped ? createGzip({ flush: constants.Z_SYNC_FLUSH }) : null;
    this.#gzip?.on('data', (bytes: Buffer) => response.write(bytes));
    this.#write('retry: 1000\n\n');
    this.#alive = setInterval(() => this.#write(': alive\n\n'), ALIVE_EVERY_MS);
    response.once('close', () => {
      clearInterval(this.#alive);
      this.#gzip?.destroy();
    });
  }

  /** Sends an event; `json` has no line breaks, as JSON.stringify writes it. */
  send(event: string, json: string): void {
    this.#write(`event: ${event}\ndata: ${json}\n\n`);
    const unread = this.#response.writableLength + (this.#gzip?.writableLength ?? 0);
    if (unread > UNREAD_AT_MOST_BYTES) this.#response.destroy();
  }

  #write(text: string): void {
    (this.#gzip ?? this.#response).write(text);
  }
}

/** Whether a caller says that it can read gzip. */
export function acceptsGzip({ headers }: IncomingMessage): boolean {
  return /\bgzip\b/.test(String(headers['accept-encoding'] ?? ''));
}
