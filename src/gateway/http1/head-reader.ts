import { latin1 } from '../json/latin1';
import { MessageError } from './message-error';

/** The largest head that is read, bytes. */
const MAX_HEAD_BYTES = 32_768;

const HEAD_END = Buffer.from('\r\n\r\n');
const NOTHING = '';

/**
 * Collects the head of a message up to the empty line that ends it. `read` returns the head with the end of its
 * last line, or null when more has to come; `next` then is where the body begins. Throws `MessageError` for a head
 * that is too long.
 */
export class HeadReader {
  /** Index behind the head in the bytes that ended it. */
  next = 0;
  #carry = NOTHING;

  /** Whether a part of a head is held. */
  get began(): boolean {
    return this.#carry !== NOTHING;
  }

  read(bytes: Buffer, from: number): string | null {
    if (this.#carry === NOTHING) {
      const end = bytes.indexOf(HEAD_END, from);
      if (end >= 0 && end - from <= MAX_HEAD_BYTES) {
        this.next = end + 4;
        return latin1(bytes.subarray(from, end + 2));
      }
    }
    return this.#readInPieces(bytes, from);
  }

  #readInPieces(bytes: Buffer, from: number): string | null {
    const before = this.#carry.length;
    const text = this.#carry + latin1(bytes.subarray(from, from + MAX_HEAD_BYTES + 4 - before));
    const end = text.indexOf('\r\n\r\n', Math.max(0, before - 3));
    if (end > MAX_HEAD_BYTES || (end < 0 && text.length > MAX_HEAD_BYTES)) {
      throw new MessageError(`expected a head of at most ${MAX_HEAD_BYTES} bytes`, 'HEAD_OVERFLOW');
    }
    if (end < 0) {
      this.#carry = text;
      return null;
    }
    this.#carry = NOTHING;
    this.next = from + end + 4 - before;
    return text.slice(0, end + 2);
  }
}
