import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { latin1 } from '../json/latin1';
import { isField } from './field-lines';
import { type Writer, writeThisTurn } from './write-turn';

/** What an answer needs of the connection that carries it. */
export interface AnswerCarrier {
  readonly socket: Socket;
  /** The last byte of the answer was given to the socket. */
  answerEnded(): void;
}

/** Above the idle timeouts of common load balancers (60 s), so that never a reused connection dies first. */
export const KEEP_ALIVE_MS = 75_000;
const KEPT_OPEN = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1_000}\r\n`;
/** Up to this, bytes are joined with what frames them: a copy costs less than another call of the system. */
const ONE_PIECE_BYTES = 16_384;
/** More than this is not kept until the end of the turn: the socket says whether it has room. */
const AT_MOST_LATER_BYTES = 65_536;
const NOBODY = () => {};

/** An answer to a caller, under the names that node:http has for it. Its head leaves with the first bytes of its body. */
export class CallerAnswer implements Writer {
  statusCode = 200;
  headersSent = false;
  /** `end` was called. */
  writableEnded = false;
  /** Every byte was given to the system. */
  writableFinished = false;
  /** The connection is gone. */
  destroyed = false;
  /** Whether the connection may carry another request after this one. */
  shouldKeepAlive: boolean;
  #onClose: () => void = NOBODY;
  #onDrain: () => void = NOBODY;
  readonly #carrier: AnswerCarrier;
  readonly #isOld: boolean;
  readonly #isHead: boolean;
  /** Head and body that were not given to the socket yet. */
  #text = '';
  #planned = false;
  #chunked = false;
  #bodiless = false;
  /** Bytes that were promised and have not come, -1 where none were. */
  #left = -1;

  constructor(carrier: AnswerCarrier, request: { method: string; httpVersion: string }, keepsAlive: boolean) {
    this.#carrier = carrier;
    this.#isOld = request.httpVersion === '1.0';
    this.#isHead = request.method === 'HEAD';
    this.shouldKeepAlive = keepsAlive;
  }

  /** One listener for each event. `close`: it has left, or the connection is gone. */
  on(event: 'close' | 'drain', listener: () => void): void {
    if (event === 'close') this.#onClose = listener;
    else this.#onDrain = listener;
  }

  get socket(): Socket {
    return this.#carrier.socket;
  }

  /** Bytes that are not given to the system yet. */
  get writableLength(): number {
    return this.#carrier.socket.writableLength;
  }

  /** `headers` is a flat list; a Content-Length in it is held to, and Connection may say `close`. */
  writeHead(status: number, headers: readonly string[]): void {
    if (this.headersSent) throw new Error('expected one head of an answer, got a second');
    this.statusCode = status;
    this.headersSent = true;
    let lines = '';
    let hasDate = false;
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index] as string;
      const value = headers[index + 1] as string;
      if (name.length === 10 && name.toLowerCase() === 'connection') {
        this.shouldKeepAlive = false;
        continue;
      }
      if (name.length === 14 && name.toLowerCase() === 'content-length') this.#left = Number(value);
      else if (name.length === 4 && name.toLowerCase() === 'date') hasDate = true;
      if (!isField(name, value)) throw new Error(`expected a valid header, got "${name.slice(0, 60)}"`);
      lines += `${name}: ${value}\r\n`;
    }
    this.#bodiless = this.#isHead || status === 204 || status === 304;
    if (this.#bodiless) this.#left = -1;
    else if (this.#left < 0) {
      if (this.#isOld) this.shouldKeepAlive = false;
      else {
        this.#chunked = true;
        lines += 'Transfer-Encoding: chunked\r\n';
      }
    }
    if (!hasDate) lines += dateLine();
    const connection = this.shouldKeepAlive ? KEPT_OPEN : 'Connection: close\r\n';
    this.#text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n${lines}${connection}\r\n`;
  }

  /** Sends the head without waiting for a body. */
  flushHeaders(): void {
    if (!this.destroyed) this.#plan();
  }

  /** False asks to wait for `drain`. */
  write(bytes: Buffer | string): boolean {
    const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    if (this.destroyed || this.writableEnded || body.length === 0 || this.#bodiless) return true;
    this.#count(body.length);
    if (this.#chunked) return this.#send(`${body.length.toString(16)}\r\n`, body, '\r\n');
    return this.#send('', body, '');
  }

  /** `body` is the last piece, or the whole. */
  end(body: Buffer | string = ''): void {
    if (this.destroyed || this.writableEnded) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.writableEnded = true;
    if (bytes.length > 0 && !this.#bodiless) {
      this.#count(bytes.length);
      if (this.#chunked) this.#send(`${bytes.length.toString(16)}\r\n`, bytes, '\r\n');
      else this.#send('', bytes, '');
    }
    if (this.#left > 0) this.destroy();
    if (this.#chunked) this.#text += '0\r\n\r\n';
    this.#plan();
  }

  destroy(): void {
    this.#carrier.socket.destroy();
  }

  /** Gives the socket what was written, now and not at the end of this turn of the event loop. */
  writeOut(): void {
    this.#planned = false;
    if (this.destroyed) return;
    this.#flush();
    if (this.writableEnded) this.#carrier.answerEnded();
  }

  // The moments below are called by the connection.

  drained(): void {
    this.#onDrain();
  }

  finished(): void {
    if (this.writableFinished) return;
    this.writableFinished = true;
    this.#onClose();
  }

  gone(): void {
    this.destroyed = true;
    if (!this.writableFinished) this.#onClose();
  }

  #send(before: string, body: Buffer, after: string): boolean {
    const { socket } = this.#carrier;
    if (body.length <= ONE_PIECE_BYTES) {
      this.#text += before + latin1(body) + after;
      if (this.#text.length > AT_MOST_LATER_BYTES) return this.#flush();
      this.#plan();
      return !socket.writableNeedDrain;
    }
    socket.cork();
    this.#text += before;
    this.#flush();
    const hasRoom = socket.write(body);
    this.#text = after;
    this.#flush();
    socket.uncork();
    return hasRoom;
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    writeThisTurn(this);
  }

  #flush(): boolean {
    const text = this.#text;
    this.#text = '';
    return text === '' || this.#carrier.socket.write(text, 'latin1');
  }

  /** A body that is longer than was promised would be read as the beginning of the next answer. */
  #count(bytes: number): void {
    if (this.#left < 0) return;
    this.#left -= bytes;
    if (this.#left >= 0) return;
    this.destroy();
    throw new Error('expected a body as long as its Content-Length, got a longer one');
  }
}

let datedMs = 0;
let dated = '';

/** The Date header, made anew once a second. */
function dateLine(): string {
  const nowMs = Date.now();
  if (nowMs - datedMs >= 1_000 || nowMs < datedMs) {
    datedMs = nowMs - (nowMs % 1_000);
    dated = `Date: ${new Date(nowMs).toUTCString()}\r\n`;
  }
  return dated;
}
