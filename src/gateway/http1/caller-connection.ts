import type { Socket } from 'node:net';
import { type AnswerCarrier, CallerAnswer, KEEP_ALIVE_MS } from './caller-answer';
import { CallerRequest } from './caller-request';
import { hasOption } from './field-lines';
import { MessageError } from './message-error';
import { type ReceivedHead, RequestParser, type RequestReceiver } from './request-parser';

/** What a connection asks of whoever serves its requests. */
export interface CallerHost {
  /** How long a head may take, milliseconds. */
  readonly headMs: number;
  /** How long a whole request may take, milliseconds. */
  readonly requestMs: number;
  /** Monotonic milliseconds. */
  now(): number;
  request(request: CallerRequest, answer: CallerAnswer): void;
  /** A WebSocket is asked for: the socket belongs to the host from now on; `head` is what came behind the request. */
  upgrade(request: CallerRequest, socket: Socket, head: Buffer): void;
  /** Answers what is no request in time and closes the socket, which belongs to the host from now on. */
  refuse(socket: Socket, why: MessageRefusal): void;
  /** What serving threw; the connection is closed. */
  broke(error: unknown): void;
  /** The connection needs no deadline any more. */
  left(connection: CallerConnection): void;
}

export type MessageRefusal = 'malformed' | 'too long' | 'too slow';

/** For how long a caller may still send on a connection that was answered for the last time. */
const LINGER_MS = 2_000;
const NOTHING = Buffer.alloc(0);

/**
 * One connection of a caller. Its requests are served one after the other: what is sent ahead waits until the answer
 * before it has left.
 */
export class CallerConnection implements RequestReceiver, AnswerCarrier {
  place = -1;
  /** Monotonic milliseconds. */
  deadlineMs: number;
  readonly socket: Socket;
  readonly #host: CallerHost;
  readonly #parser = new RequestParser(this);
  #request: CallerRequest | null = null;
  #answer: CallerAnswer | null = null;
  /** Came before its turn. */
  #ahead: Buffer | null = null;
  #parsing = false;
  /** When the first byte of a request came, or the connection; null between two requests. */
  #startedMs: number | null;
  /** Answered for the last time: what still comes is thrown away. */
  #lingers = false;
  /** The socket belongs to somebody else. */
  #left = false;

