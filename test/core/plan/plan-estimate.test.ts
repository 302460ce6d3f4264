import { estimatePlan, isDecidable, type StageEstimate } from '../../../src/core/plan/plan-estimate';
import { planSchema } from '../../../src/core/plan/plan-schema';
import { decidingPlan, leastTraffic } from '../../../src/core/plan/plan-suggestion';
import { ASSUMED_TRAFFIC, type Traffic } from '../../../src/core/plan/traffic';
import { rehearseStage } from '../../../src/core/rehearsal/rehearsal-run';
import { SCENARIOS } from '../../../src/core/rehearsal/rehearsal-scenario';

const DAY_MS = 86_400_000;
const standard = planSchema.parse({ route: 'chat' });
const small = planSchema.parse({ route: 'chat', profile: 'small' });

const withTraffic = (requestsPerDay: number, failureRate = 0.005): Traffic => ({
  ...ASSUMED_TRAFFIC,
  requestsPerDay,
  failureRate,
});

function stageOf(estimates: readonly StageEstimate[], name: string): StageEstimate {
  const found = estimates.find(({ stage }) => stage === name);
  if (found === undefined) throw new Error(`expected an estimate of ${name}`);
  return found;
}

it('puts the ramp before the soak and the evidence of a stage, and under its deadline', () => {
  const stages = (every: string) => [
    { name: 'assess' },
    { name: 'canary' },
    { name: 'rolling', ramp: { step: '5%', every } },
    { name: 'complete' },
  ];
  const rolling = (every: string) =>
    stageOf(
      estimatePlan(planSchema.parse({ route: 'chat', stages: stages(every) }), withTraffic(200_000)),
      'rolling',
    );
  const at = stageOf(estimatePlan(standard, withTraffic(200_000)), 'rolling');
  const later = 7 * 10 * 60_000;
  expect(rolling('10m')).toMatchObject({
    ...{ rampMs: later, expectedMs: (at.expectedMs ?? 0) + later, likelyMs: (at.likelyMs ?? 0) + later },
    decides: true,
  });
  // Seven steps of ten hours leave less than the two days of the soak and a window.
  expect(rolling('10.2h')).toMatchObject({ decides: false });
});

describe('the days of a stage', () => {
  it('are those of the soak where there is much traffic', () => {
    const estimates = estimatePlan(standard, withTraffic(200_000));
    expect(isDecidable(estimates)).toBe(true);
    expect(estimates.map(({ heldUpBy }) => heldUpBy)).toEqual(['soak', 'soak', 'soak']);
  });

  it.each([
    [3_000, 'canary', false],
    [3_000, 'rolling', true],
    [5_000, 'canary', true],
    [500, 'rolling', false],
  ])('at %d requests a day let %s decide: %s', (requestsPerDay, name, decides) => {
    expect(stageOf(estimatePlan(standard, withTraffic(requestsPerDay)), name).decides).toBe(decides);
  });

  it('grow with errors and end where legacy itself is below the floor', () => {
    const at = (rate: number) => stageOf(estimatePlan(standard, withTraffic(3_000, rate)), 'canary');
    expect(at(0.02).requests).toBeGreaterThan(at(0.001).requests ?? 0);
    expect(at(0.05)).toMatchObject({ requests: null, decides: false, heldUpBy: 'floor' });
  });

  it('hold for about nine of ten rehearsed stages', () => {
    const traffic = withTraffic(2_000, 0.002);
    const stages = [
      { name: 'assess' },
      { name: 'canary', soak: '1h', window: '6h', minimumKeys: 0, deadline: { hold: '20d', rollback: null } },
      { name: 'complete' },
    ];
    const plan = planSchema.parse({ route: 'chat', stages });
    const [canary] = estimatePlan(plan, traffic);
    const [, stage] = plan.stages;
    const [scenario] = SCENARIOS;
    if (stage === undefined || scenario === undefined) throw new Error('expected a stage and a scenario');
    const runs = Array.from({ length: 20 }, (_, seed) => rehearseStage({ stage, traffic, scenario, seed }));
    const inTime = runs.filter(
      ({ decision, afterMs }) => decision === 'promoted' && afterMs <= (canary?.likelyMs ?? 0),
    );
    expect(inTime.length).toBeGreaterThanOrEqual(17);
    expect(canary?.expectedMs).toBeGreaterThan(DAY_MS);
  });
});

