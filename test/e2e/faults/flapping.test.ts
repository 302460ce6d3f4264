import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DefaultLogger, makeTelemetryFilterString, Runtime, Worker } from '@temporalio/worker';
import { workflowIdOf } from '../../../src/contract';
import { built } from '../../support/cli';
import { type CutLine, openCutLine } from '../../support/gateways/cut-line';
import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan, staying } from '../../support/migrations/quick-plan';
import type { NodeProcess } from '../../support/node-process';

/** Faults of the way to Temporal; `npm run test:flapping` takes 200. */
const FAULTS = Number(process.env['CUTOVER_FLAPPING_FAULTS'] ?? 2);
const ROUTES = ['one', 'two', 'three', 'four'];
/** From health on every migration is rolled back within this time. */
const CLOSED_WITHIN_MS = 60_000;

jest.setTimeout(120_000 + FAULTS * 60_000);

Runtime.install({
  logger: new DefaultLogger('ERROR'),
  telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR' }) } },
});

/** A worker whose way to Temporal can be cut. */
interface CutWorker {
  readonly line: CutLine;
  readonly process: NodeProcess;
}

let harness: MigrationHarness;
const workers: CutWorker[] = [];

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ROUTES });
});
afterAll(async () => {
  await harness?.stop();
  for (const { line } of workers) await line.stop();
});

async function startCutWorker(): Promise<void> {
  const line = await openCutLine(harness.temporal.address);
  workers.push({ line, process: await harness.startWorker('--address', line.address) });
}

/** What happens to a worker, and how it ends. */
const KINDS: readonly {
  readonly name: string;
  readonly begin: (worker: CutWorker) => unknown;
  readonly end: (worker: CutWorker) => unknown;
}[] = [
  { name: 'frozen', begin: ({ line }) => line.freeze(), end: ({ line }) => line.heal() },
  {
    name: 'stopped',
    begin: ({ process }) => process.signal('SIGSTOP'),
    end: ({ process }) => process.signal('SIGCONT'),
  },
  { name: 'deaf', begin: ({ line }) => line.halfClose(), end: ({ line }) => line.heal() },
  { name: 'refused', begin: ({ line }) => line.refuse(), end: ({ line }) => line.heal() },
];

/**
 * Cuts one worker off while every migration is asked for its status, judged again and rolled back: a query that waits
 * for the worker, a task that it takes along, and a second message for the worker that goes on.
 */
async function fault(index: number): Promise<void> {
  const { begin, end } = KINDS[index % KINDS.length] as (typeof KINDS)[number];
  const worker = workers[Math.floor(index / KINDS.length) % workers.length] as CutWorker;
  await begin(worker);
  const asking = ROUTES.map((route) =>
    harness.client.status(route, { workerWaitMs: 3_000 }).catch(() => undefined),
  );
  await sleep(200);
  await signalAll('reevaluate');
  await Promise.all(asking);
  await signalAll('rollback');
  // Longer than a task's timeout, or shorter: then the task arrives after all.
  await sleep(index % 2 === 0 ? 6_000 : 1_000);
  await end(worker);
}

async function signalAll(name: 'reevaluate' | 'rollback'): Promise<void> {
  await Promise.all(
    ROUTES.map((route) => harness.client.command(route, name, { by: 'ana' }, { via: 'signal' })),
  );
}

/** How long it takes until a migration is closed, milliseconds; null where it does not close in time. */
async function untilClosed(route: string): Promise<number | null> {
  const startMs = performance.now();
  const closed = harness.handle(route).result();
  const isClosed = await Promise.race([
    closed.then(() => true),
    sleep(CLOSED_WITHIN_MS, false, { ref: false }),
  ]);
  return isClosed ? Math.round(performance.now() - startMs) : null;
}

/** Why a migration cannot be replayed; null where all of its runs can. */
async function replayProblem(route: string): Promise<string | null> {
  const code = readFileSync(built('workflow-bundle.js'), 'utf8');
  let runId: string | null | undefined = (await harness.handle(route).describe()).runId;
  while (runId) {
    const history = await harness.workflows.getHandle(workflowIdOf(route), runId).fetchHistory();
    try {
      await Worker.runReplayHistory({ workflowBundle: { code } }, history);
    } catch (error) {
      return String(error);
    }
    runId = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
  }
  return null;
}

it(`closes every migration and replays every history after each of ${FAULTS} faults of the way to Temporal`, async () => {
  await startCutWorker();
  const ends: { route: string; closedMs: number | null; problem: string | null }[] = [];
  for (let index = 0; index < FAULTS; index += 1) {
    await Promise.all(ROUTES.map((route) => harness.beginInCanary(quickPlan(route, { canary: staying() }))));
    // Where workers keep workflows, the first one has them all now.
    if (workers.length === 1) await startCutWorker();
    await fault(index);
    const round = await Promise.all(
      ROUTES.map(async (route) => {
        const closedMs = await untilClosed(route);
        const problem = await replayProblem(route);
        if (closedMs === null) await harness.handle(route).terminate('it did not close in time');
        return { route, closedMs, problem };
      }),
    );
    ends.push(...round);
    const times = round.map(({ closedMs, problem }) => problem ?? closedMs).join(', ');
    harness.measured(
      `fault ${index} (${KINDS[index % KINDS.length]?.name}), closed after health in ms: ${times}`,
    );
  }
  expect(ends.filter(({ closedMs, problem }) => closedMs === null || problem !== null)).toEqual([]);
  expect(ends).toHaveLength(ROUTES.length * FAULTS);
});
