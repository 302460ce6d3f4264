import { judgedStage } from '../../../../src/core/gates/judged-stage';
import { previewAmendment } from '../../../../src/core/migration/amendment/amendment';
import { carriedOn, stateOfRun } from '../../../../src/core/migration/carried-state';
import { readCommand } from '../../../../src/core/migration/command';
import { updateRefusal } from '../../../../src/core/migration/command-handling';
import { REVISION } from '../../../../src/core/migration/migration-state';
import { digestOf } from '../../../../src/core/record/digest';
import { DAY_MS, HOUR_MS } from '../../../../src/core/text/duration';
import { aPlan, givenMigration, type MigrationWorld } from '../../../support/migrations/migration-world';

type StageSaid = Readonly<Record<string, unknown>>;

/** What a plan says that has something else about its stages. */
function saying(said: Readonly<Record<string, StageSaid>>) {
  return { stages: ['assess', 'canary', 'rolling', 'complete'].map((name) => ({ name, ...said[name] })) };
}

/** The default plan with something else about its stages. */
function withStages(said: Readonly<Record<string, StageSaid>>, rest: Record<string, unknown> = {}) {
  return aPlan({ ...saying(said), ...rest });
}

/** With one more stage between canary and rolling. */
const LONGER = aPlan({
  stages: [
    { name: 'assess' },
    { name: 'canary' },
    { name: 'quarter', share: 0.25 },
    { name: 'rolling' },
    { name: 'complete' },
  ],
});

function amends(world: MigrationWorld, plan: object, said: object = {}): MigrationWorld {
  return world.says('amend', { plan, by: 'ana', reason: 'half the traffic', ...said });
}

function refusalOf(world: MigrationWorld, plan: object, said: object = {}): string | undefined {
  const before = world.state;
  const command = readCommand('amend', { plan, by: 'ana', reason: 'why', ...said });
  const atTheDoor = 'problem' in command ? command.problem : updateRefusal(world.state, command);
  amends(world, plan, said);
  expect(world.state.plan).toBe(before.plan);
  expect(world.checkpoints).toEqual(before.checkpoints);
  if (!('problem' in command)) expect(world.lastRefusal).toBe(atTheDoor);
  return atTheDoor ?? undefined;
}

