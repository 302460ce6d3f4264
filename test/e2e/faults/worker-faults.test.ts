import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokenBundle } from '../../support/migrations/broken-bundle';
import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan, staying } from '../../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ['holder', 'victim', 'poisoned'] });
});
afterAll(() => harness?.stop());

/** Pending activities of a migration, such as `watchStage STARTED`. */
async function pendingActivities(route: string): Promise<string[]> {
  const { raw } = await harness.handle(route).describe();
  return (raw.pendingActivities ?? []).map(
    ({ activityType, state }) => `${activityType?.name} ${STATES[state ?? 0]}`,
  );
}

/** temporal.api.enums.v1.PendingActivityState */
const STATES = ['UNSPECIFIED', 'SCHEDULED', 'STARTED', 'CANCEL_REQUESTED'];

it('rolls back at once while another migration holds the only slot for watching', async () => {
  const worker = await harness.startSpecialWorker({ queues: ['routing', 'watch'], watchSlots: 1 });
  await harness.beginInCanary(quickPlan('victim', { canary: staying('1s') }));
  await harness.beginInCanary(quickPlan('holder', { canary: staying('2m') }));
  await harness.eventually('the only slot to be taken', async () => {
    const [held, waiting] = [await pendingActivities('holder'), await pendingActivities('victim')];
    return held.includes('watchStage STARTED') && waiting.includes('watchStage SCHEDULED');
  });
  const startMs = performance.now();
  const rollback = await harness.command('victim', 'rollback');
  harness.measured(
    `rollback with every watch slot taken: verified in ${Math.round(performance.now() - startMs)} ms`,
  );
  expect(rollback).toMatchObject({ verified: true, share: 0, gateways: ['gw-1', 'gw-2'], lapsed: [] });
  expect(await pendingActivities('holder')).toEqual(['watchStage STARTED']);
  await harness.command('holder', 'emergencyRollback');
  await worker.end();
});

it('keeps no candidate alive when a poisoned deploy fails every workflow task, and recovers from it', async () => {
  const load = harness.load('poisoned');
  await harness.startSpecialWorker({ queues: ['watch'] });
  const sound = await harness.startSpecialWorker({ queues: ['routing'] });
  await harness.beginInCanary(quickPlan('poisoned', { canary: staying('2m') }));
  await harness.eventually('requests at the candidate', async () => load.counts().candidate > 3);

  const bundle = join(harness.folder, 'broken-bundle.js');
  writeFileSync(bundle, await brokenBundle());
  await sound.end('SIGKILL');
  const broken = await harness.startSpecialWorker({ queues: ['routing'], bundle });
  await harness.client.command('poisoned', 'pause', { by: 'ana' }, { via: 'signal' });
  const shares = () =>
    Promise.all(
      harness.gateways.map(
        async ({ name }) => (await harness.gatewayStatus(name, 'poisoned')).effectiveShare,
      ),
    );
  await harness.eventually('the gateways to fall back', async () =>
    (await shares()).every((share) => share === 0),
  );
  // The window itself goes on: it is denied the standing to grant leases, attempt after attempt.
  const { raw } = await harness.handle('poisoned').describe();
  expect(raw.pendingActivities?.map(({ lastFailure }) => lastFailure?.message)).toEqual([
    expect.stringMatching(/^this attempt may not grant leases: .*workflow task/),
  ]);
  const { candidate } = load.counts();

  await broken.end('SIGKILL');
  await harness.startSpecialWorker({ queues: ['routing'] });
  const status = await harness.until('poisoned', ({ paused }) => paused !== null);
  expect(status).toMatchObject({ phase: 'observing', stage: 'canary', share: 0.3, drift: null });
  await harness.eventually('the leases to be granted again', async () =>
    (await shares()).every((share) => share === 0.3),
  );
  await harness.eventually('requests at the candidate', async () => load.counts().candidate > candidate);
  await load.stop();
  expect(load.counts()).toMatchObject({ failures: 0, failovers: 0 });
  expect(await harness.command('poisoned', 'rollback')).toMatchObject({ verified: true });
});
