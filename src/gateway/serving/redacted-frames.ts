import { Transform, type TransformCallback } from 'node:stream';
import type { BodyRedactor } from '../upstream/provider-keys';

/** Pieces of one message follow each other faster; what ends like the beginning of a key goes on after this. */
const KEPT_BACK_MS = 20;

/**
 * What a provider sends through a tunnel, without its keys. Frames towards a client are not masked (RFC 6455, 5.1), and
 * asterisks in a key's place leave their lengths as they are.
 */
export class RedactedFrames extends Transform {
  readonly #redactor: BodyRedactor;
  #timer: NodeJS.Timeout | undefined;

  constructor(redactor: BodyRedactor) {
    super();
    this.#redactor = redactor;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    clearTimeout(this.#timer);
    const bytes = this.#redactor.push(chunk);
    if (this.#redactor.keepsBack) this.#timer = setTimeout(() => this.#passRest(), KEPT_BACK_MS);
    if (bytes.length > 0) this.push(bytes);
    done();
  }

  override _flush(done: TransformCallback): void {
    this.#passRest();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    done(error);
  }

  #passRest(): void {
    clearTimeout(this.#timer);
    const rest = this.#redactor.end();
    if (rest !== null) this.push(rest);
  }
}
