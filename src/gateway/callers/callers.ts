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
  readonly configuration: CallerConfiguration;
  readonly caller: Caller & { readonly keys: Map<string, string> };
}

/** The gateway keys: a caller is known by the SHA-256 of the key that it presents. */
export class Callers {
  #entries: readonly Entry[];
  readonly #spent: (() => void) | null;

  /** `spent` is called when a caller with limits has used something, for other processes to know. */
  constructor(
    configured: readonly CallerConfiguration[],
    resolveSecret: (reference: string) => string,
    spent: (() => void) | null = null,
  ) {
    this.#spent = spent;
    this.#entries = configured.map((caller) => entryOf(caller, resolveSecret, limitsOf(caller, spent)));
  }

  /**
   * Other callers from now on. A key that stays keeps what it has used of its limits. Throws what `resolveSecret`
   * throws, and then nothing has changed.
   */
  replace(
    configured: readonly CallerConfiguration[],
    resolveSecret: (reference: string) => string,
    nowMs: number,
  ): void {
    const entries = configured.map((caller) => {
      const kept = this.#entries.findLast(
        ({ configuration }) => configuration.keySha256 === caller.keySha256,
      );
      const limits =
        caller.limits === undefined ? null : (kept?.caller.limits ?? limitsOf(caller, this.#spent));
      return entryOf(caller, resolveSecret, limits);
    });
    for (const { configuration, caller } of entries) {
      if (configuration.limits !== undefined) caller.limits?.change(configuration.limits, nowMs);
    }
    this.#entries = entries;
  }

  /** The callers whose key of a provider is at this reference have this one from now on. */
  useKey(reference: string, key: string): void {
    for (const { configuration, caller } of this.#entries) {
      for (const [provider, of] of Object.entries(configuration.keys)) {
        if (of === reference) caller.keys.set(provider, key);
      }
    }
  }

  /** The limits of each caller that has some, by the SHA-256 of its key. */
  get limits(): ReadonlyMap<string, CallerLimits> {
    return new Map(
      this.#entries.flatMap(({ configuration, caller }): [string, CallerLimits][] =>
        caller.limits === null ? [] : [[configuration.keySha256, caller.limits]],
      ),
    );
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

function limitsOf({ team, limits }: CallerConfiguration, spent: (() => void) | null): CallerLimits | null {
  return limits === undefined ? null : new CallerLimits(team, limits, spent);
}

function entryOf(
  configuration: CallerConfiguration,
  resolveSecret: (reference: string) => string,
  limits: CallerLimits | null,
): Entry {
  const keys = Object.entries(configuration.keys).map(([provider, reference]): [string, string] => [
    provider,
    resolveSecret(reference),
  ]);
  const { team, headers } = configuration;
  return {
    digest: Buffer.from(configuration.keySha256, 'hex'),
    configuration,
    caller: { team, keys: new Map(keys), headers, limits },
  };
}
