import type { Worker } from '@temporalio/worker';

/** What is needed of a worker of the SDK to run it and to end it. */
type RunnableWorker = Pick<Worker, 'run' | 'shutdown' | 'getState'>;

const LOOK_EVERY_MS = 500;
const PATIENCE_MS = 10_000;

/**
 * Runs all until they have ended; one that ends by itself stops the others, and then it is thrown. What Temporal refuses
 * for good leaves a worker of the SDK (1.24.0) failed, but its run never settles: its state is looked at too, and after
 * `patienceMs` nobody is waited for any more.
 */
export async function runAll(
  workers: readonly RunnableWorker[],
  onFailure: () => void,
  { lookEveryMs = LOOK_EVERY_MS, patienceMs = PATIENCE_MS } = {},
): Promise<void> {
  const failures: unknown[] = [];
  let giveUp: () => void = () => undefined;
  const gaveUp = new Promise<void>((resolve) => {
    giveUp = resolve;
  });
  const timers: NodeJS.Timeout[] = [];
  const fail = (error: unknown): void => {
    failures.push(error);
    if (failures.length > 1) return;
    timers.push(setTimeout(giveUp, patienceMs));
    onFailure();
    for (const other of workers) if (other.getState() === 'RUNNING') other.shutdown();
  };
  const ended = Promise.all(workers.map((worker) => worker.run().catch(fail)));
  const look = (): void => {
    const hasFailed = workers.some((worker) => worker.getState() === 'FAILED');
    if (hasFailed && failures.length === 0) fail(new Error('Temporal refuses its polls; the log says why'));
  };
  timers.push(setInterval(look, lookEveryMs));
  await Promise.race([ended, gaveUp]);
  for (const timer of timers) clearTimeout(timer);
  if (failures.length > 0) throw new WorkerEnded(failures[0]);
}

/** Thrown when a worker ended although nobody asked it to, such as after a poll that Temporal refused for good. */
class WorkerEnded extends Error {
  override readonly name = 'WorkerEnded';
  constructor(cause: unknown) {
    super(`the worker ended unexpectedly and has to be started again: ${firstLineOf(cause)}`, { cause });
  }
}

/** The first line: the SDK puts whole structures into the others. */
export function firstLineOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]?.slice(0, 300) ?? '';
}
