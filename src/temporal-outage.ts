import { formatDuration } from './core/text/duration';

const ASK_EVERY_MS = 10_000;

/**
 * Asks Temporal now and then whether it is there, and says when it stops answering and when it answers again: the SDK
 * tries again for ever and says nothing. Gives what ends it.
 */
export function watchForOutages(options: {
  readonly address: string;
  readonly ask: () => Promise<unknown>;
  readonly warn: (message: string) => void;
  readonly now: () => number;
  readonly everyMs?: number;
}): () => void {
  const { address, ask, warn, now, everyMs = ASK_EVERY_MS } = options;
  let silentSinceMs: number | null = null;
  let isStopped = false;
  let timer: NodeJS.Timeout | null = null;
  const look = async (): Promise<void> => {
    const problem = await ask().then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (isStopped) return;
    if (problem !== null && silentSinceMs === null) {
      silentSinceMs = now();
      warn(
        `Temporal at ${address} does not answer (${problem}): until it does nothing is decided, no lease is renewed, and gateways below 100% return to legacy. It is asked again`,
      );
    } else if (problem === null && silentSinceMs !== null) {
      const silentMs = Math.round((now() - silentSinceMs) / 1_000) * 1_000;
      silentSinceMs = null;
      warn(`Temporal at ${address} answers again, after ${formatDuration(silentMs)}`);
    }
    timer = setTimeout(() => void look(), everyMs);
    timer.unref();
  };
  void look();
  return () => {
    isStopped = true;
    if (timer !== null) clearTimeout(timer);
  };
}