describe('an amendment', () => {
  it('is recorded with who, why and what changes, and the stage is judged by it from its next window on', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ observedMs: 13 * HOUR_MS });
    const { key } = world.decision;
    amends(world, withStages({ canary: { soak: '12h', minimumSample: 200 } }));
    expect(world.checkpoints.at(-1)).toMatchObject({
      what: 'amended',
      stage: 'canary',
      by: 'ana',
      reason:
        'half the traffic: canary.soak: 24 h -> 12 h; canary.window: 30 min -> 15 min; canary.minimumSample: 400 -> 200',
    });
    expect(judgedStage(world.state)).toMatchObject({ soakMs: 12 * HOUR_MS, minimumSample: 200 });
    // The window under way was asked for by the former plan.
    expect(world.decision).toMatchObject({ type: 'watch' });
    expect(world.decision.key).not.toBe(key);
    expect(world.state.stage.observedMs).toBe(13 * HOUR_MS);
  });

  it('raises nothing before a window under the new plan has ended, though the soak is over by it', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ observedMs: 13 * HOUR_MS });
    amends(world, withStages({ canary: { soak: '12h' } }));
    expect(world.elapse(1).event({ type: 'time passed' }).decision.type).toBe('watch');
    expect(world.state.promotion).toBeNull();
    expect(world.watches({ observedMs: 1 }).decision.type).toBe('check health');
  });

  it('takes back a promotion and an approval that were under way, and asks again', () => {
    const plan = { canary: { approval: true } };
    const world = givenMigration(saying(plan)).reaches('canary').watches({ observedMs: DAY_MS });
    expect(world.recorded.at(-1)).toBe('approval asked');
    amends(world, withStages({ ...plan, rolling: { soak: '3d' } }));
    expect(world.recorded.slice(-2)).toEqual(['amended', 'approval withdrawn']);
    expect(world.watches().recorded.at(-1)).toBe('approval asked');
    const promoting = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
    expect(promoting.decision.type).toBe('check health');
    amends(promoting, withStages({ canary: { soak: '36h' } }));
    expect(promoting.watches({ observedMs: 11 * HOUR_MS }).decision.type).toBe('watch');
    expect(promoting.watches({ observedMs: HOUR_MS }).decision.type).toBe('check health');
  });

  it('of who is notified leaves what has passed as it is', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
    amends(world, aPlan({ notify: [{ name: 'ops' }] }));
    expect(world.decision.type).toBe('check health');
    expect(world.state.plan.notify).toEqual([{ name: 'ops' }]);
  });

  it('of a deadline to a later time ends a hold, and of rollout hours asks them again', () => {
    const world = givenMigration()
      .reaches('canary')
      .elapse(4 * DAY_MS)
      .watches({ verdict: { outcome: 'inconclusive' } });
    expect(world.state.stage.held).not.toBeNull();
    amends(world, withStages({ canary: { deadline: { hold: '6d' } } }));
    expect(world.state.stage.held).toBeNull();
    world.watches({ observedMs: DAY_MS });
    expect(world.decision.type).toBe('check health');
    world.event({
      type: 'health checked',
      healthy: true,
      sentence: '',
      notBefore: { atMs: world.nowMs + DAY_MS, why: 'outside the rollout hours' },
    });
    expect(world.state.stage.notBefore).not.toBeNull();
    const rollout = { timeZone: 'UTC', hours: [], freezes: [] };
    amends(world, withStages({ canary: { deadline: { hold: '6d' } } }, { rollout }));
    expect(world.state.stage.notBefore).toBeNull();
  });

  it('adds a stage ahead, which is entered next; entries and their alpha are counted on', () => {
    const world = givenMigration().reaches('canary');
    const spent = judgedStage(world.state).alpha;
    amends(world, LONGER);
    expect(world.checkpoints.at(-1)).toMatchObject({
      reason: 'half the traffic: stage quarter: none -> 25%, soak 24 h',
    });
    expect(judgedStage(world.state).alpha).toEqual(spent);
    world.reaches('quarter');
    expect(world.share).toBe(0.25);
    expect(world.state.stage.entry).toBe(2);
    expect(judgedStage(world.state).alpha.rollback).toBeLessThan(spent.rollback);
    expect(world.reaches('rolling').share).toBe(0.5);
  });

  it('keeps effects with their stages when one is added before them', () => {
    const effects = [{ name: 'flag', set: { value: 'on' } }];
    const world = givenMigration(saying({ rolling: { effects } }))
      .reaches('rolling')
      .says('rollback', { to: 'previous', by: 'ana' })
      .applies();
    const [flag] = world.state.effects ?? [];
    expect(flag).toMatchObject({ purpose: 'apply', stageIndex: 2 });
    amends(
      world,
      aPlan({
        stages: [
          { name: 'assess' },
          { name: 'canary' },
          { name: 'quarter', share: 0.25 },
          { name: 'rolling', effects },
          { name: 'complete' },
        ],
      }),
    );
    expect(world.recorded.at(-1)).toBe('amended');
    expect(world.state.effects?.[0]).toMatchObject({ stageIndex: 3 });
  });

  it('is carried to the next run', () => {
    const world = givenMigration().reaches('canary');
    const { plan } = world.state;
    amends(world, LONGER);
    const start = { ...world.state, plan };
    const state = stateOfRun({ start, carried: carriedOn(world.state, 0) }, world.nowMs, REVISION);
    expect(state.plan).toEqual(LONGER);
    expect(state.amendments).toBe(1);
  });

  it('that is repeated under its id changes nothing more', () => {
    const world = givenMigration().reaches('canary');
    amends(world, LONGER, { commandId: 'c-1' });
    amends(world, LONGER, { commandId: 'c-1' });
    expect(world.recorded.filter((what) => what === 'amended')).toHaveLength(1);
    expect(JSON.stringify(world.state.seen).length).toBeLessThan(1_000);
  });
});

