import {
  alphaAtEntry,
  alphaAtStep,
  GUARDRAIL_WEIGHTS,
  orderWeight,
  POOL_WEIGHT,
} from '../../../src/core/gates/alpha-spending';
import { judgedStage } from '../../../src/core/gates/judged-stage';
import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import {
  addCounts,
  appendWindow,
  type DetectorState,
  detectRate,
  NO_WINDOWS,
  type RateCounts,
} from '../../../src/core/statistics/change-detector';
import { ratioExceeds } from '../../../src/core/statistics/rate-ratio';
import {
  aCell,
  afterWindows,
  aStage,
  evidenceOf,
  judged,
  metricOf,
} from '../../support/migrations/gate-evidence';
import { aPlan, givenMigration, MigrationWorld, OVERTAKEN } from '../../support/migrations/migration-world';
import { drawEvents, drawLatencies, mostFalseDecisions } from '../../support/statistics-draws';

const PLAN = { rollback: 0.05, promotion: 0.05, weights: GUARDRAIL_WEIGHTS };
const ENTRIES = Array.from({ length: 1_000 }, (_, index) => index + 1);
const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

it('divides what an entry may spend over the shares of a ramp, and adds nothing to it', () => {
  const whole = alphaAtEntry({ ...PLAN, outcomes: 0.2 }, 1, 1);
  const steps = [1, 2, 3, 4].map((step) => alphaAtStep(whole, { step, of: 4 }));
  expect(sum(steps.map(({ rollback }) => rollback))).toBeCloseTo(whole.rollback, 12);
  expect(sum(steps.map(({ outcomes = 0 }) => outcomes))).toBeCloseTo(whole.outcomes ?? 0, 12);
  expect(steps.at(-1)?.rollback).toBe(whole.rollback / 2);
  expect(alphaAtStep(whole, { step: 1, of: 1 })).toEqual(whole);
});

describe('alpha over the entries of a migration', () => {
  it('is half, a quarter, an eighth for stages that are entered once', () => {
    expect([1, 2, 3].map((entry) => alphaAtEntry(PLAN, entry, entry).rollback)).toEqual([
      0.025, 0.0125, 0.00625,
    ]);
    expect(aPlan().stages.map(({ alpha }) => alpha.rollback)).toEqual([0.025, 0.025, 0.0125, 0.00625]);
  });

  it('adds up to at most the alpha of the plan, however often a stage is entered', () => {
    const spent = sum(ENTRIES.map((entry) => alphaAtEntry(PLAN, entry, 1).rollback));
    expect(spent).toBeLessThanOrEqual(PLAN.rollback);
    expect(spent).toBeGreaterThan(PLAN.rollback * 0.99);
    const sameEachTime = sum(ENTRIES.map(() => alphaAtEntry(PLAN, 1, 1).rollback));
    expect(sameEachTime).toBeGreaterThan(PLAN.rollback);
  });

  it('adds up to at most the alpha of a promotion, for each stage by itself', () => {
    const spent = sum(ENTRIES.map((entry) => alphaAtEntry(PLAN, entry, 1).promotion));
    expect(spent).toBeLessThanOrEqual(PLAN.promotion);
    expect(alphaAtEntry(PLAN, 3, 3).promotion).toBeCloseTo(0.045, 12);
  });

  it.each([
    ['by parts that are fixed beforehand', (entry: number) => alphaAtEntry(PLAN, entry, 1).rollback, false],
    ['with the same alpha each time, which is wrong', () => PLAN.rollback / 2, true],
  ] as const)('rolls back at most at its alpha over sixty entries at the margin: %s', (_, alphaOf, wrong) => {
    const judge = ratioExceeds(1.5, 0.1);
    const runs = 200;
    let found = 0;
    for (let run = 0; run < runs; run += 1) {
      const random = seededRandom(run);
      const hit = Array.from({ length: 60 }, (_each, index) => index + 1).some((entry) => {
        let state: DetectorState<RateCounts> = NO_WINDOWS;
        for (let window = 0; window < 20; window += 1) {
          const counts = { successes: drawEvents(40, 0.15 / 1.05, random), trials: 40 };
          state = appendWindow(state, counts, addCounts);
          if (detectRate(state, judge) >= -Math.log(alphaOf(entry))) return true;
        }
        return false;
      });
      if (hit) found += 1;
    }
    expect(found > mostFalseDecisions(runs, PLAN.rollback)).toBe(wrong);
  });

  it('is given to each entry by its number: a reapply, a rollback to the stage before, and what follows', () => {
    const world = givenMigration().reaches('canary');
    const rollback = () => judgedStage(world.state).alpha.rollback;
    expect(rollback()).toBe(0.025);
    world.watches({ drift: OVERTAKEN }).says('resume', { accept: 'reapply', by: 'ana' }).applies();
    expect(world.state.stage.entry).toBe(2);
    expect(rollback()).toBe(0.0125);
    world.reaches('rolling');
    expect(rollback()).toBe(0.00625);
    world.says('rollback', { to: 'previous', by: 'ana' }).applies();
    expect(world.stage).toBe('canary');
    expect(rollback()).toBeCloseTo(0.05 / 24, 12);
    expect(judgedStage(world.state).alpha.promotion).toBeCloseTo(0.05 * (0.1 / 12), 12);
  });

  it('stays what a plan of an older release gives its stages', () => {
    const { alpha: _absent, ...plan } = aPlan();
    const world = new MigrationWorld(plan)
      .reaches('canary')
      .watches({ drift: OVERTAKEN })
      .says('resume', { accept: 'reapply', by: 'ana' })
      .applies();
    expect(judgedStage(world.state).alpha).toBe(plan.stages[1]?.alpha);
  });
});

