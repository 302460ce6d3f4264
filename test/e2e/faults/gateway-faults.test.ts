import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan, staying } from '../../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ['leased', 'pinned', 'disk', 'latched', 'contested'] });
  await harness.startWorker();
});
afterAll(() => harness?.stop());

const IN_CANARY = { canary: { ...staying(), share: 0.9 }, rolling: { share: 0.95 } };

/** Requests that users sent to the candidate, by the candidate's own account. */
function usersAtCandidate(): number {
  return harness.candidate.requests.filter(({ headers }) => headers['x-cutover-probe'] === undefined).length;
}

it('is verified by the end of its lease when a gateway stands still, which serves nothing stale afterwards', async () => {
  await harness.beginInCanary(quickPlan('leased', IN_CANARY));
  await Promise.all(harness.askMany('gw-2', 'leased', 20));
  expect(usersAtCandidate()).toBeGreaterThan(0);
  const { process: stopped } = harness.gateway('gw-2');
  stopped.signal('SIGSTOP');
  const waiting = harness.askMany('gw-2', 'leased', 20);
  const startMs = performance.now();
  const rollback = await harness.command('leased', 'rollback');
  harness.measured(
    `rollback with one of two gateways stopped, lease 4 s: verified in ${Math.round(performance.now() - startMs)} ms`,
  );
  expect(rollback).toMatchObject({
    ...{ accepted: true, verified: true, share: 0, gateways: ['gw-1'], lapsed: ['gw-2'], missing: [] },
  });

  const before = usersAtCandidate();
  stopped.signal('SIGCONT');
  const answers = await Promise.all([...waiting, ...harness.askMany('gw-2', 'leased', 20)]);
  expect(answers).toEqual(answers.map(() => ({ status: 200, provider: 'old-llm' })));
  expect(usersAtCandidate()).toBe(before);
});

it('stays in rolling back, with the missing gateway named, while one may hold a pinned record', async () => {
  await harness.beginInCanary(quickPlan('pinned', { ...IN_CANARY, complete: staying() }));
  for (const stage of ['canary', 'rolling']) {
    const { inEffect } = await harness.until(
      'pinned',
      (status) => status.phase === 'observing' && status.stage === stage,
    );
    await harness.client.command('pinned', 'promote', {
      ...{ stage, override: true, by: 'ana', reason: 'a test', checkpoint: inEffect },
    });
  }
  await harness.until('pinned', ({ phase, share }) => phase === 'observing' && share === 1);
  const { process: stopped } = harness.gateway('gw-2');
  stopped.signal('SIGSTOP');
  const rollback = harness.cutover('rollback', 'pinned', '--reason', 'a test');
  const until = async () => {
    const status = await harness.until('pinned', ({ pending }) => pending?.missing.join() === 'gw-2');
    expect(status).toMatchObject({ phase: 'rolling back', pending: { confirmed: ['gw-1'], share: 0 } });
  };
  await until();
  // Longer than the lease of 4 s: for a pinned record time confirms nothing.
  await sleep(5_000);
  await until();
  const answer = await Promise.all(harness.askMany('gw-1', 'pinned', 5));
  expect(answer).toEqual(answer.map(() => ({ status: 200, provider: 'old-llm' })));

  stopped.signal('SIGCONT');
  const { code, stdout, stderr } = await rollback;
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('gw-2 not confirmed yet') });
  expect(stdout).toContain('gw-1, gw-2');
  expect((await harness.effects('pinned')).at(-1)).toMatchObject({
    ...{ share: 0, gateways: ['gw-1', 'gw-2'], lapsed: [], missing: [] },
  });
});

