import { createHash, timingSafeEqual } from 'node:crypto';
import type { CallerConfiguration } from '../../core/configuration/configuration-schema';
import { type CallerLimit, CallerLimits } from './caller-limits';

/** Who calls: a team, with its own provider keys and headers where it has them. */
export interface Caller {
  readonly team: string;
  /** Keys by provider name. */
  readonly keys: ReadonlyMap<string, string>;
  readonly headers: Readonly<Record<string, string>>;
  /** Null without any. */
  readonly limits: CallerLimits | null;
}

/** The one caller of a gateway without gateway keys (loopback only). */
const ANYONE: Caller = { team: '', keys: new Map(), headers: {}, limits: null };

const LIMITS: readonly CallerLimit[] = ['requests', 'tokens', 'concurrent'];

interface Entry {
  readonly digest: Buffer;
  readonly caller: Caller & { readonly keys: Map<string, string> };
}

/** The gateway keys: a caller is known by the SHA-256 of the key that it presents. */
export class Callers {
  readonly #entries: readonly Entry[];
  readonly #configured: readonly CallerConfiguration[];

  /** `spent` is called when a caller with limits has used something, for other processes to know. */
  constructor(
    configured: readonly CallerConfiguration[],
    resolveSecret: (reference: string) => string,
    spent: (() => void) | null = null,
  ) {
    this.#configured = configured;
    this.#entries = configured.map((caller) => ({
      digest: Buffer.from(caller.keySha256, 'hex'),
      caller: {
        team: caller.team,
        keys: new Map(
          Object.entries(caller.keys).map(([provider, reference]) => [provider, resolveSecret(reference)]),
        ),
        headers: caller.headers,
        limits: caller.limits === undefined ? null : new CallerLimits(caller.team, caller.limits, spent),
      },
    }));
  }

  /** The callers whose key of a provider is at this reference have this one from now on. */
  useKey(reference: string, key: string): void {
    this.#configured.forEach(({ keys }, index) => {
      for (const [provider, of] of Object.entries(keys)) {
        if (of === reference) this.#entries[index]?.caller.keys.set(provider, key);
      }
    });
  }

  /** The limits of each caller, in the order of the configuration. */
  get limits(): (CallerLimits | null)[] {
    return this.#entries.map(({ caller }) => caller.limits);
  }

  /** Requests that were refused, by team and limit. */
  refusals(): { readonly team: string; readonly limit: CallerLimit; readonly count: number }[] {
    const counts = new Map<string, Record<CallerLimit, number>>();
    for (const { caller } of this.#entries) {
      if (caller.limits === null) continue;
      const sums = counts.get(caller.team) ?? { requests: 0, tokens: 0, concurrent: 0 };
      for (const limit of LIMITS) sums[limit] += caller.limits.refusals[limit];
      counts.set(caller.team, sums);
    }
    return [...counts].flatMap(([team, sums]) =>
      LIMITS.map((limit) => ({ team, limit, count: sums[limit] })),
    );
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
