import { planSchema } from '../../../src/core/plan/plan-schema';
import { ASSUMED_TRAFFIC, type Traffic } from '../../../src/core/plan/traffic';
import { latencyShape } from '../../../src/core/rehearsal/rehearsal';
import { rehearseStage, type StageRehearsal } from '../../../src/core/rehearsal/rehearsal-run';
import { SCENARIOS } from '../../../src/core/rehearsal/rehearsal-scenario';
import { summariseRehearsals } from '../../../src/core/rehearsal/rehearsal-summary';
import { aStage } from '../../support/migrations/gate-evidence';
import { mostFalseDecisions } from '../../support/statistics-draws';

const TRAFFIC: Traffic = { ...ASSUMED_TRAFFIC, requestsPerDay: 10_000, failureRate: 0.01 };
/** Days of windows of four hours: as valid as shorter ones, and quick to simulate. */
const QUICK = { window: '4h', deadline: { hold: '4d', rollback: null } };

function scenario(name: string) {
  const found = SCENARIOS.find((each) => each.name === name);
  if (found === undefined) throw new Error(`expected a scenario ${name}`);
  return found;
}

function rehearsed(
  name: string,
  runs = 1,
  stage = aStage('canary', QUICK),
  traffic = TRAFFIC,
): StageRehearsal[] {
  return Array.from({ length: runs }, (_, seed) =>
    rehearseStage({ stage, traffic, scenario: scenario(name), seed }),
  );
}

it('is the same for the same seed', () => {
  expect(rehearsed('errors x5')).toEqual(rehearsed('errors x5'));
});

it.each([
  ['a/a', 'promoted'],
  ['errors x5', 'rolled back'],
  ['errors x5 late', 'rolled back'],
  ['p95 x2', 'rolled back'],
] as const)('%s is %s, and rightly so', (name, decision) => {
  expect(rehearsed(name)).toEqual([expect.objectContaining({ decision, wrong: false })]);
});

it('never rolls back sticky keys whose errors cluster without a difference', () => {
  for (const run of rehearsed('sticky keys', 3)) {
    expect(run).toMatchObject({ decision: expect.not.stringMatching('rolled back'), wrong: false });
  }
});

it('calls a stage without a control arm against the bounds that were frozen', () => {
  const stage = aStage('complete', QUICK);
  expect(rehearsed('a/a', 1, stage)[0]).toMatchObject({ decision: 'promoted', wrong: false });
  expect(rehearsed('errors x5', 1, stage)[0]).toMatchObject({ decision: 'rolled back', metric: 'errors' });
});

it('counts whom a regression hurt up to the rollback, and nobody where there is none', () => {
  const [slow] = rehearsed('p95 x2');
  expect(slow?.hurt).toBe(slow?.candidateRequests);
  const [failing] = rehearsed('errors x5');
  expect(failing?.hurt).toBeCloseTo(0.04 * (failing?.candidateRequests ?? 0), 6);
  expect(rehearsed('a/a')[0]?.hurt).toBe(0);
});

describe('at the margins', () => {
  const RUNS = 20;
  // Most is left to chance where the margin is small against what is seen: rolling's one point.
  const stage = aStage('rolling', {
    window: '6h',
    soak: '12h',
    deadline: { hold: '3d', rollback: null },
    minimumKeys: 0,
    gates: { latency: { promotionIncrease: null } },
  });
  const plain = { ...TRAFFIC, streamShare: 0, totalMs: latencyShape(100, 101) };
  const falseOnes = (name: string, judged = stage) =>
    rehearsed(name, RUNS, judged, plain).filter(({ wrong }) => wrong).length;

  it('neither promotes nor rolls back wrongly more often than alpha allows', () => {
    expect(falseOnes('errors at promotion margin')).toBeLessThanOrEqual(
      mostFalseDecisions(RUNS, stage.alpha.promotion),
    );
    expect(falseOnes('errors at rollback margin')).toBeLessThanOrEqual(
      mostFalseDecisions(RUNS, stage.alpha.rollback),
    );
  });
});

it('knows every scenario by a name of its own and lets every stage be rehearsed', () => {
  expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
  for (const each of SCENARIOS) {
    for (const stage of planSchema.parse({ route: 'chat' }).stages.slice(1)) {
      const { failureRate, latencyFactor } = each.candidate(stage, TRAFFIC, stage.soakMs / 2);
      expect(failureRate).toBeGreaterThanOrEqual(0);
      expect(latencyFactor).toBeGreaterThan(0);
    }
  }
});

it('sums runs up to rates, times and the part that was hurt', () => {
  const run = (said: Partial<StageRehearsal>): StageRehearsal => ({
    ...{ decision: 'promoted', metric: null, wrong: false, afterMs: 1_000, candidateRequests: 10 },
    ...{ requests: 100, hurt: 0 },
    ...said,
  });
  const summary = summariseRehearsals('a/a', 'canary', [
    run({}),
    run({ wrong: true, afterMs: 3_000 }),
    run({ decision: 'rolled back', wrong: true, hurt: 5 }),
    run({ decision: 'undecided' }),
  ]);
  expect(summary).toMatchObject({
    ...{ runs: 4, promoted: 0.5, rolledBack: 0.25, undecided: 0.25, paused: 0 },
    ...{ falsePromotion: 0.25, falseRollback: 0.25, hurtBeforeRollback: 0.05 },
    untilPromotion: { medianMs: 3_000, p90Ms: 3_000, medianRequests: 10, p90Requests: 10 },
    untilRollback: { medianMs: 1_000 },
  });
});
