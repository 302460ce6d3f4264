import { type CheckpointsPage, QUERIES, SEARCH_ATTRIBUTES } from '../../src/contract';
import type { RoutingRecord } from '../../src/core/routing/routing';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';
import { findSecrets } from '../support/secret-search';

jest.setTimeout(150_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ['chat', 'harmed', 'second', 'forgotten'] });
  await harness.startWorker();
});
afterAll(() => harness?.stop());

it('moves a route through all stages, hands it over and closes as completed', async () => {
  const load = harness.load('chat');
  const migrationId = await harness.begin(quickPlan('chat'));
  await harness.until('chat', ({ phase }) => phase === 'handover');
  await load.stop();
  await harness.settle();
  const status = await harness.until('chat', ({ phase }) => phase === 'closed');

  expect(status).toMatchObject({ migrationId, outcome: 'completed', share: 1, badMessages: { count: 0 } });
  expect(load.counts()).toMatchObject({ failures: 0, failovers: 0 });
  expect(load.counts().candidate).toBeGreaterThan(0);

  const checkpoints = await harness.checkpoints('chat');
  expect(checkpoints.map(({ seq }) => seq)).toEqual(checkpoints.map((_, index) => index + 1));
  const intended = checkpoints.flatMap((entry) => (entry.kind === 'intended' ? [entry.seq] : []));
  const closed = checkpoints.flatMap((entry) => ('closes' in entry ? [entry.closes] : []));
  expect(closed.sort((a, b) => a - b)).toEqual(intended);
  const effects = await harness.effects('chat');
  expect(effects.map(({ share }) => share)).toEqual([0, 0.3, 0.6, 1]);
  expect(effects.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
  for (const { gateways, missing } of effects) {
    expect({ gateways, missing }).toEqual({ gateways: ['gw-1', 'gw-2'], missing: [] });
  }
  expect(checkpoints.at(-1)).toMatchObject({ kind: 'recorded', what: 'completed' });
});

it('answers each query, also after the end', async () => {
  const handle = harness.handle('chat');
  const page = await handle.query<CheckpointsPage, [object]>(QUERIES.checkpoints, { after: 2, limit: 3 });
  expect(page.checkpoints.map(({ seq }) => seq)).toEqual([3, 4, 5]);
  expect(page.next).toBe(5);
  expect(await harness.client.rollbackEligibility('chat')).toMatchObject({ eligible: false, targets: [] });
  expect(await harness.client.assessment('chat')).toMatchObject({ outcome: 'pass', blockers: [] });
  const verdicts = await harness.client.verdicts('chat');
  for (const stage of ['canary', 'rolling', 'complete']) {
    const last = verdicts.findLast((verdict) => verdict.stage === stage);
    expect(last).toMatchObject({ outcome: 'pass', harm: null });
    expect(last?.requests.candidate).toBeGreaterThanOrEqual(3);
  }
});

it('shows itself in the Temporal UI', async () => {
  const handle = harness.handle('chat');
  const metadata = await handle.query<Metadata>('__temporal_workflow_metadata');
  expect(metadata.currentDetails).toContain('completed');
  const described = [metadata.definition.signalDefinitions, metadata.definition.queryDefinitions].flat();
  expect(
    described.filter(({ name }) => !name.startsWith('__')).map(({ description }) => description),
  ).not.toContain(undefined);
  const { searchAttributes } = await handle.describe();
  expect(Object.keys(searchAttributes)).toEqual(expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)));
  expect(searchAttributes).toMatchObject({
    CutoverRoute: ['chat'],
    CutoverStage: ['completed'],
    CutoverShare: [1],
    CutoverPaused: [false],
  });
  const events = await harness.client.historyEventCount('chat');
  expect(events).toBeGreaterThan(20);
  expect(events).toBeLessThan(400);
  harness.measured(`a quick migration from start to completed: ${events} history events`);
});

interface Definition {
  readonly name: string;
  readonly description?: string;
}

interface Metadata {
  readonly currentDetails: string;
  readonly definition: {
    readonly signalDefinitions: readonly Definition[];
    readonly queryDefinitions: readonly Definition[];
  };
}

