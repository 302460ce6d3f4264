import type { Worker } from '@temporalio/worker';

/** What is needed of a worker of the SDK to run it and to end it. */
type RunnableWorker = Pick<Worker, 'run' | 'shutdown' | 'getState'>;

/** Runs all until they have ended; one that ends by itself stops the others, and only then it is thrown. */
export async function runAll(workers: readonly RunnableWorker[], onFailure: () => void): Promise<void> {
  const failures: unknown[] = [];
  await Promise.all(
    workers.map((worker) =>
      worker.run().catch((error: unknown) => {
        failures.push(error);
        onFailure();
        for (const other of workers) if (other.getState() === 'RUNNING') other.shutdown();
      }),
    ),
  );
  if (failures.length > 0) throw new WorkerEnded(failures[0]);
}

/** Thrown when a worker ended although nobody asked it to, such as after a poll that Temporal refused for good. */
class WorkerEnded extends Error {
  override readonly name = 'WorkerEnded';
  constructor(cause: unknown) {
    super(`the worker ended by itself and has to be started again: ${firstLineOf(cause)}`, { cause });
  }
}

/** The first line: the SDK puts whole structures into the others. */
export function firstLineOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]?.slice(0, 300) ?? '';
}
