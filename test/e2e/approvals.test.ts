import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ['approved', 'frozen'] });
  await harness.startWorker();
});
afterAll(() => harness?.stop());

it('waits for a named person, refuses what was not asked, and goes on when it is approved', async () => {
  const plan = quickPlan('approved', { assess: { approval: { expires: '1h' } }, canary: staying() });
  await harness.begin(plan);
  const { approval } = await harness.until('approved', (status) => status.approval !== null);
  if (approval === null) throw new Error('expected an approval to be asked for');
  const { checkpoint, digest } = approval;
  expect((await harness.cutover('status', 'approved')).stdout).toContain(
    `cutover approve approved --checkpoint ${checkpoint}`,
  );
  const wrong = await harness.cutover(
    'approve',
    'approved',
    '--checkpoint',
    `${checkpoint + 1}`,
    '--by',
    'ana',
  );
  expect(wrong).toMatchObject({ code: 3, stderr: expect.stringContaining('look again at what is asked') });
  const stale = await harness.cutover(
    ...['approve', 'approved', '--checkpoint', `${checkpoint}`, '--digest', 'ab', '--by', 'ana'],
  );
  expect(stale.code).toBe(3);
  // As a person does it in the Temporal UI.
  await harness.handle('approved').signal('approve', { checkpoint, digest, by: 'ana', reason: 'looked' });
  await harness.until('approved', ({ stage, phase }) => stage === 'canary' && phase === 'observing');
  expect(await harness.checkpoints('approved')).toContainEqual(
    expect.objectContaining({ what: 'approved', by: 'ana', reason: 'looked' }),
  );
  await harness.command('approved', 'emergencyRollback');
});

it('raises nothing outside of the rollout hours, says when it can, and rolls back at any hour', async () => {
  const day = (offset: number) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);
  const freezes = [{ from: day(-1), to: day(1), reason: 'quarter end' }];
  await harness.begin(quickPlan('frozen', {}, { rollout: { timeZone: 'UTC', freezes } }));
  const status = await harness.until('frozen', ({ nextPossibleAtMs }) => nextPossibleAtMs !== null);
  expect(status.nextPossibleAtMs).toBe(Date.parse(`${day(2)}T00:00:00Z`));
  expect(status.doing).toContain('frozen');
  expect(status.share).toBe(0);
  // An operator who overrides knows better than the calendar.
  await harness.client.command('frozen', 'promote', {
    ...{ stage: 'assess', override: true, by: 'ana', reason: 'incident', checkpoint: status.inEffect },
  });
  await harness.until('frozen', ({ stage, phase }) => stage === 'canary' && phase === 'observing');
  await harness.command('frozen', 'rollback');
  await harness.until('frozen', ({ outcome }) => outcome === 'rolled back');
});
