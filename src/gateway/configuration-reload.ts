import type { Configuration } from '../core/configuration/configuration-schema';
import { configurationChange } from './admin/configuration-change';
import { Credentials } from './upstream/credentials';

/** What came of reading the configuration again. */
export type ReloadOutcome =
  /** The fields that changed; none where the file says the same. */
  | { readonly changed: readonly string[] }
  /** Why nothing has changed. */
  | { readonly refusal: string };

export interface ReloadOptions {
  readonly configuration: Configuration;
  readonly credentials: Credentials;
  /** Reads the configuration once more; throws what is wrong with it. */
  readonly read: () => Configuration;
  readonly resolveSecret: (reference: string) => string;
  /** Why a configuration with so many callers cannot be served here; null where it can. */
  readonly openProblem: (callers: number) => string | null;
  /** Serves by it, or throws and changes nothing. */
  readonly serve: (configuration: Configuration, resolveSecret: (reference: string) => string) => void;
  readonly useKey: (reference: string, key: string) => void;
  readonly now: () => number;
  readonly notice: (message: string) => void;
  readonly warn: (message: string) => void;
}

/**
 * The configuration of a gateway that runs, and its credentials. It is read again on demand, one time after the
 * other, and checked whole before anything changes: the document, what only a restart changes, every secret.
 */
export class ConfigurationReload {
  readonly #options: ReloadOptions;
  #running: Configuration;
  #credentials: Credentials;
  #last: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(options: ReloadOptions) {
    this.#options = options;
    this.#running = options.configuration;
    this.#credentials = options.credentials;
  }

  get credentials(): Credentials {
    return this.#credentials;
  }

  reload(): Promise<ReloadOutcome> {
    const next = this.#last.then(() => this.#reload());
    this.#last = next;
    return next;
  }

  stop(): void {
    this.#stopped = true;
    this.#credentials.stop();
  }

  async #reload(): Promise<ReloadOutcome> {
    const { notice, warn } = this.#options;
    try {
      const changed = await this.#apply();
      notice(
        changed.length === 0
          ? 'The configuration was read again: nothing has changed'
          : `The configuration was read again: ${changed.join(', ')}`,
      );
      return { changed };
    } catch (error) {
      const refusal = error instanceof Error ? error.message : String(error);
      warn(`The configuration was read again and refused; the previous one stays in use: ${refusal}`);
      return { refusal };
    }
  }

  async #apply(): Promise<readonly string[]> {
    const { read, resolveSecret, openProblem, serve, useKey, now, warn } = this.#options;
    const next = read();
    const { changed, fixed } = configurationChange(this.#running, next);
    if (fixed.length > 0) {
      throw new Error(
        `expected no change that needs a restart, got new values of ${fixed.join(', ')}: restart the gateway with them, or put them back`,
      );
    }
    const problem = openProblem(next.callers.length);
    if (problem !== null) throw new Error(problem);
    if (changed.length === 0) return changed;
    const credentials = await Credentials.open({ configured: next.credentials, now, warn });
    try {
      if (this.#stopped) throw new Error('the gateway stops');
      serve(next, credentials.resolving(resolveSecret));
    } catch (error) {
      credentials.stop();
      throw error;
    }
    this.#credentials.stop();
    this.#credentials = credentials;
    this.#running = next;
    credentials.follow(useKey);
    return changed;
  }
}
