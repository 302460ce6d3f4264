import type { CallerRequest } from '../http1/caller-request';
import type { MemoryAccount } from '../sockets/memory-budget';

/** `too-large`: over the cap of one body. `no-room`: over what the process may hold. `gone`: the caller left. */
export type UnreadBody = 'too-large' | 'no-room' | 'gone';

const EMPTY = Buffer.alloc(0);

/** What is read of one body. */
export interface BodyLimits {
  /** As its caller announced it, null without a length. */
  readonly length: number | null;
  readonly maxBytes: number;
}

/**
 * Reads a body into memory and calls back once. What it took from the account is the length of the body, to be
 * given back by the receiver; when it fails it has given everything back itself.
 */
export function readBody(
  request: CallerRequest,
  { length: announced, maxBytes }: BodyLimits,
  account: MemoryAccount,
  done: (body: Buffer | UnreadBody) => void,
): void {
  const chunks: Buffer[] = [];
  /** Where the pieces of a body of known length go at once, so that it never is in memory twice. */
  let whole: Buffer | null = null;
  let length = 0;
  let ended = false;
  const fail = (reason: UnreadBody) => {
    if (ended) return;
    ended = true;
    account.give(length);
    chunks.length = 0;
    whole = null;
    done(reason);
  };
  request.on('data', (chunk: Buffer) => {
    if (ended) return;
    if (length + chunk.length > maxBytes) fail('too-large');
    else if (account.take(chunk.length)) {
      if (announced !== null && announced > chunk.length) {
        whole ??= allocate(announced);
        if (whole === null) {
          account.give(chunk.length);
          fail('no-room');
          return;
        }
        chunk.copy(whole, length);
      } else chunks.push(chunk);
      length += chunk.length;
    } else fail('no-room');
  });
  request.on('end', () => {
    if (ended) return;
    if (whole === null && chunks.length > 1) {
      // Twice in memory for as long as it takes to join it.
      if (!account.take(length)) {
        fail('no-room');
        return;
      }
      whole = joined(chunks, length);
      account.give(length);
      if (whole === null) {
        fail('no-room');
        return;
      }
    }
    ended = true;
    done(whole ?? chunks[0] ?? EMPTY);
  });
  // Without a listener for errors a request that is cut off only closes.
  request.on('close', () => fail('gone'));
}

/** Null when there is no memory for one piece of this length. */
function allocate(length: number): Buffer | null {
  try {
    return Buffer.allocUnsafeSlow(length);
  } catch {
    return null;
  }
}

function joined(chunks: readonly Buffer[], length: number): Buffer | null {
  const whole = allocate(length);
  let at = 0;
  if (whole !== null) for (const chunk of chunks) at += chunk.copy(whole, at);
  return whole;
}
