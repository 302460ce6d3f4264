import { type CredentialConfiguration, credentialNameOf } from '../../core/configuration/credential-schema';
import { formatDuration } from '../../core/text/duration';
import { runCredentialCommand } from './credential-command';

/** Thrown for a command that gives no key where one is needed to begin; never says what it printed. */
class UnusableCredential extends Error {
  override readonly name = 'UnusableCredential';
  constructor(
    readonly credential: string,
    readonly problem: string,
  ) {
    super(`credentials.${credential}.command: expected a key, but ${problem}; run it by hand to see why`);
  }
}

export interface CredentialsOptions {
  readonly configured: Readonly<Record<string, CredentialConfiguration>>;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
}

/** How a credential stands, for metrics. */
export interface CredentialState {
  readonly name: string;
  /** Until the key in use expires; negative when it has. */
  readonly expiresInMs: number;
  /** Refreshes that failed since the start. */
  readonly failures: number;
}

interface HeldKey {
  readonly configuration: CredentialConfiguration;
  key: string;
  expiresAtMs: number;
  failures: number;
  /** In a row. */
  failing: number;
  timer: NodeJS.Timeout | null;
}

const REFRESH_AFTER = 2 / 3;
const RETRY_LEAST_MS = 1_000;
const RETRY_MOST_MS = 30_000;
/** Of what is left until the key expires: at least so many tries are made. */
const TRIES = 10;

/**
 * Keys that commands print: fetched before anything needs them, and again ahead of their end, never on the path of a
 * request. While a refresh fails, the last good key stays in use; each doubling of the failures is reported, and that
 * the key has expired.
 */
export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #held = new Map<string, HeldKey>();
  readonly #stopping = new AbortController();
  #use: ((reference: string, key: string) => void) | null = null;

  private constructor(options: CredentialsOptions) {
    this.#options = options;
  }

  /** Runs each command once, all at the same time. Throws `UnusableCredential`. */
  static async open(options: CredentialsOptions): Promise<Credentials> {
    const credentials = new Credentials(options);
    const { configured, now } = options;
    await Promise.all(
      Object.entries(configured).map(async ([name, configuration]) => {
        const printed = await runCredentialCommand(configuration, credentials.#stopping.signal);
        if (typeof printed === 'string') throw new UnusableCredential(name, printed);
        credentials.#held.set(name, {
          ...{ configuration, key: printed.key, expiresAtMs: now() + printed.validForMs },
          ...{ failures: 0, failing: 0, timer: null },
        });
      }),
    ).catch((error: unknown) => {
      credentials.stop();
      throw error;
    });
    return credentials;
  }

  /** Resolves `credential:NAME` by what is held now, and any other reference as `otherwise` does. */
  resolving(otherwise: (reference: string) => string): (reference: string) => string {
    return (reference) => {
      const name = credentialNameOf(reference);
      return (name === null ? undefined : this.#held.get(name)?.key) ?? otherwise(reference);
    };
  }

  /** The keys that are held, by reference. */
  get keys(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#held].map(([name, { key }]) => [`credential:${name}`, key]));
  }

  /** How each stands, in the order of the configuration. */
  standings(): readonly CredentialState[] {
    const nowMs = this.#options.now();
    return [...this.#held].map(([name, { expiresAtMs, failures }]) => ({
      name,
      expiresInMs: expiresAtMs - nowMs,
      failures,
    }));
  }

  /** Keeps all fresh from now on; `use` is called with each new key. */
  follow(use: (reference: string, key: string) => void): void {
    this.#use = use;
    for (const [name, held] of this.#held) this.#later(name, held, this.#leftMs(held) * REFRESH_AFTER);
  }

  stop(): void {
    this.#stopping.abort();
    for (const { timer } of this.#held.values()) if (timer !== null) clearTimeout(timer);
  }

  #leftMs({ expiresAtMs }: HeldKey): number {
    return Math.max(0, expiresAtMs - this.#options.now());
  }

  #later(name: string, held: HeldKey, afterMs: number): void {
    if (this.#stopping.signal.aborted) return;
    held.timer = setTimeout(() => void this.#refresh(name, held), Math.min(afterMs, LONGEST_TIMER_MS));
    held.timer.unref();
  }

  async #refresh(name: string, held: HeldKey): Promise<void> {
    const printed = await runCredentialCommand(held.configuration, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return;
    if (typeof printed === 'string') {
      this.#failed(name, held, printed);
      return;
    }
    const { warn, now } = this.#options;
    if (held.failing > 0) warn(`credentials.${name}: a new key is in use after ${held.failing} failed runs`);
    held.failing = 0;
    held.expiresAtMs = now() + printed.validForMs;
    if (printed.key !== held.key) {
      held.key = printed.key;
      this.#use?.(`credential:${name}`, printed.key);
    }
    this.#later(name, held, Math.max(RETRY_LEAST_MS, printed.validForMs * REFRESH_AFTER));
  }

  #failed(name: string, held: HeldKey, problem: string): void {
    const leftMs = this.#leftMs(held);
    held.failures += 1;
    held.failing += 1;
    const isPowerOfTwo = (held.failing & (held.failing - 1)) === 0;
    if (isPowerOfTwo) {
      const until =
        leftMs > 0
          ? `expires in ${formatDuration(leftMs)}`
          : 'has expired, and how long the provider still accepts it is not known';
      this.#options.warn(
        `credentials.${name}.command: expected a new key, but ${problem}; the last one stays in use and ${until}`,
      );
    }
    this.#later(name, held, Math.min(RETRY_MOST_MS, Math.max(RETRY_LEAST_MS, leftMs / TRIES)));
  }
}

/** What timers can wait. */
const LONGEST_TIMER_MS = 2_147_483_647;
