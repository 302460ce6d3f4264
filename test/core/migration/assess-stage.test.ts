import { openApproval, stageAt } from '../../../src/core/migration/migration-state';
import { digestOf } from '../../../src/core/record/digest';
import { DAY_MS, MINUTE_MS } from '../../../src/core/text/duration';
import { givenMigration, KILLED } from '../../support/migrations/migration-world';

const CONTRACT = { item: 'contract', text: 'nobody has signed the contract', asks: null };

describe('an assessment', () => {
  it('is a verdict without requests, and counted as a window', () => {
    const world = givenMigration().reaches('assess').elapse(MINUTE_MS);
    world.assesses({ outcome: 'inconclusive', sentence: 'no usage' });
    const verdict = {
      stage: 'assess',
      epoch: world.state.inEffect?.record.epoch,
      outcome: 'inconclusive',
      harm: null,
      pause: null,
      sentence: 'no usage',
      burnIn: false,
      metrics: [],
      observedShare: null,
      requests: { legacy: 0, candidate: 0 },
      baseline: null,
    };
    expect(world.state.stage).toMatchObject({ verdict, windows: 1 });
    expect(world.state.verdicts).toEqual([{ ...verdict, atMs: world.nowMs, window: 1 }]);
    world.elapse(DAY_MS).assesses();
    expect(world.state.verdicts.map(({ outcome, window }) => `${window} ${outcome}`)).toEqual([
      '1 inconclusive',
      '2 pass',
    ]);
  });

  it('is one of twenty that are kept', () => {
    const world = givenMigration().reaches('assess');
    for (let count = 1; count <= 25; count += 1) world.assesses({ outcome: 'inconclusive' });
    expect(world.state.verdicts.map(({ window }) => window)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 6),
    );
  });

  it('that comes late, when the stage is left or about to be, changes nothing', () => {
    const canary = givenMigration().reaches('canary');
    const observing = canary.state;
    expect(canary.assesses({ outcome: 'fail' }).state).toBe(observing);
    const promoting = givenMigration().reaches('assess').assesses();
    const before = promoting.state;
    expect(before.promotion).not.toBeNull();
    expect(promoting.assesses({ outcome: 'fail' }).state).toBe(before);
  });

  it('is not taken over a kill latch', () => {
    const world = givenMigration().reads().applies({ drift: KILLED });
    const before = world.state;
    expect(world.assesses().state).toBe(before);
  });

  it('waits twice as long from one inconclusive one to the next, and says so', () => {
    const world = givenMigration()
      .reaches('assess')
      .assesses({ outcome: 'inconclusive', sentence: 'no usage' });
    expect(world.state.retry).toEqual({ atMs: world.nowMs + 2 * MINUTE_MS, reason: 'no usage' });
    expect(world.elapse(2 * MINUTE_MS - 1).decision.type).toBe('wait');
    expect(world.elapse(1).decision.type).toBe('assess');
    expect(world.assesses().state.retry).toBeNull();
  });

  it('asks in the words of a question that names nobody', () => {
    const world = givenMigration()
      .reaches('assess')
      .assesses({ approvals: [CONTRACT] });
    expect(world.state.approval?.asks).toEqual(['nobody has signed the contract']);
  });

  it('is what an approval of it is about, and a verdict what one of a later stage is about', () => {
    const world = givenMigration()
      .reaches('assess')
      .assesses({ approvals: [CONTRACT] });
    expect(world.state.approval?.digest).toBe(digestOf(world.state.assessment));
    world.says('approve', { checkpoint: world.state.approval?.checkpoint, by: 'ana' });
    world
      .checksHealth()
      .applies()
      .watches({ observedMs: DAY_MS, verdict: { approvals: ['low power'] } });
    expect(world.state.approval?.digest).toBe(digestOf(world.state.stage.verdict));
  });

  it('that passes no longer takes the question back that it asked', () => {
    const world = givenMigration()
      .reaches('assess')
      .assesses({ approvals: [CONTRACT] });
    const { checkpoint } = world.state.approval ?? {};
    world.says('reevaluate').assesses({ approvals: [CONTRACT] });
    expect(world.state.approval?.checkpoint).toBeGreaterThan(checkpoint ?? 0);
    world.state = { ...world.state, stage: { ...world.state.stage, reevaluating: true } };
    world.assesses({ outcome: 'inconclusive', sentence: 'no usage' });
    expect(world.state.approval).toBeNull();
    expect(world.recorded.slice(-2)).toEqual(['approval withdrawn', 'assessed']);
  });

  it('holds its stage where nobody approves it in time, whatever the plan says of later ones', () => {
    const stages = ['assess', 'canary', 'complete'].map((name) => ({
      name,
      approval: { expires: '6h', onExpiry: 'roll back' },
    }));
    const world = givenMigration({ stages })
      .reaches('assess')
      .assesses()
      .timePasses(DAY_MS / 4);
    expect(world.state).toMatchObject({ phase: 'observing', outcome: null });
    expect(world.state.stage.held?.reason).toContain('nobody approved checkpoint');
  });

  it('that finds no salt even says so only where all else has passed', () => {
    const world = givenMigration().reaches('assess');
    for (let salt = 0; salt < 3; salt += 1) world.assesses({ saltBalanced: false }, `salt-${salt}`).applies();
    world.assesses({ saltBalanced: false, outcome: 'inconclusive', sentence: 'no usage' });
    expect(world.state.stage.verdict).toMatchObject({ outcome: 'inconclusive', sentence: 'no usage' });
    world.assesses({ saltBalanced: false });
    expect(world.state.stage.verdict?.sentence).toBe(
      "legacy's traffic is split unevenly by 4 salts in a row",
    );
  });
});

