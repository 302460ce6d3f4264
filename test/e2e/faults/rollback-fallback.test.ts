import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokenBundle } from '../../support/migrations/broken-bundle';
import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan, staying } from '../../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ gateways: 1, routes: ['unsent', 'slow', 'poisoned', 'spared'] });
});
afterAll(() => harness?.stop());

const killOf = async (route: string) => (await harness.gatewayStatus('gw-1', route)).kill;

it('sets the kill switch where a rollback cannot be sent, and says so', async () => {
  const args = ['rollback', 'unsent', '--address', '127.0.0.1:9', '--reason', 'smoke'];
  const { code, stderr } = await harness.cutover(...args);
  expect(stderr).toContain('kill switch set at gw-1');
  expect(code).toBe(4);
  expect(await killOf('unsent')).toMatchObject({ reason: 'smoke' });
});

it('sets it where no checkpoint bears the rollback in time, and goes on until the rollback is verified', async () => {
  const worker = await harness.startWorker();
  await harness.beginInCanary(quickPlan('slow', { canary: staying() }));
  await harness.beginInCanary(quickPlan('spared', { canary: staying() }));
  await worker.end('SIGKILL');
  const rollback = harness.cutover('rollback', 'slow', '--kill-after', '1s');
  await harness.eventually('the kill switch', async () => (await killOf('slow')) !== null);
  const next = await harness.startWorker();
  const { code, stdout, stderr } = await rollback;
  expect(stderr).toContain('no checkpoint bears this rollback after 1 s: kill switch set at gw-1');
  expect(stderr).toContain('stay set until `cutover kill slow --clear`');
  expect(stdout).toContain('verified: true');
  expect(code).toBe(0);
  await next.end('SIGKILL');
});

it('sets it where the only worker fails every task of the migration, and says what is wrong', async () => {
  const sound = await harness.startWorker();
  await harness.beginInCanary(quickPlan('poisoned', { canary: staying() }));
  await sound.end('SIGKILL');
  const bundle = join(harness.folder, 'broken-bundle.js');
  writeFileSync(bundle, await brokenBundle());
  const broken = await harness.startSpecialWorker({ queues: ['routing'], bundle });
  const { code, stderr } = await harness.cutover('rollback', 'poisoned', '--kill-after', '1s');
  expect(stderr).toContain('kill switch set at gw-1');
  expect(stderr).toContain('the rollback is recorded in Temporal');
  expect(code).toBe(4);
  expect(await killOf('poisoned')).not.toBeNull();
  await broken.end('SIGKILL');
});

it('leaves it alone with --no-kill and with --to=previous', async () => {
  const sent = ['--no-kill', '--to=previous'].map((flag) =>
    harness.cutover('rollback', 'spared', '--kill-after', '1s', flag),
  );
  for (const { code, stderr } of await Promise.all(sent)) {
    expect(stderr).toContain('`cutover kill spared` takes the candidate off now');
    expect(code).toBe(4);
  }
  expect(await killOf('spared')).toBeNull();
});
