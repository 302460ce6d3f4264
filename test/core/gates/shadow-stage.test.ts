import { withJudge } from '../../../src/core/evidence/judge-counts';
import { NO_PAIRS } from '../../../src/core/evidence/pair-counts';
import { noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { withPairs } from '../../../src/core/evidence/stage/stage-pairs';
import { judgedStage } from '../../../src/core/gates/judged-stage';
import { HOUR_MS } from '../../../src/core/text/duration';
import { aPlan, givenMigration, type MigrationWorld } from '../../support/migrations/migration-world';

const STAGES = [
  { name: 'assess' },
  { name: 'shadow', mirror: '5%', maxCostUsd: 4 },
  { name: 'canary' },
  { name: 'complete' },
];

const givenShadow = () => givenMigration({ stages: STAGES }).reaches('shadow');

/** Evidence of a stage that has spent so much on copies. */
function spent(world: MigrationWorld, costUsd: number) {
  const { evidence } = world.state.stage;
  const counts = { ...NO_PAIRS, copies: 10, costUsd };
  const bounds = { latency: 3, outputTokens: 3, cost: 3 };
  return { ...noStageEvidence(evidence.epoch), pairs: withPairs(evidence.pairs, counts, bounds) };
}

const inconclusive = { outcome: 'inconclusive', sentence: 'not enough pairs' } as const;

describe('a shadow stage', () => {
  it('is entered after assess at share 0, with its part to copy and what each gateway may spend', () => {
    const world = givenShadow();
    expect(world.share).toBe(0);
    expect(world.state.inEffect?.record).toMatchObject({
      ...{ stage: 'shadow', share: 0, shadow: 0.05, shadowUsd: 2, pinned: false },
    });
    expect(world.decision).toMatchObject({ type: 'watch' });
  });

  it('has each gateway spend an equal part of what its judge may still cost', () => {
    const judge = { provider: 'openai', model: 'arbiter', maxCostUsd: 3, rubric: 'Shorter is better.' };
    const world = givenMigration({ stages: STAGES, judge }).reaches('shadow');
    const order = {
      provider: 'openai',
      model: 'arbiter',
      rubric: 'Shorter is better.',
      sample: 0.1,
      usd: 1.5,
    };
    expect(world.state.inEffect?.record.judge).toEqual(order);
    const { evidence } = world.state.stage;
    const judged = withJudge(evidence.judge, { rows: [[-1, 4, 5, 6]], unjudged: {}, costUsd: 1.2 });
    world.watches({ evidence: { ...noStageEvidence(evidence.epoch), judge: judged }, verdict: inconclusive });
    expect(world.state.judgeUsd).toBe(1.2);
    world.reaches('canary');
    expect(world.state.inEffect?.record).not.toHaveProperty('judge');
  });

  it('is left on a pass after its soak, for a stage whose copies are those of the configuration', () => {
    const world = givenShadow().reaches('canary');
    expect(world.state.inEffect?.record).toMatchObject({ share: 0.1, shadow: 0.2 });
    expect(world.state.inEffect?.record).not.toHaveProperty('shadowUsd');
  });

  it('is an entry of its own for alpha', () => {
    const world = givenShadow();
    expect(world.state.stage.entry).toBe(1);
    expect(judgedStage(world.state).alpha.rollback).toBeCloseTo(0.025, 12);
    world.reaches('canary');
    expect(world.state.stage.entry).toBe(2);
    expect(judgedStage(world.state).alpha).toMatchObject({
      ...{ rollback: expect.closeTo(0.0125, 12), promotion: expect.closeTo(0.045, 12) },
    });
  });

  it('rolls back on harm before anybody was served by the candidate, and ends its copies', () => {
    const world = givenShadow().watches({
      verdict: { outcome: 'fail', harm: 'pairs', sentence: 'of 900 pairs the candidate lost 40 and won 8' },
    });
    expect(world.state.pending?.record).toMatchObject({ share: 0, shadow: 0 });
    expect(world.state.pending?.record).not.toHaveProperty('shadowUsd');
    world.goesOnUntil('its end', () => world.state.phase === 'closed');
    expect(world.state.outcome).toBe('rolled back');
    expect(Math.max(...world.trail.map((state) => state.inEffect?.record.share ?? 0))).toBe(0);
  });

  it('is held once its copies have cost what they may and it has not passed, and copies nothing more', () => {
    const world = givenShadow();
    world.watches({ evidence: spent(world, 3), verdict: inconclusive });
    expect(world.state.copiesUsd).toBe(3);
    expect(world.state.stage.held).toBeNull();
    world.watches({ ended: 'budget spent', evidence: spent(world, 1.5), verdict: inconclusive });
    expect(world.state.stage.held?.reason).toBe(
      'shadow has spent the $4 of its copies and has not passed: not enough pairs',
    );
    expect(world.decision).toMatchObject({ type: 'wait', why: 'held until an operator decides' });
    world.overrides();
    expect(world.state.pending?.record).toMatchObject({ stage: 'canary', share: 0.1 });
  });

  const withLimits = (maxCostUsd: number, more: object = {}) =>
    aPlan({ stages: STAGES.map((stage) => ('mirror' in stage ? { ...stage, maxCostUsd } : stage)), ...more });
  const raises = (world: MigrationWorld, plan: object) =>
    world.says('amend', { plan, by: 'ana', reason: 'more copies' });

  it('gets more money while it runs, once its window has ended, and keeps what it has counted', () => {
    const world = givenShadow();
    world.watches({ evidence: spent(world, 3), verdict: inconclusive });
    const { epoch = 0 } = world.state.inEffect?.record ?? {};
    raises(world, withLimits(10));
    expect(world.lastRefusal).toBe('');
    expect(world.decision.type).toBe('watch');
    expect(world.state.inEffect?.record).toMatchObject({ epoch, shadowUsd: 2 });
    world.watches({ evidence: spent(world, 0.5), verdict: inconclusive });
    expect(world.checkpoints.at(-1)).toMatchObject({ kind: 'intended', cause: 'budget', share: 0 });
    const before = world.state.stage;
    world.applies();
    expect(world.state.inEffect?.record).toMatchObject({
      epoch: epoch + 1,
      share: 0,
      shadow: 0.05,
      shadowUsd: 3.25,
    });
    expect(world.state.stage).toMatchObject({
      enteredAtMs: before.enteredAtMs,
      entry: 1,
      windows: before.windows,
    });
    expect(world.state.stage.evidence).toEqual({ ...before.evidence, epoch: epoch + 1 });
    expect(world.state.stage.cursors).toEqual({});
    expect(world.state.stage).not.toHaveProperty('newBudget');
    world.watches({ evidence: spent(world, 0.5), verdict: inconclusive });
    expect(world.state.copiesUsd).toBe(4);
    expect(world.reaches('canary').share).toBe(0.1);
  });

  it('goes on with more money where it was held because it had none, at once', () => {
    const world = givenShadow();
    world.watches({ ended: 'budget spent', evidence: spent(world, 4.5), verdict: inconclusive });
    expect(world.decision.type).toBe('wait');
    raises(world, withLimits(10));
    expect(world.state.stage.held).toBeNull();
    expect(world.state.pending).toMatchObject({ cause: 'budget', record: { shadowUsd: 2.75 } });
    expect(world.applies().decision.type).toBe('watch');
  });

  it('never gets less than it has spent', () => {
    const world = givenShadow();
    world.watches({ evidence: spent(world, 3), verdict: inconclusive });
    raises(world, withLimits(2.5));
    expect(world.lastRefusal).toBe('shadow.maxCostUsd: expected more than the $3 that were spent already');
    raises(world, withLimits(3.5));
    expect(world.state.plan.stages[1]?.maxCostUsd).toBe(3.5);
  });

  it('may let its judge cost more, and nothing else of it change', () => {
    const judge = { provider: 'openai', model: 'arbiter', maxCostUsd: 3 };
    const world = givenMigration({ stages: STAGES, judge }).reaches('shadow');
    raises(world, withLimits(4, { judge: { ...judge, model: 'other' } }));
    expect(world.lastRefusal).toContain('shadow.judge.model: cannot be amended');
    raises(world, withLimits(4, { judge: { ...judge, maxCostUsd: 5 } }));
    world.watches({ verdict: inconclusive }).applies();
    expect(world.state.inEffect?.record.judge).toMatchObject({ usd: 2.5, model: 'arbiter' });
  });

  it('is left by a pass that its last money has bought', () => {
    const world = givenShadow();
    world.watches({ evidence: spent(world, 5), observedMs: HOUR_MS, ended: 'budget spent' });
    expect(world.state.stage.held).toBeNull();
    expect(world.decision).toMatchObject({ type: 'check health' });
  });

  it('waits without watching where it has passed and an approval is missing', () => {
    const stages = STAGES.map((stage) => ('mirror' in stage ? { ...stage, approval: true } : stage));
    const world = givenMigration({ stages }).reaches('shadow');
    world.watches({ evidence: spent(world, 5), observedMs: HOUR_MS, ended: 'budget spent' });
    expect(world.decision).toMatchObject({ type: 'wait', why: expect.stringContaining('approval') });
  });

  it('that is entered again may spend what is left', () => {
    const world = givenShadow();
    world.watches({ evidence: spent(world, 3), verdict: inconclusive });
    world.says('pause', { by: 'ana', reason: 'look' }).says('resume', {
      ...{ by: 'ana', reason: 'again', accept: 'reapply' },
    });
    expect(world.state.pending?.record).toMatchObject({ stage: 'shadow', shadow: 0.05, shadowUsd: 0.5 });
  });
});
