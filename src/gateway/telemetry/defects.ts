import type { Logger } from 'pino';

/**
 * Unexpected exceptions. Each is logged with its stack and counted, and ends no more than the one request
 * that it was about: see docs/decisions/gateway-data.md.
 */
export class Defects {
  readonly #logger: Logger;
  #count = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Since the start of this process. */
  get count(): number {
    return this.#count;
  }

  /** Never throws, not even when the log does. `about` says what was being done. */
  report(error: unknown, about: Readonly<Record<string, unknown>>): void {
    this.#count += 1;
    try {
      this.#logger.error(
        { ...about, error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
        'defect',
      );
    } catch {
      // The count is what is left to say it.
    }
  }
}
