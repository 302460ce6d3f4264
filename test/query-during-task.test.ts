import { setTimeout as sleep } from 'node:timers/promises';
import { cancellationSignal } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  makeTelemetryFilterString,
  NativeConnection,
  Runtime,
  Worker,
} from '@temporalio/worker';
import { type RunningTemporal, startTemporalServer } from '../src/temporal-server/dev-server';
import { openCutLine } from './support/gateways/cut-line';

// Nothing of Cutover's but the server's start: what docs/known-problems.md says of the SDK, tried on the SDK alone.
jest.setTimeout(120_000);

Runtime.install({
  logger: new DefaultLogger('ERROR', () => undefined),
  telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR' }), forward: {} } },
});

const TASK_TIMEOUT_MS = 3_000;
/** A worker that keeps workflows asks the common queue for no more than this many tasks at once. */
const COMMON_POLLS = 2;

let temporal: RunningTemporal;
let connection: Connection;
let client: Client;
let workflowBundle: { code: string };

beforeAll(async () => {
  const executable = process.env['CUTOVER_TEST_TEMPORAL'] as string;
  temporal = await startTemporalServer({ executable, searchAttributes: {}, uiPort: 'off' });
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection });
  workflowBundle = await bundleWorkflowCode({
    workflowsPath: require.resolve('./support/migrations/preempting-workflow'),
    logger: new DefaultLogger('ERROR'),
  });
});
afterAll(async () => {
  await connection?.close();
  await temporal?.stop();
});

async function startWorker(address: string, taskQueue: string, kept: number): Promise<() => Promise<void>> {
  const native = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection: native,
    taskQueue,
    workflowBundle,
    activities: { work: () => sleep(60_000, undefined, { ref: false, signal: cancellationSignal() }) },
    stickyQueueScheduleToStartTimeout: '1s',
    shutdownForceTime: '3s',
    maxCachedWorkflows: kept,
  });
  const ended = worker.run().catch(() => undefined);
  return async () => {
    worker.shutdown();
    await ended;
    await native.close().catch(() => undefined);
  };
}

/**
 * Freezes the worker that holds a workflow, has it take a task along while a query waits for it, and lets a second worker
 * go on. Returns what the query was answered, and why the history does not replay.
 */
async function loseTask(taskQueue: string, kept: number): Promise<{ answer: unknown; problem: unknown }> {
  const line = await openCutLine(temporal.address);
  const stopFirst = await startWorker(line.address, taskQueue, kept);
  const start = (workflowId: string, workflowTaskTimeout: number) =>
    client.workflow.start('preempting', { taskQueue, workflowId, workflowTaskTimeout });
  const handle = await start(taskQueue, TASK_TIMEOUT_MS);
  await handle.query('asked');
  const stopSecond = await startWorker(temporal.address, taskQueue, kept);
  await sleep(500);
  line.freeze();
  // Whoever asked first is given the next task: these take up what the frozen worker asked the common queue for.
  for (let number = 1; number <= COMMON_POLLS; number += 1) await start(`${taskQueue}-${number}`, 60_000);
  const asking = connection.withDeadline(Date.now() + 5_000, () => handle.query('asked'));
  await sleep(200);
  await handle.signal('replace');
  const answer = await asking.catch((error: unknown) => error);
  await handle.signal('replace');
  await sleep(TASK_TIMEOUT_MS + 500);
  await handle.signal('finish');
  await handle.result();
  const problem = await Worker.runReplayHistory({ workflowBundle }, await handle.fetchHistory()).then(
    () => null,
    (error: unknown) => error,
  );
  await line.heal();
  await Promise.all([stopFirst(), stopSecond()]);
  await line.stop();
  return { answer, problem };
}

it('poisons a history where a worker keeps what it built for a query in the middle of a task', async () => {
  const { answer, problem } = await loseTask('keeping', 100);
  // The query saw a signal whose task had not been completed.
  expect(answer).toBe(1);
  // Once this no longer fails, the SDK is repaired: workers may keep workflows again.
  expect(String(problem)).toContain('Replay failed');
});

it('poisons none where workers keep nothing', async () => {
  const { problem } = await loseTask('keeping-nothing', 0);
  expect(problem).toBeNull();
});
