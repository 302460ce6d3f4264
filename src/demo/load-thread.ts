import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type LoadCounts, type OpenLoopOptions, startLoad } from './load';

/** A load on a thread of its own, so that the callers' work does not slow the gateways that they measure. */
export interface LoadThread {
  /** What has been seen up to a moment ago. */
  counts(): LoadCounts;
  use(gateways: readonly string[]): void;
  stop(): Promise<void>;
}

type Order = { readonly use: readonly string[] } | { readonly stop: true };

const REPORT_MS = 200;

/** Starts the load; resolves with its first counts. */
export async function startLoadThread(options: OpenLoopOptions): Promise<LoadThread> {
  const worker = new Worker(__filename, { workerData: options });
  let [counts] = (await once(worker, 'message')) as [LoadCounts];
  worker.on('message', (seen: LoadCounts) => {
    counts = seen;
  });
  const order = (what: Order) => worker.postMessage(what);
  let stopped: Promise<unknown> | null = null;
  return {
    counts: () => counts,
    use: (gateways) => order({ use: gateways }),
    stop: async () => {
      stopped ??= once(worker, 'exit');
      order({ stop: true });
      await stopped;
    },
  };
}

function serve(options: OpenLoopOptions): void {
  const load = startLoad(options);
  const report = () => parentPort?.postMessage(load.counts());
  const timer = setInterval(report, REPORT_MS);
  parentPort?.on('message', async (order: Order) => {
    if ('use' in order) {
      load.use(order.use);
      return;
    }
    clearInterval(timer);
    await load.stop();
    report();
    parentPort?.close();
  });
}

if (!isMainThread) serve(workerData as OpenLoopOptions);
