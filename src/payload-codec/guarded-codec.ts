import type { Payload, PayloadCodec } from '@temporalio/common';

/** Thrown when a codec of the user throws, or gives something else than payloads. */
class CodecFailed extends Error {
  override readonly name = 'CodecFailed';
}

/**
 * A user's codec whose failures say whose they are. Once it has decoded something, its key is the right one: a payload
 * that it cannot decode then is passed on as it is and read as a message that nobody can read. Otherwise one signal that
 * was encoded with another key would fail each workflow task, and with it every rollback. Until then it throws, since
 * a worker with a wrong key would take whole migrations for unreadable.
 */
export function guardedCodec(codec: PayloadCodec, file: string): PayloadCodec {
  let works = false;
  const decodeOne = async (payload: Payload): Promise<Payload> => {
    try {
      const [decoded] = checked(await codec.decode([payload]), 1);
      if (decoded !== payload && encodingOf(decoded as Payload) !== encodingOf(payload)) works = true;
      return decoded as Payload;
    } catch (cause) {
      if (works) return payload;
      throw failed(file, 'decode', cause);
    }
  };
  return {
    async encode(payloads) {
      try {
        return checked(await codec.encode(payloads), payloads.length);
      } catch (cause) {
        throw failed(file, 'encode', cause);
      }
    },
    decode: (payloads) => Promise.all(payloads.map(decodeOne)),
  };
}

function checked(payloads: unknown, expected: number): Payload[] {
  if (Array.isArray(payloads) && payloads.length === expected) return payloads;
  const got = Array.isArray(payloads) ? `${payloads.length}` : `a value of type ${typeof payloads}`;
  throw new Error(`expected ${expected} payloads from it, got ${got}`);
}

function encodingOf({ metadata }: Payload): string {
  return Buffer.from(metadata?.['encoding'] ?? []).toString();
}

function failed(file: string, what: 'encode' | 'decode', cause: unknown): CodecFailed {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const remedy = what === 'decode' ? '. It needs the keys by which the migration was started' : '';
  return new CodecFailed(`the data converter ${file} failed to ${what} a payload: ${reason}${remedy}`, {
    cause,
  });
}