  constructor(socket: Socket, host: CallerHost) {
    this.socket = socket;
    this.#host = host;
    this.#startedMs = host.now();
    this.deadlineMs = this.#startedMs + host.headMs;
    socket.setNoDelay(true);
    socket.on('data', this.#receive);
    socket.on('drain', this.#drained);
    socket.on('timeout', this.#stalled);
    socket.on('end', this.#peerEnded);
    socket.on('close', this.#closed);
  }

  /** Between two requests. */
  get isIdle(): boolean {
    return this.#request === null && !this.#parser.midway;
  }

  expire(): void {
    const isBetweenRequests = this.#request === null && this.#startedMs === null;
    if (this.#lingers || isBetweenRequests || this.#answer?.headersSent === true) this.socket.destroy();
    else this.#refuse('too slow');
  }

  broke(error: unknown): void {
    this.#host.broke(error);
    this.socket.destroy();
  }

  requestHead(head: ReceivedHead): boolean {
    const { fields } = head;
    this.#startedMs ??= this.#host.now();
    const request = new CallerRequest(head, this.socket, this.#flow);
    this.#request = request;
    if (head.method === 'GET' && fields.upgrade?.toLowerCase() === 'websocket') {
      if (hasOption(fields.connection, 'upgrade') && !head.hasBody) return false;
    }
    const keepsAlive = head.httpVersion === '1.1' && !hasOption(fields.connection, 'close');
    const answer = new CallerAnswer(this, request, keepsAlive);
    this.#answer = answer;
    this.deadlineMs = head.hasBody ? this.#startedMs + this.#host.requestMs : Number.POSITIVE_INFINITY;
    if (fields.expect !== null && !this.#meets(fields.expect, head)) {
      answer.writeHead(417, ['content-length', '0', 'connection', 'close']);
      answer.end();
    } else this.#host.request(request, answer);
    return true;
  }

  requestData(bytes: Buffer): void {
    this.#request?.data(bytes);
  }

  requestEnd(): void {
    const answer = this.#answer;
    if (!this.#lingers) this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#request?.end();
    if (answer?.writableFinished === true) this.#next(answer);
  }

  answerEnded(): void {
    if (this.socket.writableLength === 0) this.#finished();
    else {
      // Progress of what is under way counts as activity.
      this.socket.setTimeout(KEEP_ALIVE_MS);
      this.socket.write('', 'latin1', () => {
        this.socket.setTimeout(0);
        this.#finished();
      });
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  #meets(expectation: string, { httpVersion }: ReceivedHead): boolean {
    if (expectation.toLowerCase() !== '100-continue') return false;
    if (httpVersion === '1.1') this.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
    return true;
  }

  #finished(): void {
    const answer = this.#answer;
    if (answer === null || this.socket.destroyed) return;
    answer.finished();
    if (!answer.shouldKeepAlive) this.#linger();
    else if (this.#request?.complete === true) this.#next(answer);
    // The rest of a body that nobody wants is read before the next request.
    else this.#request?.discard();
  }

  /** The answer has left and the whole request was read. */
  #next(answer: CallerAnswer): void {
    if (answer !== this.#answer || this.#lingers) return;
    this.#request = null;
    this.#answer = null;
    this.#startedMs = null;
    this.deadlineMs = this.#host.now() + KEEP_ALIVE_MS;
    this.#parser.next();
    if (this.#parsing) return;
    const ahead = this.#ahead;
    this.#ahead = null;
    this.socket.resume();
    if (ahead !== null) this.#receive(ahead);
  }

  /** Closes after the last answer; a caller that is cut while it still sends would lose it. */
  #linger(): void {
    this.#lingers = true;
    this.#ahead = null;
    this.deadlineMs = this.#host.now() + LINGER_MS;
    this.socket.end();
    this.socket.resume();
  }

  readonly #receive = (bytes: Buffer): void => {
    if (this.#lingers || this.#left) return;
    if (this.#parser.ended) {
      this.#ahead = this.#ahead === null ? bytes : Buffer.concat([this.#ahead, bytes]);
      this.socket.pause();
      return;
    }
    this.#parsing = true;
    let read = 0;
    try {
      read = this.#parser.push(bytes);
    } catch (error) {
      if (!(error instanceof MessageError)) this.broke(error);
      else this.#refuse(error.code === 'HEAD_OVERFLOW' ? 'too long' : 'malformed');
      return;
    } finally {
      this.#parsing = false;
    }
    if (this.#lingers || this.#left) return;
    if (this.#request !== null && this.#answer === null) {
      this.#handOver(this.#request, read < bytes.length ? bytes.subarray(read) : NOTHING);
    } else if (read < bytes.length) {
      this.#ahead = bytes.subarray(read);
      this.socket.pause();
    } else if (this.#startedMs === null && this.#parser.midway) {
      this.#startedMs = this.#host.now();
      this.deadlineMs = this.#startedMs + this.#host.headMs;
    }
  };

  #handOver(request: CallerRequest, head: Buffer): void {
    this.#leave();
    this.socket.pause();
    this.#host.upgrade(request, this.socket, head);
  }

  #refuse(why: MessageRefusal): void {
    const request = this.#request;
    const answer = this.#answer;
    if (answer?.headersSent === true) {
      this.socket.destroy();
      return;
    }
    this.#leave();
    this.#host.refuse(this.socket, why);
    answer?.gone();
    request?.gone();
  }

  #leave(): void {
    this.#left = true;
    this.#request = null;
    this.#answer = null;
    this.#ahead = null;
    this.socket.off('data', this.#receive);
    this.socket.off('drain', this.#drained);
    this.socket.off('timeout', this.#stalled);
    this.socket.off('end', this.#peerEnded);
    this.socket.off('close', this.#closed);
    this.#host.left(this);
  }

  readonly #drained = (): void => this.#answer?.drained();

  readonly #stalled = (): void => {
    this.socket.destroy();
  };

  readonly #flow = (flows: boolean): void => {
    if (this.#left) return;
    if (flows) this.socket.resume();
    else this.socket.pause();
  };

  readonly #peerEnded = (): void => {
    if (this.#parser.midway) this.socket.destroy();
  };

  readonly #closed = (): void => {
    const request = this.#request;
    const answer = this.#answer;
    this.#leave();
    if (answer !== null) answer.destroyed = true;
    request?.gone();
    answer?.gone();
  };
}
