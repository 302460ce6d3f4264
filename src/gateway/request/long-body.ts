import { Readable } from 'node:stream';

/** Longer bodies are sent in pieces and never copied as a whole. */
export const LONG_BODY_BYTES = 262_144;

/** Bytes in all pieces together. */
export function lengthOf(pieces: readonly Buffer[]): number {
  let sum = 0;
  for (const { length } of pieces) sum += length;
  return sum;
}

/** A body that is too long to be copied: pieces of the caller's bytes and what was put between them. */
export class LongBody {
  readonly length: number;

  constructor(readonly pieces: readonly Buffer[]) {
    this.length = lengthOf(pieces);
  }

  /** A stream of slices, so that no socket, and no TLS before it, holds more than some of them at once. */
  stream(): Readable {
    const stream = Readable.from(slices(this.pieces));
    // Who sends it listens for errors only once it sends.
    stream.on('error', () => {});
    return stream;
  }
}

function* slices(pieces: readonly Buffer[]): Generator<Buffer> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += LONG_BODY_BYTES) {
      yield piece.subarray(at, Math.min(piece.length, at + LONG_BODY_BYTES));
    }
  }
}
