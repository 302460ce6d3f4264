import { setTimeout as sleep } from 'node:timers/promises';
import type { Stoppable } from './until-stopped';

const PAUSE_MS = 1_000;

/**
 * Keeps a worker running: one that ends by itself is noted and started again until `stop`. Rejects when the first
 * one cannot be started; later starts are tried without end, because Temporal may be restarting.
 */
export async function keepWorker(
  start: () => Promise<Stoppable>,
  options: { readonly note: (line: string) => void; readonly pauseMs?: number },
): Promise<Stoppable> {
  const { note, pauseMs = PAUSE_MS } = options;
  const stopping = new AbortController();
  let worker: Stoppable | null = await start();
  const keep = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        worker ??= await start();
        // Asked to stop while it was being started.
        if (stopping.signal.aborted) await worker.stop();
        await worker.stopped;
        return;
      } catch (error) {
        worker = null;
        note(`${error instanceof Error ? error.message : String(error)}; starting it again`);
        await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
  };
  const stopped = keep();
  return {
    stopped,
    async stop() {
      stopping.abort();
      await worker?.stop().catch(() => undefined);
      await stopped;
    },
  };
}
