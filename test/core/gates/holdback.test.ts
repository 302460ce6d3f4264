import { runsOf } from '../../../src/core/effects/effect-runs';
import { judgedStage } from '../../../src/core/gates/judged-stage';
import { currentDetails } from '../../../src/core/migration/details';
import { initialState } from '../../../src/core/migration/migration-state';
import { startProblem } from '../../../src/core/migration/start-problem';
import { statusOf } from '../../../src/core/migration/status';
import { DAY_MS, HOUR_MS } from '../../../src/core/text/duration';
import {
  aPlan,
  givenMigration,
  type MigrationWorld,
  OVERTAKEN,
} from '../../support/migrations/migration-world';

const HELD = { holdback: '5%' };

/** In complete with 5% at legacy. */
function givenComplete(plan: Record<string, unknown> = {}): MigrationWorld {
  return givenMigration({ ...HELD, ...plan }).reaches('complete');
}

const handedOver = (world: MigrationWorld) =>
  world.goesOnUntil('the handover', () => world.state.phase === 'handover');

describe('complete holds a part of the traffic back', () => {
  it('at legacy, on a lease, while it soaks', () => {
    const world = givenComplete();
    expect(world.state.inEffect?.record).toMatchObject({ stage: 'complete', share: 0.95, pinned: false });
    world.elapse(DAY_MS).watches({ observedMs: DAY_MS - HOUR_MS });
    expect(world).toMatchObject({ share: 0.95, stage: 'complete' });
    expect(world.state.promotion).toBeNull();
  });

  it('and moves it once the soak has passed and both providers are healthy, pinned, into the handover', () => {
    const world = givenComplete();
    world.elapse(DAY_MS).watches({ observedMs: DAY_MS });
    expect(world.decision.type).toBe('check health');
    world.checksHealth();
    expect(world.intended).toMatchObject({ cause: 'advance', stage: 'complete', share: 1 });
    world.applies();
    expect(world.state.inEffect?.record).toMatchObject({ share: 1, pinned: true });
    expect(world.state.phase).toBe('handover');
    expect(world.recorded.at(-1)).toBe('handover');
    world.watches({ settled: ['gw-a', 'gw-b'] });
    expect(world.state.outcome).toBe('completed');
  });

  it('and not while a provider is unhealthy, nor without a pass', () => {
    const world = givenComplete();
    world.elapse(DAY_MS).watches({ observedMs: DAY_MS, verdict: { outcome: 'inconclusive' } });
    expect(world.decision.type).toBe('watch');
    world.watches().checksHealth(false);
    expect(world.share).toBe(0.95);
    expect(world.recorded.at(-1)).toBe('health check failed');
  });

  it('moves it by an override, which says who and why', () => {
    const world = givenComplete().overrides().applies();
    expect(world.share).toBe(1);
    expect(world.state.phase).toBe('handover');
  });

  it('is judged as a stage with two arms, at the share that is applied', () => {
    const world = givenComplete();
    expect(judgedStage(world.state)).toMatchObject({ share: 0.95, holdback: 0.05 });
    expect(judgedStage(handedOver(world).state)).toMatchObject({ share: 1, holdback: 0.05 });
  });

  it('is said in status and details', () => {
    const world = givenComplete();
    const status = statusOf(world.state, world.nowMs);
    expect(status.doing).toBe('watching; 5% stay at legacy to compare with until the stage has passed');
    expect(currentDetails(status)).toContain('| **complete** | 95%, then 100% | now |');
    expect(statusOf(handedOver(world).state, world.nowMs).doing).not.toContain('stay at legacy');
  });

  it('takes what it held back to legacy again when the raise reaches nobody', () => {
    const world = givenComplete();
    world.elapse(DAY_MS).watches({ observedMs: DAY_MS }).checksHealth().applies({ confirmed: [] });
    expect(world.intended).toMatchObject({ cause: 'restore', share: 0.95 });
    world.applies();
    expect(world.state).toMatchObject({ phase: 'observing', stage: { observedMs: 0 } });
  });

  it('does the effects of complete once', () => {
    const effects = [{ name: 'flag', set: { llm: 'candidate' } }];
    const stages = [{ name: 'assess' }, { name: 'canary' }, { name: 'complete', effects }];
    const world = givenMigration({ ...HELD, stages }).reaches('complete');
    const applied = () => runsOf(world.state).filter(({ purpose }) => purpose === 'apply').length;
    expect(applied()).toBe(1);
    world.overrides().applies();
    expect(applied()).toBe(1);
  });
});

describe('once all has moved', () => {
  it('a reapply applies all of it again, and the handover goes on', () => {
    const world = handedOver(givenComplete()).watches({ drift: OVERTAKEN });
    world.says('resume', { accept: 'reapply', by: 'ana' });
    expect(world.intended).toMatchObject({ cause: 'reapply', share: 1 });
    expect(world.applies().state.phase).toBe('handover');
  });

  it('a rollback to the checkpoint before goes back to the holdback, paused', () => {
    const world = handedOver(givenComplete()).says('rollback', { to: 'previous', by: 'ana' });
    expect(world.intended).toMatchObject({ cause: 'rollback', stage: 'complete', share: 0.95 });
    world.applies();
    expect(world.state).toMatchObject({ phase: 'observing', paused: { cause: 'rollback' } });
    world.says('rollback', { to: 'previous', by: 'ana' });
    expect(world.intended).toMatchObject({ stage: 'rolling', share: 0.5 });
  });
});

it('goes to share 1 at once in a run that follows the decisions of an older release', () => {
  const world = givenMigration(HELD);
  const { migrationId, by, reason, stickyKey, newConversationsOnly, shadow, salt, plan } = world.state;
  const start = { migrationId, by, reason, stickyKey, newConversationsOnly, shadow, salt, plan };
  world.state = initialState(start, world.nowMs, 2);
  world.reaches('complete');
  expect(world.state.inEffect?.record).toMatchObject({ share: 1, pinned: true });
  expect(judgedStage(world.state)).not.toHaveProperty('holdback');
});

it('keeps what legacy counted for a complete without a control arm, and only for that', () => {
  const judged = (world: MigrationWorld) => {
    const { stage, inEffect } = world.state;
    const evidence = { ...stage.evidence, epoch: inEffect?.record.epoch ?? 0 };
    const counted = { ...evidence, judged: { windows: 1, segments: [] } };
    return world.elapse(2 * DAY_MS).watches({ observedMs: 2 * DAY_MS, evidence: counted });
  };
  expect(judged(givenMigration().reaches('rolling')).state.baseline?.before?.judged.windows).toBe(1);
  expect(judged(givenMigration(HELD).reaches('rolling')).state.baseline).not.toHaveProperty('before');
});

it.each([0, 1, -0.1, 'half'])(
  'refuses a start that was written by hand with a holdback of %p',
  (holdback) => {
    const plan = aPlan();
    const stages = plan.stages.map((stage) => (stage.share === 1 ? { ...stage, holdback } : stage));
    const { migrationId, by, reason, stickyKey, newConversationsOnly, shadow, salt } = givenMigration().state;
    const start = { migrationId, by, reason, stickyKey, newConversationsOnly, shadow, salt };
    expect(startProblem({ start: { ...start, plan: { ...plan, stages } }, carried: null })).toMatch(
      /^start\.plan\.stages\.3\.holdback: expected nothing, or a number above 0 and below the share, got /,
    );
  },
);
