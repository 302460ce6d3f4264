import { dueRuns } from '../../../src/core/effects/effect-runs';
import { nextDecision } from '../../../src/core/migration/migration';
import { stageAt } from '../../../src/core/migration/migration-state';
import { nextTurnMs } from '../../../src/core/migration/stage-exit';
import { statusOf } from '../../../src/core/migration/status';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/core/text/duration';
import { effectEvent } from '../../support/migrations/migration-steps';
import { aPlan, givenMigration, LEGACY_DEAD, MigrationWorld } from '../../support/migrations/migration-world';

const INCONCLUSIVE = { outcome: 'inconclusive' } as const;
const STAGES = [{ name: 'assess' }, { name: 'canary' }, { name: 'rolling' }, { name: 'complete' }];

/** The default plan with something more for one of its stages. */
function withStage(name: string, more: Record<string, unknown>): Record<string, unknown> {
  return { stages: STAGES.map((stage) => (stage.name === name ? { ...stage, ...more } : stage)) };
}

function doing(world: MigrationWorld): string {
  return statusOf(world.state, world.nowMs).doing;
}

/** Told by its health check that the share may be raised in an hour at the earliest. */
function outsideHours(world: MigrationWorld): MigrationWorld {
  const notBefore = { atMs: world.nowMs + HOUR_MS, why: 'outside the rollout hours (UTC)' };
  return world.event({ type: 'health checked', healthy: false, sentence: '', notBefore });
}

describe('a stage that has passed', () => {
  it('is checked once, whatever further windows say meanwhile', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
    const { key } = world.decision;
    expect(world.watches({ observedMs: HOUR_MS }).decision.key).toBe(key);
    expect(world.watches({ observedMs: HOUR_MS }).decision.type).toBe('check health');
  });

  it('is checked for whoever asked first, also where its soak ends meanwhile', () => {
    const world = givenMigration().reaches('canary').watches();
    world.says('promote', { stage: 'canary', by: 'ana', reason: 'go' });
    expect(nextTurnMs(world.state)).toBeNull();
    world.watches({ observedMs: DAY_MS });
    expect(world.state.promotion).toMatchObject({ by: 'ana', reason: 'go' });
  });

  it('remembers when it passed first', () => {
    const world = givenMigration().reaches('canary').says('pause').watches({ observedMs: DAY_MS });
    const { passedAtMs } = world.state.stage;
    expect(passedAtMs).toBe(world.nowMs);
    expect(world.elapse(HOUR_MS).watches().state.stage.passedAtMs).toBe(passedAtMs);
  });

  it('goes on for the reason of its verdict, by nobody', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ observedMs: DAY_MS, verdict: { sentence: 'errors are alike' } });
    expect(world.state.promotion).toMatchObject({
      by: 'cutover',
      reason: 'errors are alike',
      commandId: null,
      toIndex: 2,
    });
    expect(world.checksHealth().intended).toMatchObject({ by: 'cutover', reason: 'errors are alike' });
  });

  it('asks nobody for an approval while an override changes the routing already', () => {
    const world = givenMigration(withStage('canary', { approval: { expires: '6h' } }))
      .reaches('canary')
      .says('pause')
      .watches({ observedMs: DAY_MS });
    world.overrides().says('resume');
    expect(world.state.phase).toBe('applying');
    expect(world.recorded).not.toContain('approval asked');
  });

  it('waits for its rollout hours in words, until their time, which any event may bring', () => {
    const world = new MigrationWorld({ ...aPlan(), notify: [{ name: 'channel' }] }).reaches('canary');
    outsideHours(world.watches({ observedMs: DAY_MS }));
    const { nowMs } = world;
    expect(doing(world)).toBe(
      `watching; outside the rollout hours (UTC): next possible at ${new Date(nowMs + HOUR_MS).toISOString()}`,
    );
    expect(nextTurnMs(world.state)).toBe(nowMs + HOUR_MS);
    const [first, second] = [0, 1].map(() => dueRuns(world.state)[0]);
    if (first === undefined || second === undefined) throw new Error('expected a notification');
    world.elapse(HOUR_MS - 1).event(effectEvent(first, 'failed'));
    expect(world.decision.type).toBe('watch');
    world.elapse(1).event(effectEvent(second, 'ended'));
    expect(world.decision.type).toBe('check health');
    expect(world.state.stage).toMatchObject({ notBefore: null, verdict: { outcome: 'pass' } });
  });

  it('wakes up at whatever is due first, and for nothing while its health is checked', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
    expect(nextTurnMs(world.state)).toBeNull();
    outsideHours(world).watches({ verdict: INCONCLUSIVE });
    // The hold is two days away.
    expect(nextTurnMs(world.state)).toBe(world.nowMs + HOUR_MS);
  });
});

