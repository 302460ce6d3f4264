import { ChunkedBody } from './chunked-body';
import type { Fields } from './field-lines';

/** Reads the body of one message from the bytes of its connection. */
export interface MessageBody {
  /** Index behind what was read of the bytes that were pushed last. */
  readonly next: number;
  readonly done: boolean;
  /** The data in these bytes from an index on; may write over them. Throws `MessageError`. */
  push(bytes: Buffer, from: number): Buffer;
}

/** The body that these fields announce; null without one, and for an answer that ends with its connection. */
export function bodyOf({ chunked, contentLength }: Fields): MessageBody | null {
  if (chunked) return new ChunkedBody();
  return contentLength > 0 ? new SizedBody(contentLength) : null;
}

/** A body of a length that is known (RFC 9112, 6.2). */
class SizedBody implements MessageBody {
  next = 0;

  constructor(private left: number) {}

  get done(): boolean {
    return this.left === 0;
  }

  push(bytes: Buffer, from: number): Buffer {
    const end = Math.min(bytes.length, from + this.left);
    this.left -= end - from;
    this.next = end;
    return from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end);
  }
}
