import { FIELD_LINES, type Fields, HTTP_TOKEN, readHeaderFields } from './field-lines';
import { HeadReader } from './head-reader';
import { bodyOf, type MessageBody } from './message-body';
import { MessageError } from './message-error';

/** The head of a request, as it came. */
export interface ReceivedHead {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: '1.0' | '1.1';
  readonly fields: Fields;
  readonly hasBody: boolean;
}

/** Receives a request as it is read. */
export interface RequestReceiver {
  /** False: what follows is no HTTP, and is not read here. */
  requestHead(head: ReceivedHead): boolean;
  requestData(bytes: Buffer): void;
  requestEnd(): void;
}

/** `ended`: nothing is read until the next request is asked for. */
type State = 'head' | 'body' | 'ended';

const REQUEST_HEAD = new RegExp(`^${HTTP_TOKEN} [\\x21-\\x7e]+ HTTP/1\\.[01]\\r\\n${FIELD_LINES}$`);
const ZERO = 48;
const CR = 13;
const LF = 10;

/**
 * Reads the requests of one connection, one at a time, by RFC 9112 and stricter: lines end with CRLF only, and a
 * message whose length could be understood in two ways is refused.
 */
export class RequestParser {
  readonly #receiver: RequestReceiver;
  readonly #head = new HeadReader();
  #state: State = 'head';
  #body: MessageBody | null = null;

  constructor(receiver: RequestReceiver) {
    this.#receiver = receiver;
  }

  /** Whether a request has begun and is not complete. */
  get midway(): boolean {
    return this.#state === 'body' || this.#head.began;
  }

  /** Whether the whole of a request has been read, and no further one is awaited. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Awaits the next request. */
  next(): void {
    this.#state = 'head';
  }

  /**
   * Reads until a request is complete, and returns how much it read; may write over it. Throws `MessageError`, after
   * which nothing more may be read.
   */
  push(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && this.#state !== 'ended') {
      switch (this.#state) {
        case 'head': {
          if (!this.#head.began) at = behindBlankLine(bytes, at);
          if (at === bytes.length) return at;
          const head = this.#head.read(bytes, at);
          if (head === null) return bytes.length;
          at = this.#head.next;
          this.#begin(head);
          break;
        }
        case 'body': {
          const body = this.#body as MessageBody;
          const piece = body.push(bytes, at);
          at = body.next;
          if (piece.length > 0) this.#receiver.requestData(piece);
          if (body.done) this.#end();
        }
      }
    }
    return at;
  }

  #begin(text: string): void {
    if (!REQUEST_HEAD.test(text)) throw new MessageError('expected the head of an HTTP/1.1 request');
    const lineEnd = text.indexOf('\r\n');
    const methodEnd = text.indexOf(' ');
    const isOld = text.charCodeAt(lineEnd - 1) === ZERO;
    const fields = readHeaderFields(text, lineEnd + 2);
    if (fields.chunked && isOld) throw new MessageError('expected no Transfer-Encoding in HTTP/1.0');
    this.#body = bodyOf(fields);
    const hasBody = this.#body !== null;
    this.#state = hasBody ? 'body' : 'ended';
    const isRead = this.#receiver.requestHead({
      method: text.slice(0, methodEnd),
      target: text.slice(methodEnd + 1, lineEnd - 9),
      httpVersion: isOld ? '1.0' : '1.1',
      fields,
      hasBody,
    });
    if (!isRead) this.#state = 'ended';
    else if (!hasBody) this.#receiver.requestEnd();
  }

  #end(): void {
    this.#state = 'ended';
    this.#body = null;
    this.#receiver.requestEnd();
  }
}

/** Callers may send one empty line before a request (RFC 9112, 2.2). */
function behindBlankLine(bytes: Buffer, at: number): number {
  return bytes[at] === CR && bytes[at + 1] === LF ? at + 2 : at;
}