it('rolls back by itself when the candidate harms, and no caller notices', async () => {
  await harness.unsettle();
  const load = harness.load('harmed');
  await harness.beginInCanary(quickPlan('harmed', { canary: staying('30s') }));
  harness.candidate.behaviour.failureRatio = 1;
  const status = await harness.until('harmed', ({ phase }) => phase === 'closed');
  await load.stop();
  harness.candidate.behaviour.failureRatio = 0;

  expect(status).toMatchObject({ outcome: 'rolled back', share: 0 });
  expect(load.counts().failures).toBe(0);
  const checkpoints = await harness.checkpoints('harmed');
  expect(checkpoints.some((entry) => entry.kind === 'recorded' && entry.what === 'harm')).toBe(true);
  expect((await harness.effects('harmed')).at(-1)).toMatchObject({
    share: 0,
    gateways: ['gw-1', 'gw-2'],
    missing: [],
  });
});

it('refuses a second start of a route by the name of the first, and goes on with its epochs afterwards', async () => {
  const first = await harness.beginInCanary(quickPlan('second', { canary: staying() }));
  await expect(harness.begin(quickPlan('second'))).rejects.toThrow(`but ${first} is running`);
  const rollback = await harness.command('second', 'emergencyRollback');
  expect(rollback).toMatchObject({ verified: true, share: 0, gateways: ['gw-1', 'gw-2'] });
  await harness.until('second', ({ phase }) => phase === 'closed');

  const next = await harness.beginInCanary(quickPlan('second', { canary: staying() }));
  expect(next).not.toBe(first);
  const effects = await harness.effects('second');
  expect(effects.map(({ epoch, share }) => ({ epoch, share }))).toEqual([
    { epoch: 4, share: 0 },
    { epoch: 5, share: 0.3 },
  ]);
  expect((await harness.checkpoints('second'))[0]).toMatchObject({ seq: 1, cause: 'baseline', epoch: 4 });
  await harness.command('second', 'emergencyRollback');
});

it('applies share 0 first over a share that nobody watches, and says so', async () => {
  for (const gateway of harness.gateways) {
    const { incarnation, asOfMs } = await harness.gatewayStatus(gateway.name, 'forgotten');
    const pushed = await harness.admin.push(gateway, 'forgotten', {
      expected: { incarnation, epoch: 0 },
      asOfMs,
      record: FORGOTTEN,
      inFlight: 'drain',
    });
    expect(pushed.kind).toBe('ok');
  }
  await harness.beginInCanary(quickPlan('forgotten', { canary: staying() }));
  const checkpoints = await harness.checkpoints('forgotten');
  expect(checkpoints[0]).toMatchObject({ what: 'forgotten share' });
  expect(checkpoints[0]?.kind === 'recorded' ? checkpoints[0].reason : '').toContain(
    'served 50% of the candidate under epoch 7 of an-older-migration',
  );
  const effects = await harness.effects('forgotten');
  expect(effects[0]).toMatchObject({ share: 0, epoch: 8, gateways: ['gw-1', 'gw-2'] });
  expect(effects[1]).toMatchObject({ share: 0.3, epoch: 9 });
  await harness.command('forgotten', 'emergencyRollback');
});

const FORGOTTEN: RoutingRecord = {
  migrationId: 'an-older-migration',
  stage: 'rolling',
  epoch: 7,
  share: 0.5,
  salt: 'older',
  stickyKey: 'none',
  leaseMs: 600_000,
  pinned: false,
  newConversationsOnly: false,
  shadow: 0,
};

it('leaves no key of a provider and no admin token in histories, logs or records', async () => {
  const { migrationId } = await harness.client.describe('chat');
  // At once: a worker that takes a second task of a run that it is replaying drops one, which then waits without end.
  const answers = await Promise.all(Object.values(QUERIES).map((name) => harness.handle('chat').query(name)));
  expect(findSecrets(harness, migrationId, { 'the answers to queries': JSON.stringify(answers) })).toEqual(
    [],
  );
});