describe('what a stage without a control arm is compared with', () => {
  const counted = (world: MigrationWorld, said: Record<string, unknown> = {}) => {
    const { evidence } = world.state.stage;
    const judged = { ...evidence, judged: { windows: 2, segments: [] } };
    return world.watches({ observedMs: 2 * DAY_MS, evidence: judged, verdict: said }).state.baseline;
  };

  it('are the numbers of legacy as the stage before saw them, with what they rest on', () => {
    const baseline = { errorRate: 0.03, plainP95Ms: 1, firstTokenP95Ms: 2 };
    expect(counted(givenMigration().reaches('rolling'), { baseline })).toMatchObject({
      ...baseline,
      before: { judged: { windows: 2 } },
    });
    expect(counted(givenMigration().reaches('canary'), { baseline })).toEqual(baseline);
    const unjudged = givenMigration()
      .reaches('rolling')
      .watches({ observedMs: 2 * DAY_MS, verdict: { baseline } });
    expect(unjudged.state.baseline).toEqual(baseline);
  });

  it('is nothing where no stage saw any', () => {
    const world = givenMigration().reaches('rolling');
    world.state = { ...world.state, baseline: null };
    expect(counted(world, { baseline: null })).toBeNull();
  });

  it('moves all of what is held back with an override, too', () => {
    const world = givenMigration({ holdback: '5%' }).reaches('complete');
    expect(world.share).toBe(0.95);
    expect(world.overrides().intended).toMatchObject({ stage: 'complete', share: 1 });
  });
});

describe('what a stage waits for, in words', () => {
  it('is nothing as long as it has not passed, its soak included', () => {
    const plan = aPlan();
    const stages = plan.stages.map((stage) => ({
      ...stage,
      confirm: stage.name === 'rolling' ? ['board'] : [],
    }));
    const asking = new MigrationWorld({ ...plan, stages, notify: [{ name: 'channel' }] }).reaches('canary');
    expect(doing(asking)).toBe('watching');
    expect(doing(asking.watches())).toBe('watching');
    expect(doing(asking.watches({ observedMs: DAY_MS }))).toBe(
      'watching; waiting for board to confirm the next stage',
    );
  });

  it('are no effects where it has not passed, or is held', () => {
    const plan = aPlan();
    const stages = plan.stages.map((stage) => ({
      ...stage,
      effects: stage.name === 'canary' ? [{ name: 'dns', set: {} }] : [],
    }));
    const world = new MigrationWorld({ ...plan, stages })
      .reaches('canary')
      .watches({ verdict: INCONCLUSIVE });
    expect(doing(world)).toBe('watching');
    world.elapse(3 * DAY_MS).watches({ verdict: INCONCLUSIVE });
    expect(world.state.stage.held).not.toBeNull();
    expect(doing(world.watches({ observedMs: DAY_MS }))).toBe('watching');
  });
});

