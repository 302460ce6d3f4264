import type { ServerResponse } from 'node:http';

/** A viewer that has not read so much is cut off: its browser connects again and is told everything anew. */
const UNREAD_AT_MOST_BYTES = 2_000_000;
/** Below the idle time after which proxies close a connection. */
const ALIVE_EVERY_MS = 15_000;

/** One viewer's stream of server-sent events. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #alive: NodeJS.Timeout;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    });
    response.write('retry: 1000\n\n');
    this.#alive = setInterval(() => response.write(': alive\n\n'), ALIVE_EVERY_MS);
    response.once('close', () => clearInterval(this.#alive));
  }

  /** Sends an event; `json` has no line breaks, as JSON.stringify writes it. */
  send(event: string, json: string): void {
    this.#response.write(`event: ${event}\ndata: ${json}\n\n`);
    if (this.#response.writableLength > UNREAD_AT_MOST_BYTES) this.#response.destroy();
  }
}
