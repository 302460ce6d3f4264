import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { workflowIdOf } from '../../src/contract';
import { built, runNode } from '../support/cli';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';
import { historyNames, historyOf } from '../support/migrations/recorded-history';
import { findSecrets } from '../support/secret-search';
import { type ReceivedSpan, startTraceReceiver, type TraceReceiver } from '../support/servers/trace-receiver';

jest.setTimeout(180_000);

Runtime.install({ logger: new DefaultLogger('ERROR') });

const REASON = 'a reason that stays in Temporal';
let receiver: TraceReceiver;
let harness: MigrationHarness;

beforeAll(async () => {
  receiver = await startTraceReceiver();
  harness = await MigrationHarness.start({ gateways: 1 });
});
afterAll(async () => {
  await harness?.stop();
  await receiver?.stop();
});

const named = (name: string) => receiver.spans.filter((span) => span.name === name);

it('sends the run of a migration and its activities as one trace, also when workers without traces took part', async () => {
  const traced = await startTracingWorker();
  expect(traced.output()).not.toContain('no spans');
  const migrationId = await harness.beginInCanary(quickPlan('chat', { canary: staying('1s') }));
  await harness.eventually('a window to be traced', async () => named('RunActivity:watchStage').length > 0);
  await traced.end();

  const untraced = await harness.startWorker();
  const before = receiver.spans.length;
  const { soak } = await harness.until('chat', ({ verdict }) => verdict !== null);
  // A salt that was drawn otherwise would look like drift to the gateway.
  const { drift } = await harness.until('chat', (status) => status.soak.windows > soak.windows + 1);
  expect(drift).toBeNull();
  expect(receiver.spans).toHaveLength(before);
  await untraced.end();

  await startTracingWorker();
  // An update, because its validation is left out by every replay of the task that schedules what it asks for.
  const asked = { by: 'test', reason: REASON };
  const { commandId } = await harness.client.command('chat', 'rollback', asked, { via: 'update' });
  expect((await harness.client.follow('chat', commandId)).verified).toBe(true);
  await harness.eventually('the run to be traced', async () => named('RunWorkflow:migration').length > 0);

  const [run] = named('RunWorkflow:migration') as [ReceivedSpan];
  expect(run).toMatchObject({
    parentSpanId: '',
    failed: false,
    attributes: {
      temporalWorkflowId: workflowIdOf('chat'),
      run_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    },
    resource: { 'service.name': 'cutover-worker', 'service.version': expect.any(String) },
  });
  const scheduled = receiver.spans.filter(({ name }) => name.startsWith('StartActivity:'));
  const activities = receiver.spans.filter(({ name }) => name.startsWith('RunActivity:'));
  expect(new Set(activities.map(({ name }) => name.slice(12)))).toEqual(
    new Set(['readRouting', 'assess', 'handoverProbe', 'checkHealth', 'applyRouting', 'watchStage']),
  );
  for (const { traceId, parentSpanId } of scheduled) {
    expect({ traceId, parentSpanId }).toEqual({ traceId: run.traceId, parentSpanId: run.spanId });
  }
  // One that a worker without traces scheduled has no parent at the next worker.
  const parents = activities.map(({ parentSpanId }) => parentSpanId).filter((id) => id !== '');
  expect(parents.filter((id) => !scheduled.some(({ spanId }) => spanId === id))).toEqual([]);
  expect(named('RunActivity:applyRouting').map(({ traceId }) => traceId)).toEqual(
    named('RunActivity:applyRouting').map(() => run.traceId),
  );
  expect(named('HandleUpdate:rollback')).toHaveLength(1);
  expect(
    findSecrets(harness, migrationId, { spans: Buffer.concat(receiver.bodies).toString('latin1') }),
  ).toEqual([]);
  for (const body of receiver.bodies) expect(body.includes(REASON)).toBe(false);
});

/** The worker as users run it, in an environment that names a collector. */
function startTracingWorker() {
  return harness.startProgram(['worker', '--config', harness.configPath], 'worker: serving', {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: '50',
  });
}

it('replays what was traced without traces, and what was not traced with them', async () => {
  const bundle = require(built('src', 'workflow-bundle.js')) as typeof import('../../src/workflow-bundle');
  const code = await bundle.bundleWorkflows([built('src', 'tracing', 'workflow-interceptors.js')]);
  const history = await harness.handle('chat').fetchHistory();
  await Worker.runReplayHistory({ workflowBundle: bundle.builtWorkflows }, history, workflowIdOf('chat'));
  // Of every release, and all that runs of today may hold.
  const names = historyNames().filter((name) => !/^revision-[34]-(?!completed|orders|broken)/.test(name));
  const recorded = names.map((name) => ({
    workflowId: workflowIdOf(name),
    history: historyOf(name) as unknown,
  }));
  const histories = [{ workflowId: workflowIdOf('chat'), history: history as unknown }, ...recorded];
  const sinks = { exporter: { export: { fn: () => undefined, callDuringReplay: false } } };
  const failed: unknown[] = [];
  for await (const { workflowId, error } of Worker.runReplayHistories(
    { workflowBundle: { code }, sinks },
    histories,
  )) {
    if (error !== undefined) failed.push({ workflowId, error });
  }
  expect(failed).toEqual([]);
});

it('loads nothing of it where no endpoint is named', async () => {
  const script = `
    const { openWorkerTracing } = require(process.argv[1]);
    require(process.argv[2]);
    const loaded = () => Object.keys(require.cache).some((path) => /interceptors-opentelemetry|sdk-trace-base|tracing.worker-tracing\\.js$/.test(path));
    const of = (env) => openWorkerTracing(env, console.error);
    (async () => {
      const off = [await of({}), await of({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_TRACES_EXPORTER: 'none' })];
      const before = loaded();
      const on = await of({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
      console.log(JSON.stringify({ off, before, on: on !== null, after: loaded() }));
    })();
  `;
  const modules = [built('src', 'tracing', 'open-worker-tracing.js'), built('src', 'worker.js')];
  const { stdout } = await runNode('--eval', [script, ...modules]);
  expect(JSON.parse(stdout)).toEqual({ off: [null, null], before: false, on: true, after: true });
});