describe('a start', () => {
  it('gives its reason, or says that it is one', () => {
    expect(givenMigration().reads().intended).toMatchObject({
      by: 'ana',
      reason: 'cheaper',
      commandId: null,
    });
    const world = givenMigration();
    world.state = { ...world.state, reason: '' };
    expect(world.reads().intended.reason).toBe('start of the migration');
  });

  it('names whose share it found, as far as that is known', () => {
    const forgotten = (migrationId: string) => [{ gateway: 'gw-b', share: 0.07, epoch: 12, migrationId }];
    const reasonOf = (migrationId: string) =>
      givenMigration().reads({ forgotten: forgotten(migrationId) }).checkpoints[0]?.reason;
    expect(reasonOf('m-0')).toContain('under epoch 12 of m-0 and');
    expect(reasonOf('')).toContain('under epoch 12 of no migration and');
  });

  it('keeps why gateways did not answer, and asks them again in ten seconds', () => {
    const unreachableBecause = { 'gw-a': 'connect timeout' };
    const world = givenMigration().reads({ unreachable: ['gw-a'], unreachableBecause });
    expect(world.state.unreachableBecause).toEqual(unreachableBecause);
    expect(world.state.retry?.atMs).toBe(world.nowMs + 10_000);
    expect(world.elapse(9_999).decision.type).toBe('wait');
    expect(world.elapse(1).decision.type).toBe('read routing');
  });
});

it('a change of routing goes on under its checkpoint alone as long as nobody is forgotten', () => {
  const world = givenMigration().reads();
  expect(world.decision.key).toBe(`apply:${world.intended.seq}`);
});

describe('work that has failed for good', () => {
  const failing = (world: ReturnType<typeof givenMigration>) => {
    const { type, key } = world.decision;
    world.event({ type: 'activity failed', what: type, message: 'bug', key });
    return (world.state.retry?.atMs ?? 0) - world.nowMs;
  };

  it('is tried again soon where the candidate may be served or the routing changes, else later', () => {
    expect(failing(givenMigration())).toBe(10_000);
    expect(failing(givenMigration().reads())).toBe(2_000);
    expect(failing(givenMigration().reaches('assess'))).toBe(10_000);
    expect(failing(givenMigration().reaches('canary'))).toBe(2_000);
  });

  it('of an older worker is known by its kind alone', () => {
    const world = givenMigration().reaches('canary');
    const before = world.state;
    world.event({ type: 'activity failed', what: 'assess', message: 'bug' });
    expect(world.state).toBe(before);
    world.event({ type: 'activity failed', what: 'watch', message: 'bug' });
    expect(world.state.retry?.reason).toBe('watch: bug');
  });

  it('leaves nothing behind once its time has come', () => {
    const world = givenMigration().reaches('canary');
    failing(world);
    expect(world.timePasses(1_999).state.retry).not.toBeNull();
    expect(world.timePasses(1).state.retry).toBeNull();
  });
});

describe('a migration before anything was done', () => {
  it('knows nothing of what happens later', () => {
    const { state } = givenMigration();
    expect(state).toMatchObject({
      ...{ phase: 'reading', outcome: null, stageIndex: 0, epoch: 0, roster: [], unreachable: [] },
      ...{ inEffect: null, pending: null, promotion: null, paused: null, drift: null, lapses: [] },
      ...{ baseline: null, assessment: null, verdicts: [], checkpoints: [], seen: [], refusals: [] },
      ...{ badMessages: { count: 0, last: [] }, settled: [], approval: null, effects: [], retry: null },
      mayHold: { share: 1, pinned: true },
    });
  });

  it('is in the first of its stages, and in none that its plan does not have', () => {
    const { plan } = givenMigration().state;
    expect(stageAt(plan, 0).name).toBe('assess');
    expect(() => stageAt(plan, 4)).toThrow('expected a stage index below 4, got 4');
  });

  it('asks for an approval only as long as nobody has given it', () => {
    expect(openApproval(givenMigration().state)).toBeNull();
    const world = givenMigration()
      .reaches('assess')
      .assesses({ approvals: [CONTRACT] });
    expect(openApproval(world.state)).toBe(world.state.approval);
    world.says('pause').says('approve', { checkpoint: world.state.approval?.checkpoint, by: 'ana' });
    expect(world.state.approval?.granted).toMatchObject({ by: 'ana' });
    expect(openApproval(world.state)).toBeNull();
  });
});
