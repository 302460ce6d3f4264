import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import { MigrationClient } from '../../src/client';
import { MIGRATION_WORKFLOW, TASK_QUEUE, workflowIdOf } from '../../src/contract';
import type { RunningTemporal } from '../../src/temporal-server/dev-server';
import { fakeWorld } from '../support/migrations/fake-activities';
import { startedInCanary, startFakeWorker, startTestTemporal } from '../support/migrations/migration-fixture';

jest.setTimeout(90_000);

let temporal: RunningTemporal;
let connection: Connection;
let client: MigrationClient;
let worker: Awaited<ReturnType<typeof startFakeWorker>>;

beforeAll(async () => {
  temporal = await startTestTemporal();
  connection = await Connection.connect({ address: temporal.address });
  client = await MigrationClient.connect({ address: temporal.address });
  worker = await startFakeWorker(temporal, fakeWorld());
});
afterAll(async () => {
  await client?.close();
  await connection?.close();
  await worker?.stop();
  await temporal?.stop();
});

it.each([
  [[], 'not a migration: the argument: expected one object'],
  [['chat'], 'got "chat"'],
  [[{ start: { migrationId: 'm', plan: { route: 'chat', stages: [] } } }], 'start.salt: expected a text'],
])(
  'ends with what is wrong where somebody starts it by hand with %j, and frees the route',
  async (args, problem) => {
    const { workflow } = new Client({ connection });
    const started = workflow.execute(MIGRATION_WORKFLOW, {
      ...{ taskQueue: TASK_QUEUE, workflowId: workflowIdOf('chat'), args },
    });
    const failure = await started.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WorkflowFailedError);
    expect((failure as WorkflowFailedError).cause?.message).toContain(problem);
  },
);

it('lets a migration of that route begin then', async () => {
  expect(await startedInCanary(client, 'chat')).not.toBe('');
  await client.command('chat', 'rollback', { by: 'ana', reason: 'done' });
});
