import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan } from '../support/migrations/quick-plan';

jest.setTimeout(120_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ gateways: 1, route: { settled: 'candidate' } });
});
afterAll(() => harness?.stop());

it('does not start a migration of a route that is settled on the candidate, and says what to do', async () => {
  const { code, stderr } = await harness.cutover('start', 'chat');
  expect(stderr).toContain('chat is settled on the candidate at gw-1');
  expect(stderr).toContain('cutover start chat --move-back');
  expect(code).toBe(3);
  expect(await harness.client.history('chat')).toEqual([]);
});

it('refuses in the workflow what no command looked at before, and leaves the traffic where it is', async () => {
  await harness.startWorker();
  await harness.begin(quickPlan('chat'));
  const { outcome } = await harness.until('chat', ({ phase }) => phase === 'closed');
  expect(outcome).toBe('rejected');
  expect((await harness.checkpoints('chat')).at(-1)).toMatchObject({
    what: 'rejected',
    reason: expect.stringContaining('settled on the candidate at gw-1'),
  });
  expect(await harness.gatewayStatus('gw-1', 'chat')).toMatchObject({ record: null, effectiveShare: 1 });
});

it('moves nothing where a start is taken back before it has read every gateway', async () => {
  await Promise.all(harness.workers.map((worker) => worker.end('SIGKILL')));
  await harness.begin(quickPlan('chat'));
  // It is there when the first task begins.
  const { commandId } = await harness.client.command('chat', 'rollback', { by: 'ana' });
  await harness.startWorker();
  const outcome = await harness.client.follow('chat', commandId);
  expect(outcome).toMatchObject({ verified: false, message: expect.stringContaining('nothing was moved') });
  const { outcome: end } = await harness.until('chat', ({ phase }) => phase === 'closed');
  expect(end).toBe('rejected');
  expect(await harness.gatewayStatus('gw-1', 'chat')).toMatchObject({ record: null, effectiveShare: 1 });
});

it('moves the traffic back where that is asked for in so many words', async () => {
  expect(await harness.cutover('start', 'chat', '--move-back', '--yes')).toMatchObject({
    code: 0,
    stderr: '',
  });
  await harness.until('chat', ({ phase }) => phase === 'observing');
  expect(await harness.gatewayStatus('gw-1', 'chat')).toMatchObject({ effectiveShare: 0 });
  await harness.command('chat', 'emergencyRollback');
});
