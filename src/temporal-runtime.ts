import { hostname } from 'node:os';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { visibleLines } from './core/text/visible-text';
import { freePorts } from './temporal-server/free-port';

const LOOPBACK = '127.0.0.1';

/** How a worker runs workflows. */
export const uncachedWorkflows = {
  // A worker that keeps what it built while it answered a query can poison the history: docs/known-problems.md.
  maxCachedWorkflows: 0,
  // Without that cache the core keeps one waiting task per run and drops others, such as queries that come together.
  maxConcurrentWorkflowTaskExecutions: 1,
} as const;

/** Where the SDK shows its metrics in this process; null where it shows none. */
let sdkMetricsUrl: string | null = null;
let isInstalled = false;

/**
 * Keeps the SDK to warnings and, where metrics are wanted, has it show its own on a free port of loopback, whose
 * address is returned. Takes effect once a process, before its first worker.
 */
export async function installRuntime(options: { readonly metrics: boolean }): Promise<string | null> {
  if (isInstalled) return sdkMetricsUrl;
  isInstalled = true;
  const [port] = options.metrics ? await freePorts(LOOPBACK, 1) : [];
  Runtime.install({
    // Entry points decide when to stop and in which order.
    shutdownSignals: [],
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      // Only one of the queues serves workflows, on purpose.
      if (message.startsWith('No workflows registered')) return;
      const said = { isError: level === 'ERROR', message, meta: meta ?? {}, atMs: Date.now() };
      process.stderr.write(`${visibleLines(workerLogLine(said, process.stderr.isTTY === true))}\n`);
    }),
    telemetryOptions: {
      logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} },
      ...(port === undefined ? {} : { metrics: { prometheus: { bindAddress: `${LOOPBACK}:${port}` } } }),
    },
  });
  if (port !== undefined) sdkMetricsUrl = `http://${LOOPBACK}:${port}/metrics`;
  return sdkMetricsUrl;
}

/** What a worker has to say. */
interface WorkerWarning {
  readonly isError: boolean;
  readonly message: string;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly atMs: number;
}

/** One line of a worker's log: for people at a terminal, else JSON in the fields of a gateway's log. */
export function workerLogLine({ isError, message, meta, atMs }: WorkerWarning, isTerminal: boolean): string {
  const [, route] = /^cutover\/(.+)$/.exec(String(meta['workflowId'] ?? '')) ?? [];
  const fields = { ...(route === undefined ? {} : { route }), ...meta };
  if (!isTerminal) {
    const head = { level: isError ? 50 : 40, time: atMs, worker: `${process.pid}@${hostname()}` };
    return JSON.stringify({ ...head, ...fields, msg: message }, withErrors);
  }
  const more = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields, withErrors)}`;
  return `${new Date(atMs).toISOString()} ${isError ? 'error' : 'warning'} ${message}${more}`;
}

/** An error has no fields of its own that JSON shows: without this the reason of a failed task is lost. */
function withErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value;
}
