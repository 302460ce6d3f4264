import type { CallerRequest } from './http1/caller-request';

/** Counts what all requests of the process hold in memory. */
export class BufferedBytes {
  #held = 0;

  constructor(readonly maximum: number) {}

  /** Bytes that are held now. */
  get held(): number {
    return this.#held;
  }

  /** Whether as much more could be taken now. */
  hasRoom(bytes: number): boolean {
    return this.#held + bytes <= this.maximum;
  }

  take(bytes: number): boolean {
    if (this.#held + bytes > this.maximum) return false;
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** `too-large`: over the cap of one body. `no-room`: over what the process may hold. `gone`: the caller left. */
export type UnreadBody = 'too-large' | 'no-room' | 'gone';

const EMPTY = Buffer.alloc(0);

/**
 * Reads a body into memory and calls back once. What it took from `buffered` is the length of the body, to be
 * given back by the receiver; when it fails it has given everything back itself.
 */
export function readBody(
  request: CallerRequest,
  maxBytes: number,
  buffered: BufferedBytes,
  done: (body: Buffer | UnreadBody) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;
  let ended = false;
  const fail = (reason: UnreadBody) => {
    if (ended) return;
    ended = true;
    buffered.give(length);
    chunks.length = 0;
    done(reason);
  };
  request.on('data', (chunk: Buffer) => {
    if (ended) return;
    if (length + chunk.length > maxBytes) fail('too-large');
    else if (buffered.take(chunk.length)) {
      length += chunk.length;
      chunks.push(chunk);
    } else fail('no-room');
  });
  request.on('end', () => {
    if (ended) return;
    let body: Buffer;
    try {
      body =
        chunks.length === 1 ? (chunks[0] as Buffer) : chunks.length === 0 ? EMPTY : Buffer.concat(chunks);
    } catch {
      // There is no memory for one piece of this length.
      fail('no-room');
      return;
    }
    ended = true;
    done(body);
  });
  // Without a listener for errors a request that is cut off only closes.
  request.on('close', () => fail('gone'));
}