describe('an amendment is refused', () => {
  const AT_CANARY = () => givenMigration().reaches('canary');
  const AT_ROLLING = () => givenMigration().reaches('rolling');
  it.each([
    [
      'of a stage judged already',
      AT_ROLLING,
      { canary: { soak: '12h' } },
      'canary.soak: the stage was judged already',
    ],
    [
      'of margins of the current stage',
      AT_CANARY,
      { canary: { gates: { errors: { promotionExcess: 0.05 } } } },
      'canary.gates.errors.promotionExcess: the stage was entered, and what it has seen was judged by it',
    ],
    ['of a share', AT_CANARY, { canary: { share: 0.2 } }, 'canary.share: cannot be amended'],
    ['of a share ahead', AT_CANARY, { rolling: { share: 0.6 } }, 'rolling.share: cannot be amended'],
    [
      'of an approval that was asked for',
      AT_CANARY,
      { rolling: { approval: true } },
      'rolling.approval: cannot be amended',
    ],
    [
      'of a deadline that may be over',
      AT_CANARY,
      { canary: { deadline: { rollback: '4d' } } },
      'canary.deadline.rollback: the deadline of the current stage can only be moved later',
    ],
  ] as const)('%s', (_name, given, said, reason) => {
    expect(refusalOf(given(), withStages(said))).toContain(reason);
  });

  it('of alpha, of a stage left out, of one added behind, of one in place of the last', () => {
    const world = AT_ROLLING();
    expect(refusalOf(world, aPlan({ alpha: { rollback: 0.2 } }))).toContain(
      'alpha.rollback: cannot be amended',
    );
    const without = {
      ...world.state.plan,
      stages: world.state.plan.stages.filter(({ name }) => name !== 'rolling'),
    };
    expect(refusalOf(AT_CANARY(), without)).toContain('stage rolling: a stage cannot be left out');
    expect(refusalOf(world, LONGER)).toContain(
      'stage quarter: a stage can only be added ahead of the migration, which is in rolling',
    );
    const renamed = world.state.plan.stages.map((stage) =>
      stage.name === 'complete' ? { ...stage, name: 'end' } : stage,
    );
    expect(refusalOf(AT_CANARY(), { ...world.state.plan, stages: renamed })).toContain(
      'stage end: the last stage cannot be replaced',
    );
  });

  it('of margins of a stage that a rollback has left: it was judged by them', () => {
    const world = AT_ROLLING().says('rollback', { to: 'previous', by: 'ana' }).applies();
    const wider = withStages({ rolling: { gates: { errors: { promotionExcess: 0.05 } } } });
    expect(refusalOf(world, wider)).toContain('rolling.gates.errors.promotionExcess: the stage was entered');
    // Ahead of it everything is as it was never entered.
    expect(refusalOf(AT_CANARY(), withStages({ canary: { burnIn: { requests: 1 } } }))).toContain(
      'canary.burnIn.requests',
    );
    amends(world, withStages({ rolling: { soak: '1d' } }));
    expect(world.recorded.at(-1)).toBe('amended');
  });

  it('while a change of routing or a rollback is under way', () => {
    const applying = givenMigration().reaches('canary').watches({ observedMs: DAY_MS }).checksHealth();
    expect(refusalOf(applying, LONGER)).toContain('a change of routing is under way (applying)');
    expect(refusalOf(AT_CANARY().says('rollback', { by: 'ana' }), LONGER)).toContain(
      'a rollback is under way',
    );
    expect(refusalOf(givenMigration(), LONGER)).toContain('a change of routing is under way (reading)');
  });

  it('of a plan that was amended meanwhile, of one that says the same, of what is no plan', () => {
    const world = AT_CANARY();
    const digest = digestOf(world.state.plan);
    expect(refusalOf(world, world.state.plan)).toBe('the plan says this already: nothing changes');
    expect(refusalOf(world, { ...world.state.plan, route: 'other' })).toContain('route: cannot be amended');
    amends(world, LONGER, { digest });
    expect(world.recorded.at(-1)).toBe('amended');
    expect(refusalOf(world, withStages({ canary: { soak: '12h' } }), { digest })).toContain(
      'amended meanwhile',
    );
    expect(refusalOf(world, { route: 'chat' })).toContain(
      'plan.leaseMs: expected a number of at least 0, got nothing',
    );
    const { stages } = LONGER;
    const broken = stages.map((stage) => ({
      ...stage,
      gates: { ...stage.gates, errors: { rollbackRatio: 'x' } },
    }));
    expect(refusalOf(world, { ...LONGER, stages: broken })).toBe(
      'plan.stages.assess.gates.errors.rollbackRatio: expected a number of at least 0',
    );
    const notify = Array.from({ length: 2_000 }, () => ({ name: 'ops-of-the-night' }));
    expect(refusalOf(world, { ...LONGER, notify })).toContain('expected at most 28 KB of JSON');
  });

  it('without who and why, and in a run of an older release', () => {
    expect(readCommand('amend', { plan: LONGER, by: 'ana' })).toMatchObject({
      problem: 'expected by and reason: who amends the plan, and why',
    });
    expect(readCommand('amend', { by: 'ana', reason: 'why' })).toMatchObject({
      problem: 'expected plan to be a plan with every default filled in, got undefined',
    });
    const older = AT_CANARY();
    older.state = { ...older.state, revision: 4 };
    expect(refusalOf(older, LONGER)).toContain('older release');
  });
});

it('a rollback wins over an amendment in either order', () => {
  const first = givenMigration().reaches('canary');
  amends(first.says('rollback', { by: 'ben', reason: 'p95' }), LONGER);
  expect(first.decision.type).toBe('apply routing');
  expect(first.applies().state.outcome).toBe('rolled back');
  const second = amends(givenMigration().reaches('canary'), LONGER).says('rollback', { by: 'ben' });
  expect(second.applies().state.outcome).toBe('rolled back');
});

it('a preview says what would change, and why it would be refused', () => {
  const world = givenMigration().reaches('rolling');
  expect(previewAmendment(world.state, withStages({ rolling: { soak: '1d', window: '1h' } }))).toEqual({
    changes: [{ stage: 'rolling', path: 'soakMs', from: 2 * DAY_MS, to: DAY_MS }],
    refusal: null,
    digest: digestOf(world.state.plan),
  });
  expect(previewAmendment(world.state, LONGER).refusal).toContain('stage quarter');
  expect(previewAmendment(world.state, 'soon')).toMatchObject({ changes: [], refusal: expect.any(String) });
});
