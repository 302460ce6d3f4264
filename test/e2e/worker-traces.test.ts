import { workflowIdOf } from '../../src/contract';
import { built, runNode } from '../support/cli';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';
import { findSecrets } from '../support/secret-search';
import { startTraceReceiver, type TraceReceiver } from '../support/servers/trace-receiver';

jest.setTimeout(180_000);

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

it('sends the activities of a run as one trace, whatever the workers, and runs without traces go on with them', async () => {
  const traced = await startTracingWorker();
  const migrationId = await harness.beginInCanary(quickPlan('chat', { canary: staying('1s') }));
  await harness.eventually('a window to be traced', async () => named('RunActivity:watchStage').length > 0);
  await traced.end();

  const untraced = await harness.startWorker();
  const before = receiver.spans.length;
  const { soak } = await harness.until('chat', ({ verdict }) => verdict !== null);
  await harness.until('chat', (status) => status.soak.windows > soak.windows + 1);
  expect(receiver.spans).toHaveLength(before);
  await untraced.end();

  await startTracingWorker();
  const { runId } = await harness.client.describe('chat');
  const ofRun = () => receiver.spans.filter(({ attributes }) => attributes['run_id'] === runId);
  const pushes = () => ofRun().filter(({ name }) => name === 'RunActivity:applyRouting').length;
  const pushed = pushes();
  const asked = { by: 'test', reason: REASON };
  const { commandId } = await harness.client.command('chat', 'rollback', asked, { via: 'update' });
  expect((await harness.client.follow('chat', commandId)).verified).toBe(true);
  await harness.eventually('the rollback to be traced', async () => pushes() > pushed);
  expect(new Set(ofRun().map(({ name }) => name.slice(12)))).toEqual(
    new Set(['readRouting', 'assess', 'handoverProbe', 'checkHealth', 'applyRouting', 'watchStage']),
  );
  expect(new Set(ofRun().map(({ traceId }) => traceId)).size).toBe(1);
  expect(ofRun()[0]).toMatchObject({
    parentSpanId: '',
    attributes: { temporalWorkflowId: workflowIdOf('chat'), 'cutover.attempt': 1 },
    resource: { 'service.name': 'cutover-worker', 'service.version': expect.any(String) },
  });
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

it('loads nothing of it where no endpoint is named', async () => {
  const script = `
    const { openWorkerTracing } = require(process.argv[1]);
    require(process.argv[2]);
    const loaded = () => Object.keys(require.cache).some((path) => /tracing.worker-tracing\\.js$/.test(path));
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
