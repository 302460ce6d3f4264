import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan, staying } from '../../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start();
});
afterAll(() => harness?.stop());

it('rolls back with the workers that ran before Temporal was restored from an older copy of its database', async () => {
  const database = join(harness.folder, 'temporal.db');
  const copy = join(harness.folder, 'copy.db');
  await harness.startWorker();
  await harness.beginInCanary(quickPlan('chat', { canary: staying('500ms') }));
  await harness.temporal.stop();
  copyFileSync(database, copy);
  await harness.startTemporal();
  const { soak } = await harness.until('chat', () => true);
  // What follows is lost.
  await harness.client.command('chat', 'pause', { by: 'ana' }, { via: 'signal' });
  await harness.until('chat', (status) => status.paused !== null && status.soak.windows > soak.windows + 3);

  await harness.temporal.stop();
  for (const file of [database, `${database}-wal`, `${database}-shm`]) rmSync(file, { force: true });
  copyFileSync(copy, database);
  await harness.startTemporal();
  const startMs = performance.now();
  const { commandId } = await harness.client.command('chat', 'rollback', { by: 'ana' });
  const outcome = await harness.client.follow('chat', commandId, { workerWaitMs: 60_000 });
  harness.measured(
    `rollback after Temporal's database was restored, with the worker of before: verified in ${Math.round(performance.now() - startMs)} ms`,
  );
  expect(outcome).toMatchObject({ verified: true, share: 0, gateways: ['gw-1', 'gw-2'] });
});
