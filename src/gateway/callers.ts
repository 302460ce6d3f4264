import { createHash, timingSafeEqual } from 'node:crypto';
import type { CallerConfiguration } from '../core/configuration-schema';

/** Who calls: a team, with its own provider keys and headers where it has them. */
export interface Caller {
  readonly team: string;
  /** Keys by provider name. */
  readonly keys: ReadonlyMap<string, string>;
  readonly headers: Readonly<Record<string, string>>;
}

/** The one caller of a gateway without gateway keys (loopback only). */
const ANYONE: Caller = { team: '', keys: new Map(), headers: {} };

interface Entry {
  readonly digest: Buffer;
  readonly caller: Caller;
}

/** The gateway keys: a caller is known by the SHA-256 of the key that it presents. */
export class Callers {
  readonly #entries: readonly Entry[];

  constructor(configured: readonly CallerConfiguration[], resolveSecret: (reference: string) => string) {
    this.#entries = configured.map((caller) => ({
      digest: Buffer.from(caller.keySha256, 'hex'),
      caller: {
        team: caller.team,
        keys: new Map(
          Object.entries(caller.keys).map(([provider, reference]) => [provider, resolveSecret(reference)]),
        ),
        headers: caller.headers,
      },
    }));
  }

  /** Whether anyone may call without a key. */
  get isOpen(): boolean {
    return this.#entries.length === 0;
  }

  /** The caller of a key, null when it is unknown; takes the same time wherever the key stands. */
  identify(key: string | null): Caller | null {
    if (this.isOpen) return ANYONE;
    if (key === null || key === '') return null;
    const digest = createHash('sha256').update(key).digest();
    let found: Caller | null = null;
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.digest, digest)) found = entry.caller;
    }
    return found;
  }
}