it('pushes the record to a gateway that came back with an empty disk, and goes on', async () => {
  await harness.beginInCanary(quickPlan('disk', IN_CANARY));
  const { epoch } = await harness.client.status('disk');
  const gateway = harness.gateway('gw-2');
  await gateway.process.end('SIGKILL');
  rmSync(gateway.stateDirectory, { recursive: true });
  await harness.restartGateway('gw-2');
  expect(await harness.gatewayStatus('gw-2', 'leased')).toMatchObject({ record: null, highestEpoch: 0 });
  await harness.eventually('the lost record to be back', async () => {
    const { record, effectiveShare } = await harness.gatewayStatus('gw-2', 'disk');
    return record?.epoch === epoch && effectiveShare === 0.9;
  });
  await harness.eventually('the lapse to be recorded', async () =>
    (await harness.checkpoints('disk')).some(
      (entry) =>
        entry.kind === 'recorded' &&
        entry.what === 'lapse' &&
        entry.reason.includes('gw-2: it held no record'),
    ),
  );
  expect(await harness.client.status('disk')).toMatchObject({
    ...{ phase: 'observing', stage: 'canary', paused: null, drift: null, epoch },
  });
  await harness.command('disk', 'emergencyRollback');
});

it('takes a kill switch for drift: paused, not overwritten, and resumed only when the latch is cleared', async () => {
  await harness.beginInCanary(quickPlan('latched', IN_CANARY));
  expect(await harness.cutover('kill', 'latched', '--reason', 'odd answers')).toMatchObject({ code: 0 });
  const status = await harness.until('latched', ({ drift, paused }) => drift !== null && paused !== null);
  expect(status).toMatchObject({
    ...{ phase: 'observing', stage: 'canary', paused: { cause: 'drift' } },
    drift: { kind: 'kill latch', kill: { reason: 'odd answers' } },
  });
  await expect(harness.client.command('latched', 'resume', { accept: 'reapply' })).rejects.toThrow(
    'only cutover kill --clear clears it',
  );
  const shares = async () =>
    Promise.all(
      ['gw-1', 'gw-2'].map(async (name) => (await harness.gatewayStatus(name, 'latched')).effectiveShare),
    );
  expect(await shares()).toEqual([0, 0]);

  expect(await harness.cutover('kill', 'latched', '--clear')).toMatchObject({ code: 0 });
  await harness.until('latched', ({ drift }) => drift?.kill == null);
  expect(await shares()).toEqual([0, 0]);
  await expect(harness.client.command('latched', 'resume', {})).rejects.toThrow('accept "reapply"');
  await harness.eventually('a resume to be accepted', async () =>
    harness.client.command('latched', 'resume', { accept: 'reapply' }).then(
      () => true,
      () => false,
    ),
  );
  const resumed = await harness.until(
    'latched',
    ({ phase, epoch }) => phase === 'observing' && epoch > status.epoch,
  );
  expect(resumed).toMatchObject({ paused: null, drift: null, stage: 'canary', share: 0.9 });
  expect(await shares()).toEqual([0.9, 0.9]);
  await harness.command('latched', 'emergencyRollback');
});

it('takes a newer epoch of someone else for drift, and a rollback goes above it', async () => {
  await harness.beginInCanary(quickPlan('contested', IN_CANARY));
  const gateway = harness.gateway('gw-1');
  const held = await harness.gatewayStatus('gw-1', 'contested');
  if (held.record === null) throw new Error('expected a record');
  const theirs = { ...held.record, migrationId: 'someone-else', epoch: held.record.epoch + 5, share: 0.2 };
  const pushed = await harness.admin.push(gateway, 'contested', {
    expected: { incarnation: held.incarnation, epoch: held.record.epoch },
    ...{ asOfMs: held.asOfMs, record: theirs, inFlight: 'drain' },
  });
  expect(pushed.kind).toBe('ok');
  const { drift } = await harness.until('contested', (status) => status.drift !== null);
  expect(drift).toMatchObject({ gateway: 'gw-1', kind: 'newer epoch' });
  expect((await harness.gatewayStatus('gw-1', 'contested')).record).toMatchObject(theirs);

  const rollback = await harness.command('contested', 'rollback');
  expect(rollback).toMatchObject({ verified: true, share: 0, gateways: ['gw-1', 'gw-2'] });
  expect(rollback.epoch).toBeGreaterThan(theirs.epoch);
  expect((await harness.gatewayStatus('gw-1', 'contested')).effectiveShare).toBe(0);
});
