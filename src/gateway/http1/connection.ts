import type { Socket } from 'node:net';
import { AnswerParser, type AnswerReceiver } from './answer-parser';
import type { Carrier, Exchange } from './exchange';
import type { Fields } from './field-lines';
import { pumpBody, writeRequest } from './request-writer';

/** A connection that ended while an answer was under way or awaited. */
export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed';
  readonly code = 'CONNECTION_CLOSED';
  constructor() {
    super('expected an answer, got the end of the connection');
  }
}

/** What a connection reports to its pool. */
export interface ConnectionOwner {
  /** Connected, and by TLS as far as it is used. */
  connectionOpened(connection: Connection): void;
  /** Its exchange is over and it can take another one. */
  connectionFreed(connection: Connection): void;
  /** It is gone; `error` is why, if it never opened. */
  connectionClosed(connection: Connection, error: Error | null): void;
}

/** Idle connections are closed after this, milliseconds, unless the peer says when it closes them itself. */
const IDLE_MS = 30_000;
const MAX_IDLE_MS = 600_000;
/** So long before the peer's own idle timeout, which may pass while a request is on its way. */
const IDLE_MARGIN_MS = 2_000;

/** One socket to a provider; carries one exchange at a time. */
export class Connection implements AnswerReceiver, Carrier {
  /** Monotonic milliseconds. */
  idleUntilMs = 0;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #host: string;
  readonly #parser = new AnswerParser(this);
  #exchange: Exchange | null = null;
  #opened = false;
  #usable = false;
  #bodySent = true;
  #paused = false;
  #idleMs = IDLE_MS;
  #error: Error | null = null;

  /** `openEvent` is the event of the socket that says it is ready. */
  constructor(socket: Socket, host: string, openEvent: 'connect' | 'secureConnect', owner: ConnectionOwner) {
    this.#socket = socket;
    this.#host = host;
    this.#owner = owner;
    socket.once(openEvent, () => {
      this.#opened = true;
      this.#usable = true;
      owner.connectionOpened(this);
    });
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('end', () => this.#peerEnded());
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => this.#closed());
  }

  /** Whether another request may be sent; false as soon as the peer has closed its side. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Sends a request. The connection has to be usable and without another one. */
  send(exchange: Exchange): void {
    const { request } = exchange;
    const { body } = request;
    this.#exchange = exchange;
    exchange.carrier = this;
    this.#parser.begin(request.method);
    try {
      const length = writeRequest(this.#socket, this.#host, request);
      if (typeof body !== 'object' || body === null || Buffer.isBuffer(body)) return;
      this.#bodySent = false;
      pumpBody(body, this.#socket, length, (error) => {
        if (this.#exchange !== exchange) return;
        if (error === null) this.#bodySent = true;
        else this.#fail(error);
      });
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  abort(exchange: Exchange): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = null;
    this.destroy();
  }

  resume(exchange: Exchange): void {
    if (this.#exchange === exchange) this.#resume();
  }

  destroy(error?: Error): void {
    this.#usable = false;
    this.#socket.destroy(error);
  }

  answerHead(status: number, fields: Fields): void {
    if (fields.keepAlive !== null) this.#idleMs = idleMs(fields.keepAlive);
    this.#exchange?.handler.onHeaders(status, fields.list);
  }

  answerData(bytes: Buffer): void {
    if (this.#exchange === null || this.#exchange.handler.onData(bytes)) return;
    this.#paused = true;
    this.#socket.pause();
  }

  answerEnd(reusable: boolean): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    this.#exchange = null;
    // A peer that answers before it has read everything may take the rest of this request for the next one.
    const isClean = reusable && this.#usable && this.#bodySent && this.#socket.writableLength === 0;
    if (!isClean || this.#idleMs <= 0) this.destroy();
    else this.#resume();
    try {
      exchange.handler.onComplete();
    } finally {
      if (this.#usable) {
        this.idleUntilMs = performance.now() + this.#idleMs;
        this.#owner.connectionFreed(this);
      }
    }
  }

  #receive(bytes: Buffer): void {
    const exchange = this.#exchange;
    try {
      this.#parser.push(bytes);
    } catch (error) {
      // Also what the handler itself threw, in whichever of its moments.
      this.#exchange = exchange;
      this.#fail(error as Error);
    }
  }

  #peerEnded(): void {
    this.#usable = false;
    if (!this.#parser.close()) this.#fail(new ConnectionClosed());
  }

  #closed(): void {
    this.#usable = false;
    this.#fail(this.#error ?? new ConnectionClosed());
    this.#owner.connectionClosed(this, this.#opened ? null : (this.#error ?? new ConnectionClosed()));
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.destroy();
    exchange?.handler.onError(error);
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }
}

function idleMs(keepAlive: string): number {
  const seconds = /(?:^|[\s,])timeout=(\d{1,9})/i.exec(keepAlive)?.[1];
  return seconds === undefined ? IDLE_MS : Math.min(Number(seconds) * 1_000 - IDLE_MARGIN_MS, MAX_IDLE_MS);
}
