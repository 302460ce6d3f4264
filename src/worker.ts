import { join } from 'node:path';
import {
  DefaultLogger,
  NativeConnection,
  type NativeConnectionOptions,
  Runtime,
  Worker,
} from '@temporalio/worker';
import { createActivities } from './activities';
import { createPorts } from './adapters/ports';
import { readDocument } from './config';
import { TASK_QUEUE, WATCH_TASK_QUEUE } from './contract';
import type { Configuration } from './core/configuration-schema';

/** How long running activities may go on after a shutdown was asked for; what is left goes on elsewhere. */
const SHUTDOWN_GRACE = '5s';

export interface WorkerOptions {
  readonly connection: NativeConnectionOptions;
  readonly namespace: string;
  readonly configuration: Configuration;
  readonly resolveSecret: (reference: string) => string;
  /** Windows that can be observed at once by this process; 100 by default. */
  readonly watchSlots?: number;
}

let isQuiet = false;

/** Keeps the SDK to warnings; once a process, before the first worker. */
function logWarningsOnly(): void {
  if (isQuiet) return;
  isQuiet = true;
  Runtime.install({
    // Entry points decide when to stop and in which order.
    shutdownSignals: [],
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      // The watch queue serves no workflows on purpose.
      if (message.startsWith('No workflows registered')) return;
      process.stderr.write(
        `temporal ${level.toLowerCase()}: ${message} ${JSON.stringify(meta ?? {}, withErrors)}\n`,
      );
    }),
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
}

/** An error has no fields of its own that JSON shows: without this the reason of a failed task is lost. */
function withErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.stack : value;
}

export interface RunningWorker {
  /** Resolves when both workers have stopped; rejects when one failed. */
  readonly stopped: Promise<void>;
  /** Asks both to stop and resolves when they have. */
  stop(): Promise<void>;
}

/**
 * Two workers in one process: one for the workflow with applying and verifying, one for everything long, so that
 * a rollback never waits for a slot that a watch holds.
 */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  logWarningsOnly();
  const { routing, watch } = createActivities(
    createPorts(options.configuration, options.resolveSecret, readDocument),
  );
  const connection = await NativeConnection.connect(options.connection);
  const shared = { connection, namespace: options.namespace, shutdownGraceTime: SHUTDOWN_GRACE } as const;
  const workers = await Promise.all([
    Worker.create({
      ...shared,
      taskQueue: TASK_QUEUE,
      workflowBundle: { codePath: join(__dirname, '..', 'workflow-bundle.js') },
      activities: { ...routing },
      // A signal to a dead worker's sticky queue would wait this long before another worker gets it.
      stickyQueueScheduleToStartTimeout: '1s',
    }),
    Worker.create({
      ...shared,
      taskQueue: WATCH_TASK_QUEUE,
      activities: { ...watch },
      maxConcurrentActivityTaskExecutions: options.watchSlots ?? 100,
    }),
  ]);
  const stop = async (): Promise<void> => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await stopped;
  };
  const stopped = Promise.all(workers.map((worker) => worker.run()))
    .then(() => undefined)
    .finally(() => connection.close());
  // One that fails must not leave the other half running.
  stopped.catch(() => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  });
  return { stopped, stop };
}