describe('weights of guardrails', () => {
  it('add up to 1 in a plan', () => {
    expect(sum(Object.values(aPlan().alpha?.weights ?? {}))).toBeCloseTo(1, 12);
  });

  it('of models and shapes add up to at most 1 with what is pooled, however many come', () => {
    for (const first of [1, 3, 10]) {
      const all = sum(Array.from({ length: 500 }, (_, index) => orderWeight(index, first)));
      expect(all + POOL_WEIGHT).toBeLessThanOrEqual(1);
    }
  });

  it('do not move when another model comes', () => {
    const stage = aStage('canary');
    const draw = seededRandom(1);
    // A verdict lists the latency that is nearest to harm: that of the model in question.
    const models = (names: readonly string[], slower: string) =>
      evidenceOf(
        (['legacy', 'candidate'] as const).flatMap((arm) =>
          names.map((model) => {
            const median = arm === 'candidate' && model === slower ? 400 : 200;
            return aCell(arm, { model, requests: 300, latencies: drawLatencies(300, median, 0.4, draw) });
          }),
        ),
      );
    const threshold = (windows: readonly (readonly string[])[], name: string) => {
      const slower = /, (.)$/.exec(name)?.[1] ?? 'a';
      const evidence = afterWindows(windows.map((names) => models(names, slower)));
      return metricOf(judged(stage, evidence), name).threshold;
    };
    const alone = threshold([['a']], 'p95 of plain answers');
    expect(threshold([['a'], ['a', 'b']], 'p95 of plain answers, a')).toBe(alone);
    expect(threshold([['a'], ['a', 'b', 'c', 'd']], 'p95 of plain answers, a')).toBe(alone);
    const two = ['a', 'b'];
    const four = ['a', 'b', 'c', 'd'];
    expect(threshold([['a'], four, four, four], 'p95 of plain answers, b')).toBe(
      threshold([['a'], two, two, two], 'p95 of plain answers, b'),
    );
    expect(threshold([['a'], ['a', 'b']], 'floor')).toBe(threshold([['a']], 'floor'));
  });

  it('of models in which nothing failed are not given to the others', () => {
    const stage = aStage('canary');
    const failing = (model: string) => [
      aCell('legacy', { model, requests: 900, failures: 3 }),
      aCell('candidate', { model, requests: 100, failures: 6 }),
    ];
    const healthy = (model: string) => [
      aCell('legacy', { model, requests: 900 }),
      aCell('candidate', { model, requests: 100 }),
    ];
    const eValue = (cells: readonly ReturnType<typeof aCell>[]) =>
      judged(stage, afterWindows([evidenceOf([...cells])])).metrics.find(({ metric }) => metric === 'errors')
        ?.eValue ?? 0;
    const two = eValue([...failing('a'), ...failing('b')]);
    const five = eValue([...failing('a'), ...failing('b'), ...['c', 'd', 'e'].flatMap(healthy)]);
    expect(five).toBeLessThan(two);
  });
});
