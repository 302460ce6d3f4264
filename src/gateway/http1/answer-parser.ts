import { FIELD_LINES, type Fields, hasOption, readHeaderFields, VALUE } from './field-lines';
import { HeadReader } from './head-reader';
import { bodyOf, type MessageBody } from './message-body';
import { MessageError } from './message-error';

/** Receives an answer as it is read. */
export interface AnswerReceiver {
  /** Also called for each interim (1xx) answer, which has no body and no end. */
  answerHead(status: number, fields: Fields): void;
  answerData(bytes: Buffer): void;
  /** The answer is complete; `reusable` says whether its connection may carry another request. */
  answerEnd(reusable: boolean): void;
}

/** `unasked`: nothing is expected, and whatever comes is an error. */
type State = 'unasked' | 'head' | 'body' | 'until close';

const ANSWER_HEAD = new RegExp(`^HTTP/1\\.[01] [1-9]\\d\\d(?: ${VALUE})?\\r\\n${FIELD_LINES}$`);
const MAX_INTERIM = 32;
const ONE = 49;

/**
 * Reads the answers of one connection, one request at a time, by RFC 9112 and stricter: lines end with CRLF only, a
 * message whose length could be understood in two ways is refused, and so is a byte that nobody asked for.
 */
export class AnswerParser {
  readonly #receiver: AnswerReceiver;
  readonly #head = new HeadReader();
  #state: State = 'unasked';
  #body: MessageBody | null = null;
  #interim = 0;
  #reusable = false;
  #isHead = false;

  constructor(receiver: AnswerReceiver) {
    this.#receiver = receiver;
  }

  /** A request with this method goes out now. */
  begin(method: string): void {
    this.#state = 'head';
    this.#isHead = method === 'HEAD';
    this.#interim = 0;
  }

  /** Reads what came; may write over it. Throws `MessageError`, after which nothing more may be read. */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      switch (this.#state) {
        case 'unasked':
          throw new MessageError('expected nothing before the next request, got an answer');
        case 'head': {
          const head = this.#head.read(bytes, at);
          if (head === null) return;
          at = this.#head.next;
          this.#begin(head, at < bytes.length);
          break;
        }
        case 'body': {
          const body = this.#body as MessageBody;
          const piece = body.push(bytes, at);
          at = body.next;
          if (piece.length > 0) this.#receiver.answerData(piece);
          if (body.done) this.#end(at < bytes.length);
          break;
        }
        case 'until close':
          this.#receiver.answerData(at === 0 ? bytes : bytes.subarray(at));
          return;
      }
    }
  }

  /** The peer sends nothing more; true when that completed an answer. */
  close(): boolean {
    if (this.#state !== 'until close') return false;
    this.#end(false);
    return true;
  }

  #begin(head: string, hasMore: boolean): void {
    if (!ANSWER_HEAD.test(head)) throw new MessageError('expected the head of an HTTP/1.1 answer');
    const status = Number(head.slice(9, 12));
    const isNew = head.charCodeAt(7) === ONE;
    const fields = readHeaderFields(head, head.indexOf('\r\n') + 2);
    if (status < 200) {
      this.#interim += 1;
      if (!isNew || status === 101 || this.#interim > MAX_INTERIM)
        throw new MessageError(`expected no status ${status}`);
      this.#receiver.answerHead(status, fields);
      return;
    }
    if (fields.chunked && !isNew) throw new MessageError('expected no Transfer-Encoding in HTTP/1.0');
    const isBodiless = this.#isHead || status === 204 || status === 304;
    this.#reusable = isNew && !hasOption(fields.connection, 'close');
    // What follows such an answer would be a body to one reader and the next answer to another.
    if (status === 204 && (fields.chunked || fields.contentLength > 0)) {
      throw new MessageError('expected no body with status 204');
    }
    this.#body = isBodiless ? null : bodyOf(fields);
    if (this.#body !== null) this.#state = 'body';
    else if (isBodiless || fields.contentLength === 0) this.#state = 'unasked';
    else {
      this.#reusable = false;
      this.#state = 'until close';
    }
    const ends = this.#state === 'unasked';
    this.#receiver.answerHead(status, fields);
    if (ends) this.#end(hasMore);
  }

  #end(hasMore: boolean): void {
    this.#state = 'unasked';
    this.#body = null;
    this.#receiver.answerEnd(this.#reusable && !hasMore);
  }
}
