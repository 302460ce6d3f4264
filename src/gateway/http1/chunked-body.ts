import { latin1 } from '../json/latin1';
import { FIELD_LINES, HTTP_TOKEN, readHeaderFields } from './field-lines';
import { MessageError } from './message-error';

const CR = 13;
const LF = 10;
const SEMICOLON = 59;
/** Thirteen hexadecimal digits are exact in a double. */
const MAX_SIZE_DIGITS = 13;
const MAX_EXTENSION_BYTES = 1_024;
const MAX_TRAILER_BYTES = 8_192;
const EXTENSIONS = new RegExp(
  `^(?:;${HTTP_TOKEN}(?:=(?:${HTTP_TOKEN}|"[\\t\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]*"))?)*$`,
);
const TRAILERS = new RegExp(`^${FIELD_LINES}\\r\\n$`);
const NOTHING = Buffer.alloc(0);

type State = 'size' | 'extension' | 'size end' | 'data' | 'data cr' | 'data lf' | 'trailers' | 'done';

/**
 * Takes the chunked coding off a body (RFC 9112, 7.1). What one piece of input holds comes out as one piece: the
 * data of its chunks is moved together within the same bytes, so that many small chunks cost one step.
 */
export class ChunkedBody {
  /** Index behind the body in the bytes that ended it. */
  next = 0;
  #state: State = 'size';
  #size = 0;
  #digits = 0;
  /** Extension or trailers as they come. */
  #text = '';

  get done(): boolean {
    return this.#state === 'done';
  }

  /** The data in these bytes, which are written over. Throws `MessageError`. */
  push(bytes: Buffer, from: number): Buffer {
    let read = from;
    let write = from;
    while (read < bytes.length && this.#state !== 'done') {
      if (this.#state === 'data') {
        const count = Math.min(this.#size, bytes.length - read);
        if (write !== read) bytes.copyWithin(write, read, read + count);
        write += count;
        read += count;
        this.#size -= count;
        if (this.#size === 0) this.#state = 'data cr';
      } else if (this.#state === 'trailers') {
        read = this.#trailers(bytes, read);
      } else {
        this.#step(bytes[read] as number);
        read += 1;
      }
    }
    this.next = read;
    return write === from ? NOTHING : bytes.subarray(from, write);
  }

  #step(code: number): void {
    switch (this.#state) {
      case 'size':
        if (this.#digit(code)) break;
        if (this.#digits === 0) throw new MessageError('expected the size of a chunk');
        if (code === CR) this.#state = 'size end';
        else if (code === SEMICOLON) {
          this.#text = ';';
          this.#state = 'extension';
        } else throw new MessageError('expected the end of a chunk size');
        break;
      case 'extension':
        this.#extension(code);
        break;
      case 'size end':
        expect(code, LF);
        this.#state = this.#size === 0 ? 'trailers' : 'data';
        this.#digits = 0;
        this.#text = '';
        break;
      case 'data cr':
        expect(code, CR);
        this.#state = 'data lf';
        break;
      default:
        expect(code, LF);
        this.#state = 'size';
    }
  }

  #digit(code: number): boolean {
    const value = hexValue(code);
    if (value < 0) return false;
    this.#digits += 1;
    if (this.#digits > MAX_SIZE_DIGITS) throw new MessageError('expected a smaller chunk');
    this.#size = this.#size * 16 + value;
    return true;
  }

  #extension(code: number): void {
    if (code !== CR) {
      this.#text += String.fromCharCode(code);
      if (this.#text.length > MAX_EXTENSION_BYTES)
        throw new MessageError('expected shorter extensions of a chunk');
      return;
    }
    if (!EXTENSIONS.test(this.#text)) throw new MessageError('expected well-formed extensions of a chunk');
    this.#state = 'size end';
  }

  /** Reads trailers, which are thrown away; returns where it stopped. */
  #trailers(bytes: Buffer, from: number): number {
    const before = this.#text.length;
    const text = this.#text + latin1(bytes.subarray(from, from + MAX_TRAILER_BYTES + 4 - before));
    const end = text.startsWith('\r\n') ? 2 : text.indexOf('\r\n\r\n') + 4;
    if (end >= 4 || text.startsWith('\r\n')) {
      const trailers = text.slice(0, end);
      if (!TRAILERS.test(trailers)) throw new MessageError('expected well-formed trailers');
      const { contentLength, chunked } = readHeaderFields(trailers.slice(0, -2), 0);
      if (contentLength >= 0 || chunked) throw new MessageError('expected no framing in trailers');
      this.#state = 'done';
      return from + end - before;
    }
    if (text.length > MAX_TRAILER_BYTES) throw new MessageError('expected shorter trailers', 'HEAD_OVERFLOW');
    this.#text = text;
    return bytes.length;
  }
}

function expect(code: number, wanted: number): void {
  if (code !== wanted) throw new MessageError('expected the end of a line of a chunk');
}

function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
