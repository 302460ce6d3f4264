import { createGatewayAdmin } from '../../adapters/create-gateway-admin';
import type { KillWords } from '../../adapters/gateway-admin';
import { configurationPath, loadConfiguration, resolveSecret } from '../../config';

export interface KillFallbackOptions {
  readonly route: string;
  /** The configuration file that was named. */
  readonly config: string | undefined;
  readonly words: KillWords;
  /** How long a checkpoint may take to bear the command, milliseconds. */
  readonly afterMs: number;
  readonly note: (line: string) => void;
}

/**
 * Sets the gateways' kill switches where a rollback to share 0 gets nowhere through Temporal: once, after a time, or
 * as soon as it is known that nothing could be sent.
 */
export class KillFallback {
  readonly #options: KillFallbackOptions;
  readonly #timer: NodeJS.Timeout;
  #killing: Promise<string> | null = null;

  constructor(options: KillFallbackOptions) {
    this.#options = options;
    const { afterMs } = options;
    this.#timer = setTimeout(
      () => void this.kill(`no checkpoint bears this rollback after ${afterMs / 1_000} s`),
      afterMs,
    );
  }

  /** The migration has the command: nothing is killed any more. */
  cancel(): void {
    clearTimeout(this.#timer);
  }

  /** Sets the switches, unless that was done already; what came of it, which is also noted. Never rejects. */
  kill(why: string): Promise<string> {
    this.cancel();
    this.#killing ??= this.#setAll().then((result) => {
      this.#options.note(`${why}: ${result}`);
      return result;
    });
    return this.#killing;
  }

  /** What came of it; null where nothing was killed. */
  get result(): Promise<string> | null {
    return this.#killing;
  }

  async #setAll(): Promise<string> {
    const { config, route, words } = this.#options;
    try {
      const admin = createGatewayAdmin(loadConfiguration(configurationPath(config)), resolveSecret);
      try {
        const gateways = await admin.discover();
        const answers = await Promise.all(
          gateways.map(async (gateway) => ({
            name: gateway.name,
            answer: await admin.kill(gateway, route, words),
          })),
        );
        const done = answers.filter(({ answer }) => answer.kind === 'ok').map(({ name }) => name);
        const missed = answers.flatMap(({ name, answer }) =>
          answer.kind === 'ok'
            ? []
            : [`${name} (${answer.kind === 'refused' ? answer.refusal.error.message : answer.reason})`],
        );
        const inMemory = answers.flatMap(({ name, answer }) =>
          answer.kind === 'ok' && answer.value.durable === false ? [name] : [],
        );
        return [
          ...(done.length === 0 ? [] : [`kill switch set at ${done.join(', ')}`]),
          ...(missed.length === 0 ? [] : [`kill switch NOT set at ${missed.join(', ')}`]),
          ...(answers.length === 0 ? ['no gateway is configured or discovered'] : []),
          ...(inMemory.length === 0
            ? []
            : [`in memory only at ${inMemory.join(', ')}, whose disk refuses: a restart would forget it`]),
        ].join('; ');
      } finally {
        await admin.close();
      }
    } catch (error) {
      return `the kill switches could not be set: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
}
