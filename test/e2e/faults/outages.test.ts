import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan, staying } from '../../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ['worker', 'sticky', 'stopped', 'temporal', 'killed'] });
});
afterAll(() => harness?.stop());

const SOAKING = { canary: { soak: '6s', window: '3s' } };

async function untilLegacyAlone(route: string): Promise<void> {
  await harness.eventually(`the leases of ${route} to lapse`, async () => {
    const statuses = await Promise.all(
      harness.gateways.map(({ name }) => harness.gatewayStatus(name, route)),
    );
    return statuses.every(({ effectiveShare }) => effectiveShare === 0);
  });
}

it('goes on when its worker was killed in a window, and no request fails meanwhile', async () => {
  const load = harness.load('worker');
  const first = await harness.startWorker();
  await harness.beginInCanary(quickPlan('worker', SOAKING));
  await harness.eventually('requests at the candidate', async () => load.counts().candidate > 3);
  await first.end('SIGKILL');
  await untilLegacyAlone('worker');
  const { candidate } = load.counts();
  await harness.startWorker();
  await harness.until('worker', ({ phase, stage }) => phase === 'observing' && stage === 'rolling');
  await load.stop();

  expect(load.counts()).toMatchObject({ failures: 0, failovers: 0 });
  expect(load.counts().candidate).toBeGreaterThan(candidate);
  const checkpoints = await harness.checkpoints('worker');
  expect(checkpoints.map(({ seq }) => seq)).toEqual(checkpoints.map((_, index) => index + 1));
  const lapses = checkpoints.filter((entry) => entry.kind === 'recorded' && entry.what === 'lapse');
  expect(lapses.length).toBeGreaterThan(0);
  await harness.command('worker', 'emergencyRollback');
});

it('rolls back by a second worker when the one that had run the migration was killed', async () => {
  await harness.beginInCanary(quickPlan('sticky', { canary: staying('30s') }));
  const [first] = harness.workers.slice(-1);
  await harness.startWorker();
  await first?.end('SIGKILL');
  const startMs = performance.now();
  const rollback = await harness.command('sticky', 'rollback');
  harness.measured(
    `rollback by signal after the worker that had run the migration was killed: verified in ${Math.round(performance.now() - startMs)} ms`,
  );
  expect(rollback).toMatchObject({ accepted: true, verified: true, share: 0, gateways: ['gw-1', 'gw-2'] });
});

it('rolls back by a second worker while the one that had asked for the next task is stopped', async () => {
  const [first] = harness.workers.slice(-1);
  await harness.beginInCanary(quickPlan('stopped', { canary: staying('30s') }));
  const second = await harness.startWorker();
  first?.signal('SIGSTOP');
  const startMs = performance.now();
  const rollback = await harness.command('stopped', 'rollback');
  harness.measured(
    `rollback by signal while one of two workers is stopped: verified in ${Math.round(performance.now() - startMs)} ms`,
  );
  expect(rollback).toMatchObject({ accepted: true, verified: true, share: 0, gateways: ['gw-1', 'gw-2'] });
  first?.signal('SIGCONT');
  await second.end();
});

it('goes on when Temporal was killed, keeps what was acknowledged, and no request fails meanwhile', async () => {
  const load = harness.load('temporal');
  await harness.beginInCanary(quickPlan('killed', { canary: staying() }));
  await harness.beginInCanary(quickPlan('temporal', SOAKING));
  await harness.eventually('requests at the candidate', async () => load.counts().candidate > 3);
  await harness.signalByHand('temporal', 'pause', '{"by":"ana","reason":"acknowledged"}');
  process.kill(harness.temporal.pid, 'SIGKILL');
  await harness.temporal.ended;

  const kill = await harness.cutover('kill', 'killed', '--reason', 'no Temporal');
  expect(kill.code).toBe(0);
  expect((await harness.gatewayStatus('gw-1', 'killed')).effectiveShare).toBe(0);
  await untilLegacyAlone('temporal');

  await harness.startTemporal();
  const status = await harness.until('temporal', ({ paused }) => paused !== null);
  expect(status.paused).toMatchObject({ by: 'ana', reason: 'acknowledged' });
  await harness.client.command('temporal', 'resume', { by: 'ana' });
  await harness.until('temporal', ({ phase, stage }) => phase === 'observing' && stage === 'rolling');
  await load.stop();
  expect(load.counts()).toMatchObject({ failures: 0, failovers: 0 });

  const { drift } = await harness.until('killed', ({ paused }) => paused?.cause === 'drift');
  expect(drift).toMatchObject({ kind: 'kill latch', kill: { reason: 'no Temporal' } });
  for (const route of ['temporal', 'killed']) {
    expect(await harness.command(route, 'emergencyRollback')).toMatchObject({ verified: true, share: 0 });
  }
});
