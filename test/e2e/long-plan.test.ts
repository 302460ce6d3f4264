import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, makeTelemetryFilterString, Runtime, Worker } from '@temporalio/worker';
import {
  MIGRATION_WORKFLOW,
  type MigrationInput,
  type MigrationResult,
  QUERIES,
  type RoutingActivities,
  TASK_QUEUE,
  WATCH_TASK_QUEUE,
  type WatchActivities,
  type WatchStageInput,
  workflowIdOf,
} from '../../src/contract';
import { parseDocument } from '../../src/core/configuration/schema-parts';
import type { MigrationStatus } from '../../src/core/migration/status';
import { planSchema } from '../../src/core/plan/plan-schema';
import { built } from '../support/cli';
import { fakeActivities, fakeWorld } from '../support/migrations/fake-activities';
import { startTimeSkippingServer } from '../support/servers/time-skipping-server';

jest.setTimeout(150_000);

Runtime.install({
  logger: new DefaultLogger('ERROR'),
  telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR' }) } },
});

const EVENTS_A_STAGE = 400;

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

let environment: TestWorkflowEnvironment;

beforeAll(async () => {
  environment = await startTimeSkippingServer();
  await environment.connection.operatorService.addSearchAttributes({
    namespace: 'default',
    // temporal.api.enums.v1.IndexedValueType: Keyword, Keyword, Double, Bool.
    searchAttributes: { CutoverRoute: 2, CutoverStage: 2, CutoverShare: 4, CutoverPaused: 5 },
  });
}, 300_000);
afterAll(() => environment?.teardown());

/** Activities that do their work in no time, and a watch that says it has observed its whole window. */
function quickActivities(): { routing: RoutingActivities; watch: WatchActivities } {
  const { routing, watch } = fakeActivities({ ...fakeWorld(), verdict: 'pass' });
  return {
    routing,
    watch: {
      ...watch,
      async watchStage(input) {
        const window = await watch.watchStage({ ...input, windowMs: 0 });
        const settled = input.handover ? input.roster.map(({ name }) => name) : [];
        return { ...window, observedMs: input.windowMs, settled };
      },
    },
  };
}

async function withWorkers<T>(
  { routing, watch }: { routing: RoutingActivities; watch: WatchActivities },
  work: () => Promise<T>,
): Promise<T> {
  const connection = environment.nativeConnection;
  const workers = await Promise.all([
    Worker.create({
      connection,
      taskQueue: TASK_QUEUE,
      workflowBundle: { codePath: built('workflow-bundle.js') },
      activities: { ...routing },
    }),
    Worker.create({ connection, taskQueue: WATCH_TASK_QUEUE, activities: { ...watch } }),
  ]);
  return workers.reduce((inner, worker) => () => worker.runUntil(inner), work)();
}

function startOf(route: string): { taskQueue: string; workflowId: string; args: [MigrationInput] } {
  return {
    taskQueue: TASK_QUEUE,
    workflowId: workflowIdOf(route),
    args: [
      {
        start: {
          migrationId: `${route}-1`,
          plan: parseDocument(planSchema, { route }, 'the default plan'),
          by: 'ana',
          reason: 'a test',
          stickyKey: 'none',
          newConversationsOnly: false,
          shadow: 0,
          salt: 'salt',
        },
        carried: null,
        searchAttributes: true,
      },
    ],
  };
}

/** The events of all runs of a workflow, oldest first. */
async function eventsOf(workflowId: string): Promise<NonNullable<History['events']>> {
  const { workflow } = environment.client;
  let events: NonNullable<History['events']> = [];
  let runId: string | null | undefined = (await workflow.getHandle(workflowId).describe()).runId;
  while (runId) {
    const run: History = await workflow.getHandle(workflowId, runId).fetchHistory();
    events = [...(run.events ?? []), ...events];
    runId = run.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
  }
  return events;
}

it('keeps each stage of the default plan within 400 events, for four days of soaking', async () => {
  const { workflow } = environment.client;
  const started = startOf('default');
  const result = await withWorkers(quickActivities(), () =>
    workflow.execute<(input: MigrationInput) => Promise<MigrationResult>>(MIGRATION_WORKFLOW, started),
  );
  expect(result).toMatchObject({ outcome: 'completed' });

  const events = await eventsOf(started.workflowId);
  const counts = new Map<string, number>();
  let stage = 'assess';
  for (const { activityTaskScheduledEventAttributes: scheduled } of events) {
    const data = scheduled?.input?.payloads?.[0]?.data;
    if (data != null) {
      const input = JSON.parse(Buffer.from(data).toString()) as Partial<WatchStageInput>;
      stage = input.handover === true ? 'handover' : (input.record?.stage ?? stage);
    }
    counts.set(stage, (counts.get(stage) ?? 0) + 1);
  }
  const told = [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
  process.stderr.write(`measured: events of the default plan by stage: ${told}\n`);
  expect([...counts.keys()]).toEqual(['assess', 'canary', 'rolling', 'complete', 'handover']);
  for (const count of counts.values()) expect(count).toBeLessThanOrEqual(EVENTS_A_STAGE);
  // As many windows as planned: the count is of the real thing.
  for (const name of ['canary', 'rolling', 'complete']) expect(counts.get(name)).toBeGreaterThan(48 * 5);
});

it('holds an assessment that stays inconclusive after a day, and has not filled the history with trying', async () => {
  const { workflow } = environment.client;
  const { routing, watch } = quickActivities();
  const doubtful: WatchActivities = {
    ...watch,
    assess: async (input) => ({ ...(await watch.assess(input)), outcome: 'inconclusive' }),
  };
  const started = startOf('doubtful');
  const { status, events } = await withWorkers({ routing, watch: doubtful }, async () => {
    const handle = await workflow.start(MIGRATION_WORKFLOW, started);
    await environment.sleep('25h');
    const seen = await handle.query<MigrationStatus>(QUERIES.status);
    const { historyLength } = await handle.describe();
    await handle.terminate();
    return { status: seen, events: historyLength };
  });
  process.stderr.write(
    `measured: a day of assessing in vain: ${status.soak.windows} tries, ${events} events\n`,
  );
  expect(status).toMatchObject({ phase: 'observing', stage: 'assess', share: 0 });
  expect(status.held?.reason).toContain('assess has not passed within 24 h');
  expect(status.soak.windows).toBeLessThan(120);
});