describe('a plan that cannot decide', () => {
  it('is named one with later deadlines where those are near', () => {
    const suggestion = decidingPlan(standard, withTraffic(3_000));
    expect(suggestion?.changes).toEqual([
      { path: 'stages[1].deadline.hold', from: '3d', to: '5d' },
      { path: 'stages[1].deadline.rollback', from: '7d', to: '10d' },
      { path: 'stages[3].deadline.hold', from: '5d', to: '8d' },
    ]);
    expect(isDecidable(suggestion?.estimates ?? [])).toBe(true);
  });

  it('is named the small profile where they would be far', () => {
    const suggestion = decidingPlan(standard, withTraffic(500));
    expect(suggestion?.changes[0]).toEqual({ path: 'profile', from: 'standard', to: 'small' });
    expect(suggestion?.plan.stages.map(({ name }) => name)).toEqual(['assess', 'canary', 'complete']);
    expect(isDecidable(suggestion?.estimates ?? [])).toBe(true);
  });

  it('is named none where no plan of ours is enough, but the traffic that would be', () => {
    expect(decidingPlan(standard, withTraffic(5))).toBeNull();
    const least = leastTraffic(standard, withTraffic(5)) ?? 0;
    expect(isDecidable(estimatePlan(standard, withTraffic(least * 1.05)))).toBe(true);
    expect(isDecidable(estimatePlan(standard, withTraffic(least * 0.9)))).toBe(false);
    expect(leastTraffic(standard, withTraffic(100, 0.2))).toBeNull();
  });

  it('may be the small one as well, which then waits longer', () => {
    const suggestion = decidingPlan(small, withTraffic(100));
    expect(suggestion?.changes.map(({ path }) => path)).toContain('stages[1].deadline.hold');
    expect(suggestion?.changes.map(({ path }) => path)).not.toContain('profile');
  });
});

describe('traffic of a kind', () => {
  const whole = planSchema.parse({
    route: 'chat',
    stages: [
      { name: 'assess' },
      { name: 'canary', soak: '8h', window: '1h', deadline: { hold: '14h', rollback: '7d' } },
      { name: 'complete' },
    ],
  });
  // Rehearsing complete as well would take a minute and say nothing about canary.
  const quick = { ...whole, stages: whole.stages.filter(({ name }) => name !== 'complete') };

  it('is rehearsed: keys that fail together keep a stage from deciding that decides on even traffic', () => {
    const even = stageOf(estimatePlan(quick, withTraffic(60_000)), 'canary');
    expect(even).toMatchObject({ decides: true });
    expect(even.passed).toBeUndefined();
    const keyed = stageOf(estimatePlan(quick, { ...withTraffic(60_000), kind: 'sticky keys' }), 'canary');
    expect(keyed).toMatchObject({ decides: false, likelyMs: null, passed: { rehearsals: 10 } });
    expect(keyed.passed?.passes).toBeLessThan(5);
  });

  it('is rehearsed with its models as strata, which take no longer for an equal candidate', () => {
    const models = [0.5, 0.2, 0.1, 0.1, 0.1];
    const several = stageOf(estimatePlan(quick, { ...withTraffic(60_000), models }), 'canary');
    expect(several.decides).toBe(true);
    expect(several.passed?.passes).toBeGreaterThanOrEqual(9);
    expect(several.expectedMs).toBeLessThanOrEqual(14 * 3_600_000);
  });
});