describe('a deadline', () => {
  it('waits for the change of routing that is under way', () => {
    const world = givenMigration()
      .reaches('canary')
      .overrides()
      .timePasses(10 * DAY_MS);
    expect(world.state).toMatchObject({ phase: 'applying', stage: { held: null } });
  });

  it('waits for the health check of a promotion', () => {
    const world = givenMigration().reaches('canary').watches().says('promote', { stage: 'canary' });
    world.timePasses(10 * DAY_MS);
    expect(world.decision.type).toBe('check health');
    expect(world.checksHealth(false).timePasses(1).state.phase).toBe('rolling back');
  });

  it('acts at its very moment', () => {
    const world = givenMigration()
      .reaches('canary')
      .elapse(3 * DAY_MS - 1);
    expect(world.timePasses(0).state.stage.held).toBeNull();
    expect(world.timePasses(1).state.stage.held).toMatchObject({
      atMs: world.nowMs,
      reason: 'canary has not passed within 72 h: not evaluated',
    });
    world.elapse(4 * DAY_MS - 1);
    expect(world.timePasses(0).state.phase).toBe('observing');
    expect(world.timePasses(1).intended.reason).toBe('canary has not passed within 7 d');
  });

  it('says once that legacy is no place to go back to', () => {
    const world = givenMigration(withStage('complete', { deadline: { hold: '2d', rollback: '3d' } }))
      .reaches('complete')
      .watches({ probes: LEGACY_DEAD, verdict: INCONCLUSIVE });
    world
      .timePasses(3 * DAY_MS)
      .timePasses(DAY_MS)
      .timePasses(DAY_MS);
    expect(world.recorded.filter((what) => what === 'held')).toHaveLength(1);
  });

  it('never moves anything back before anything has moved', () => {
    const world = givenMigration().reaches('assess');
    world.state = {
      ...world.state,
      plan: {
        ...world.state.plan,
        stages: world.state.plan.stages.map((stage) => ({
          ...stage,
          deadline: { ...stage.deadline, rollbackMs: 2 * DAY_MS },
        })),
      },
    };
    expect(world.timePasses(10 * DAY_MS).state.phase).toBe('observing');
  });

  it('of an approval ends with the stage that asked: nothing expires in handover', () => {
    const expiring = { approval: { expires: '6h', onExpiry: 'roll back' } };
    const world = givenMigration(withStage('complete', expiring))
      .reaches('complete')
      .watches({ observedMs: DAY_MS });
    expect(world.state.approval).not.toBeNull();
    expect(world.overrides().state.phase).toBe('handover');
    expect(world.timePasses(DAY_MS).state.phase).toBe('handover');
  });
});

describe('a window', () => {
  const lengthOf = (world: MigrationWorld) =>
    world.decision.type === 'watch' ? world.decision.windowMs : Number.NaN;
  const planned = (world: MigrationWorld) => stageAt(world.state.plan, world.state.stageIndex).windowMs;

  it.each([DAY_MS, 2 * DAY_MS])('is as long as planned once the soak is over, after %d ms', (observedMs) => {
    const world = givenMigration().reaches('canary').watches({ observedMs, verdict: INCONCLUSIVE });
    expect(lengthOf(world)).toBe(planned(world));
  });

  it('is as long as planned from its deadline on', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS, verdict: INCONCLUSIVE });
    world.elapse(3 * DAY_MS);
    expect(lengthOf(world)).toBe(planned(world));
    expect(lengthOf(world.elapse(HOUR_MS))).toBe(planned(world));
  });

  it('is as long as planned where no deadline is left', () => {
    const world = givenMigration()
      .reaches('complete')
      .elapse(30 * DAY_MS);
    world.watches({ observedMs: 2 * DAY_MS, verdict: INCONCLUSIVE });
    expect(nextTurnMs(world.state)).toBeNull();
    expect(lengthOf(world)).toBe(planned(world));
  });

  it('is never shorter than half a second', () => {
    const world = givenMigration()
      .reaches('canary')
      .elapse(3 * DAY_MS - 20);
    expect(lengthOf(world)).toBe(500);
  });

  it('is four times as long in handover', () => {
    const world = givenMigration().reaches('complete').watches({ observedMs: DAY_MS });
    expect(lengthOf(world)).toBe(4 * planned(world));
  });

  it('of its stage goes on under the same key, whatever time it is', () => {
    const world = givenMigration().reaches('canary');
    const { key } = world.decision;
    expect(nextDecision(world.state, world.nowMs + MINUTE_MS).key).toBe(key);
  });
});
