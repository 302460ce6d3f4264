import { Client, Connection } from '@temporalio/client';
import { MigrationClient } from '../../src/client';
import { workflowIdOf } from '../../src/contract';
import { configurationSchema } from '../../src/core/configuration/configuration-schema';
import { parseDocument } from '../../src/core/configuration/schema-parts';
import type { RunningTemporal } from '../../src/temporal-server/dev-server';
import { type FakeWorld, fakeWorld } from '../support/migrations/fake-activities';
import {
  configurationDocument,
  startFakeWorker,
  startTestTemporal,
  untilStatus,
} from '../support/migrations/migration-fixture';
import { aPlan } from '../support/migrations/migration-world';

jest.setTimeout(90_000);

const ROUTES = ['hanging', 'unwatched', 'unanswered'];
const CONFIGURATION = parseDocument(configurationSchema, configurationDocument(ROUTES), 'the configuration');
const SHORT = { window: '1s', soak: '1s', minimumSample: 1 };

let temporal: RunningTemporal;
let client: MigrationClient;
let world: FakeWorld;
let worker: Awaited<ReturnType<typeof startFakeWorker>>;

beforeAll(async () => {
  temporal = await startTestTemporal();
  client = await MigrationClient.connect({ address: temporal.address });
  world = fakeWorld();
  worker = await startFakeWorker(temporal, world);
});
afterAll(async () => {
  await client?.close();
  await worker?.stop();
  await temporal?.stop();
});

async function begin(route: string, stages: readonly object[]): Promise<void> {
  const plan = aPlan({ route, stages: [...stages, { name: 'complete' }] });
  await client.start({ plan, configuration: CONFIGURATION, by: 'test', reason: 'a test' });
}

it('holds an assessment whose activity never ends, and takes orders then', async () => {
  world.hanging = ['assess'];
  await begin('hanging', [
    { name: 'assess', deadline: { hold: '2s' } },
    { name: 'canary', ...SHORT },
  ]);
  await untilStatus(client, 'hanging', ({ held }) => held !== null);
  const status = await client.status('hanging');
  expect(status).toMatchObject({ phase: 'observing', stage: 'assess', share: 0 });
  expect(status.held?.reason).toContain('assess has not passed within 2 s');
  world.hanging = [];
  await client.command('hanging', 'reevaluate', { by: 'ana' });
  await untilStatus(client, 'hanging', ({ stage, phase }) => stage === 'canary' && phase === 'observing');
  await client.command('hanging', 'rollback', { by: 'ana', reason: 'enough' });
});

it('rolls back at the deadline of a stage whose window never ends, on one timer for each deadline', async () => {
  world.hanging = ['watchStage'];
  await begin('unwatched', [
    { name: 'assess' },
    { name: 'canary', ...SHORT, deadline: { hold: '2s', rollback: '3s' } },
  ]);
  await untilStatus(client, 'unwatched', ({ phase }) => phase === 'closed');
  expect(await client.status('unwatched')).toMatchObject({ outcome: 'rolled back', share: 0 });
  const connection = await Connection.connect({ address: temporal.address });
  const { events } = await new Client({ connection }).workflow
    .getHandle(workflowIdOf('unwatched'))
    .fetchHistory();
  await connection.close();
  const timers = (events ?? []).filter(({ timerStartedEventAttributes: timer }) => timer != null);
  // The hold of assess, then canary's hold and its rollback.
  expect(timers.length).toBeLessThanOrEqual(3);
});

it('lets an approval expire while a window never ends', async () => {
  world.hanging = [];
  world.verdict = 'pass';
  await begin('unanswered', [
    { name: 'assess' },
    {
      ...{ name: 'canary', ...SHORT },
      approval: { expires: '3s', onExpiry: 'roll back' },
    },
  ]);
  await untilStatus(client, 'unanswered', ({ approval }) => approval !== null);
  world.hanging = ['watchStage'];
  await untilStatus(client, 'unanswered', ({ phase }) => phase === 'closed');
  expect(await client.status('unanswered')).toMatchObject({ outcome: 'rolled back' });
});
