import type { IdentityReading } from '../../../src/core/assessment/declared-identity';
import type { StageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { withOutcomes } from '../../../src/core/evidence/stage/stage-outcomes';
import { withWindow } from '../../../src/core/evidence/stage/stage-window';
import { judgeStage } from '../../../src/core/gates/judge-stage';
import { judgedStage } from '../../../src/core/gates/judged-stage';
import type { GateVerdict } from '../../../src/core/gates/verdict';
import { aCell, aStage, evidenceOf, judged, metricOf, PROBES } from '../../support/migrations/gate-evidence';
import { givenMigration } from '../../support/migrations/migration-world';

type World = ReturnType<typeof givenMigration>;

/** A window of 900 requests of legacy and 100 of the candidate, of which it took none of some. */
function aDay(epoch: number, shed: number, moved = 100) {
  const candidate = aCell('candidate', { requests: moved });
  const cells = [
    aCell('legacy', { requests: 900 }),
    { ...candidate, successes: moved - shed, failures: shed === 0 ? {} : { shed } },
  ];
  return { ...evidenceOf(cells), epoch };
}

/** Watches a window and judges it, as the activity does: on the evidence that the state held when it began. */
function watch(
  world: World,
  shed: number,
  moved?: number,
  solved?: readonly [number, number],
  identity?: IdentityReading,
): GateVerdict {
  const { state } = world;
  const epoch = state.inEffect?.record.epoch ?? 0;
  const kind = { burnIn: false, shareApplied: true, share: 0.1 };
  const window = withWindow(state.stage.evidence, aDay(epoch, shed, moved), kind);
  const evidence =
    solved === undefined
      ? window
      : { ...window, outcomes: withOutcomes(state.stage.evidence.outcomes, [reported(solved)], ['solved']) };
  const verdict = judgeStage(judgedStage(state), epoch, {
    evidence,
    windowRequests: { legacy: 900, candidate: 100 },
    probes: PROBES,
    burnIn: false,
    silent: [],
    baseline: null,
    ...(identity === undefined ? {} : { identity }),
  });
  world.watches({ evidence, verdict });
  return verdict;
}

/** So many outcomes of legacy and of the candidate, all of them good. */
function reported([legacy, candidate]: readonly [number, number]) {
  const arm = (count: number) => ({
    ...{ booleans: [count, count] as const, numbers: [] },
    buckets: Array.from({ length: 10 }, (_, bucket) => [bucket, count / 10, 2 * count] as const),
  });
  return { name: 'solved', legacy: arm(legacy), candidate: arm(candidate) };
}

function shedOf(evidence: StageEvidence): boolean {
  const verdict = judged(aStage('canary'), { ...evidence, epoch: 4 });
  return verdict.metrics.some(({ metric }) => metric === 'candidate closed');
}

/** In canary, paused because the candidate took too little. */
function givenClosed(): World {
  const world = givenMigration().reaches('canary');
  watch(world, 0);
  watch(world, 90);
  watch(world, 90);
  expect(world.state.paused).toMatchObject({ by: 'cutover', cause: 'candidate closed' });
  return world;
}

describe('a resume after the candidate was closed too often', () => {
  it('is not paused again by what was counted before, nor by the window during which it came', () => {
    const world = givenClosed().says('resume', { reason: 'its rate limit was raised' });
    expect(watch(world, 30).pause).toMatch(/% of the candidate's requests could not be sent to it /);
    expect(world.state.paused).toBeNull();
    expect(shedOf(world.state.stage.evidence)).toBe(false);
    expect(watch(world, 0).pause).toBeNull();
    expect(world.state.paused).toBeNull();
    expect(world.state.stage.accepted).toBeUndefined();
  });

  it('is paused again where the candidate is closed from then on', () => {
    const world = givenClosed().says('resume', { reason: 'its rate limit was raised' });
    watch(world, 0);
    watch(world, 90);
    watch(world, 90);
    expect(world.state.paused).toMatchObject({ cause: 'candidate closed' });
  });

  it('keeps all other evidence of the stage', () => {
    const world = givenClosed().says('resume', { reason: 'its rate limit was raised' });
    watch(world, 0);
    const { requests } = watch(world, 0);
    expect(requests).toEqual({ legacy: 5 * 900, candidate: 3 * 100 + 2 * 10 });
  });

  it('follows the older decisions in a run that an older release began', () => {
    const world = givenClosed();
    const older = givenMigration().reaches('canary');
    older.state = { ...world.state, revision: 2 };
    older.says('resume', { reason: 'its rate limit was raised' });
    expect(older.state.stage.accepted).toBeUndefined();
  });
});

it('counts the split anew after a resume from an uneven one', () => {
  const world = givenMigration().reaches('canary');
  watch(world, 0, 300);
  expect(world.state.paused).toMatchObject({ cause: 'sample ratio' });
  world.says('resume', { reason: 'one gateway was doubled' });
  watch(world, 0);
  expect(world.state.paused).toBeNull();
  expect(watch(world, 0).pause).toBeNull();
  expect(world.state.paused).toBeNull();
});

it('pauses again after a resume while the server states another model than the declared one', () => {
  const world = givenMigration({ identity: { declared: `sha256:${'a'.repeat(64)}` } }).reaches('canary');
  const other = { outcome: 'other', sentence: 'the candidate is not the declared model' } as const;
  const { key } = world.decision;
  watch(world, 0, 100, undefined, other);
  expect(world.state.paused).toMatchObject({ by: 'cutover', cause: 'identity', reason: other.sentence });
  expect(world.decision.key).toBe(`${key}:paused`);
  world.says('resume', { reason: 'the right weights are back' });
  expect(world.decision.key).toBe(key);
  watch(world, 0, 100, undefined, other);
  expect(world.state.paused).toMatchObject({ cause: 'identity' });
  world.says('resume', { reason: 'now they are' });
  watch(world, 0, 100, undefined, { outcome: 'same', sentence: 'it states it' });
  expect(world.state.paused).toBeNull();
});

it('counts the reports of outcomes anew after a resume from a pause because one side reported less', () => {
  const world = givenMigration({ outcomes: [{ name: 'solved' }] }).reaches('canary');
  const uneven = [900, 10] as const;
  watch(world, 0, 100, uneven);
  expect(world.state.paused).toMatchObject({ by: 'cutover', cause: 'outcome reports' });
  expect(world.state.paused?.reason).toContain('one side reports less often, or its reports are lost');
  world.says('resume', { reason: 'the thumb was hidden for a day' });
  watch(world, 0, 100, uneven);
  expect(world.state.paused).toBeNull();
  watch(world, 0, 100, [900, 100]);
  expect(world.state.paused).toBeNull();
  watch(world, 0, 100, [9_000, 100]);
  expect(world.state.paused).toMatchObject({ cause: 'outcome reports' });
});

it('pauses for a closed candidate by 5% where the plan is of a release that did not know the gate', () => {
  const { shed: _, ...gates } = aStage('canary').gates;
  const stage = { ...aStage('canary'), gates };
  const verdict = judged(stage, {
    ...givenClosed().state.stage.evidence,
    epoch: 4,
  });
  expect(metricOf(verdict, 'candidate closed')).toMatchObject({ outcome: 'fail', margin: 0.05 });
  expect(verdict.pause).toMatch(/at most 5% may be$/);
});
