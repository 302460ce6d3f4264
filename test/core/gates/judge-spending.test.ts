import { MICRO_USD, type SpendingCounts } from '../../../src/core/evidence/spending-counts';
import type { StageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import {
  type JudgedSpending,
  judgedSpending,
  withSpending,
} from '../../../src/core/evidence/stage/stage-spending';
import { judgeSpending } from '../../../src/core/gates/judge-spending';
import { stageRates } from '../../../src/core/gates/stage-rates';
import type { StagePlan } from '../../../src/core/plan/plan';
import { planSchema } from '../../../src/core/plan/plan-schema';
import { type Random, seededRandom } from '../../../src/core/rehearsal/rehearsal';
import type { Arm } from '../../../src/core/routing/routing';
import { EvidenceStore } from '../../../src/gateway/evidence/evidence-store';
import { observation } from '../../support/gateways/gateway-fixture';
import { aCell, afterWindows, evidenceOf, judged, metricOf } from '../../support/migrations/gate-evidence';
import { drawLatencies, drawNormal, mostFalseDecisions } from '../../support/statistics-draws';

const COST = 'p95 cost per request';
const TOKENS = 'p95 output tokens per request';

/** Canary of the default plan with gates of its own. */
function canary(gates: Record<string, unknown>): StagePlan {
  const { stages } = planSchema.parse({
    route: 'chat',
    stages: [{ name: 'assess' }, { name: 'canary', gates }, { name: 'complete' }],
  });
  return stages[1] as StagePlan;
}

const REQUESTS = afterWindows([
  evidenceOf([aCell('legacy', { requests: 9_000 }), aCell('candidate', { requests: 1_000 })]),
]);

interface Spent {
  readonly legacy: readonly [count: number, median: number];
  readonly candidate: readonly [count: number, median: number];
  readonly unknown?: Readonly<Record<Arm, number>>;
}

function counts(
  measure: SpendingCounts['measure'],
  { legacy, candidate, unknown = { legacy: 0, candidate: 0 } }: Spent,
  seed = 1,
): SpendingCounts {
  const random = seededRandom(seed);
  const arm = (name: Arm, [count, median]: readonly [number, number]) => ({
    values: drawLatencies(count, median, 1, random),
    unknown: unknown[name],
    buckets: [],
  });
  return { measure, legacy: arm('legacy', legacy), candidate: arm('candidate', candidate) };
}

function spent(stage: StagePlan, windows: readonly (readonly SpendingCounts[])[]): StageEvidence {
  const gates = judgedSpending(stage);
  const spending = windows.reduce<ReturnType<typeof withSpending> | undefined>(
    (held, window) => withSpending(held, window, gates),
    undefined,
  );
  return { ...REQUESTS, spending: spending ?? withSpending(undefined, [], gates) };
}

describe('cost per request', () => {
  const stage = canary({ cost: {} });

  it.each([
    ['twice that of legacy', [9_000, 100], [2_000, 200], 'fail', true],
    ['that of legacy', [90_000, 100], [10_000, 100], 'pass', false],
    ['that of legacy, on few requests', [900, 100], [100, 100], 'inconclusive', false],
    ['a third less', [9_000, 100], [1_000, 66], 'pass', false],
  ] as const)('%s', (_, legacy, candidate, outcome, harm) => {
    const verdict = judged(stage, spent(stage, [[counts('cost', { legacy, candidate })]]));
    expect(metricOf(verdict, COST)).toMatchObject({ outcome, harm, unit: 'usd' });
    expect(verdict.harm).toBe(harm ? COST : null);
  });

  it('says what was compared, in USD', () => {
    const evidence = spent(stage, [[counts('cost', { legacy: [9_000, 1_000], candidate: [2_000, 2_000] })]]);
    const verdict = judged(stage, evidence);
    expect(verdict.sentence).toMatch(
      /^candidate p95 cost per request \$0.0\d+ against \$0.005\d+: \d+% more expensive, allowed 50%, e-value .* of 400 needed$/,
    );
    const metric = metricOf(verdict, COST);
    expect(metric.legacy).toBeCloseTo((1_000 * Math.exp(1.645)) / MICRO_USD, 3);
    expect(metric.n).toEqual({ legacy: 9_000, candidate: 2_000 });
  });

  it.each([
    ['nobody knows it', [], 'not known for any answer yet'],
    [
      'legacy does not',
      [counts('cost', { legacy: [0, 1], candidate: [900, 100] })],
      'not known for any answer of legacy',
    ],
    [
      'the candidate does not',
      [counts('cost', { legacy: [900, 100], candidate: [0, 1] })],
      'not known for any answer of the candidate yet; it is known where providers report usage, and `prices` in the configuration names the model',
    ],
    [
      'the candidate reports usage only now and then',
      [
        counts('cost', {
          legacy: [9_000, 100],
          candidate: [500, 100],
          unknown: { legacy: 0, candidate: 500 },
        }),
      ],
      "known for 50% of the candidate's answers and for 100% of legacy's",
    ],
  ])('holds the stage, not evaluated, where %s', (_, window, sentence) => {
    const verdict = judged(stage, spent(stage, [window]));
    expect(metricOf(verdict, COST)).toMatchObject({ outcome: 'not evaluated', harm: false });
    expect(metricOf(verdict, COST).sentence).toContain(sentence);
    expect(verdict.outcome).toBe('not evaluated');
  });

  it('is judged where both arms have as many answers without it, such as moderations', () => {
    const unknown = { legacy: 90_000, candidate: 10_000 };
    const window = counts('cost', { legacy: [90_000, 100], candidate: [10_000, 100], unknown });
    expect(metricOf(judged(stage, spent(stage, [[window]])), COST).outcome).toBe('pass');
  });

  it('does not pass on a rise that began late, and rolls back once it is certain', () => {
    const equal = Array.from({ length: 30 }, (_, index) => [
      counts('cost', { legacy: [1_800, 100], candidate: [200, 100] }, index),
    ]);
    const dear = (windows: number) =>
      Array.from({ length: windows }, (_, index) => [
        counts('cost', { legacy: [1_800, 100], candidate: [200, 250] }, 100 + index),
      ]);
    const outcome = (windows: number) =>
      metricOf(judged(stage, spent(stage, [...equal, ...dear(windows)])), COST);
    expect(outcome(0).outcome).toBe('pass');
    expect(outcome(1).outcome).toBe('inconclusive');
    expect(outcome(6).harm).toBe(true);
  });

  it('takes at most two kilobytes, however long the stage is', () => {
    const windows = Array.from({ length: 200 }, (_, index) => [
      counts('cost', { legacy: [900, 3_000], candidate: [100, 3_000] }, index),
    ]);
    expect(JSON.stringify(spent(stage, windows).spending).length).toBeLessThan(2_000);
  });

  it('is only shown where there is no control arm', () => {
    const { stages } = planSchema.parse({
      route: 'chat',
      holdback: 0,
      stages: [{ name: 'assess' }, { name: 'canary' }, { name: 'complete', gates: { cost: {} } }],
    });
    const complete = stages[2] as StagePlan;
    const evidence = spent(complete, [[counts('cost', { legacy: [0, 1], candidate: [900, 100] })]]);
    expect(metricOf(judged(complete, evidence), COST)).toMatchObject({
      ...{ role: 'report', outcome: 'not applicable', harm: false },
    });
  });

  it('is watched for harm alone where the plan has no promotion margin', () => {
    const watched = canary({ cost: { promotionIncrease: null } });
    const outcome = (median: number) =>
      metricOf(
        judged(
          watched,
          spent(watched, [[counts('cost', { legacy: [9_000, 100], candidate: [1_500, median] })]]),
        ),
        COST,
      ).outcome;
    expect(outcome(120)).toBe('pass');
    expect(outcome(220)).toBe('fail');
  });
});

describe('output tokens', () => {
  it('are judged beside cost, each with half of their part of alpha', () => {
    const stage = canary({ cost: {}, outputTokens: { quantile: 0.5, ignoreBelowTokens: 0 } });
    const window = [
      counts('cost', { legacy: [9_000, 100], candidate: [1_000, 100] }),
      counts('outputTokens', { legacy: [9_000, 100], candidate: [1_000, 200] }),
    ];
    const verdict = judged(stage, spent(stage, [window]));
    const tokens = metricOf(verdict, 'p50 output tokens per request');
    expect(tokens).toMatchObject({ harm: true, unit: 'tokens', threshold: 800 });
    expect(tokens.sentence).toMatch(/tokens per request \d+ against 1\d\d|9\d: \d+% more, allowed 50%/);
    expect(stage.alpha).toMatchObject({
      rollback: expect.closeTo(0.0225, 12),
      spending: expect.closeTo(0.0025, 12),
    });
  });

  it('differ by nothing where they differ by fewer tokens than the plan ignores', () => {
    const one = (median: number, count: number) => ({
      values: drawLatencies(count, median, 0.05, seededRandom(median)),
      unknown: 0,
      buckets: [],
    });
    const window = { measure: 'outputTokens', legacy: one(2, 9_000), candidate: one(5, 1_000) } as const;
    const outcome = (ignoreBelowTokens: number) => {
      const stage = canary({ outputTokens: { ignoreBelowTokens } });
      return metricOf(judged(stage, spent(stage, [[window]])), TOKENS).outcome;
    };
    expect(outcome(0)).toBe('fail');
    expect(outcome(10)).toBe('pass');
  });

  it('are not there in plans that do not judge them, and leave the alpha of others as it was', () => {
    const plain = canary({});
    const stage = canary({ outputTokens: {} });
    const evidence = spent(stage, [
      [counts('outputTokens', { legacy: [9_000, 100], candidate: [1_000, 300] })],
    ]);
    expect(judged(plain, evidence).metrics.some(({ metric }) => metric === TOKENS)).toBe(false);
    expect(plain.alpha).not.toHaveProperty('spending');
  });
});

/** What a gateway counted of some traffic whose keys have lengths of their own, as the judge is given it. */
function keyedTraffic(
  { keys, share, windows, factor }: { keys: number; share: number; windows: number; factor: number },
  random: Random,
) {
  const store = new EvidenceStore('one');
  const levels = Array.from({ length: keys }, () => Math.exp(drawNormal(random)));
  const arms = levels.map((): Arm => (random() < share ? 'candidate' : 'legacy'));
  const weights = levels.map((_, rank) => 1 / (rank + 1) ** 0.5);
  const ends: number[] = [];
  weights.reduce((sum, weight, index) => {
    ends[index] = sum + weight;
    return sum + weight;
  }, 0);
  let cursor: string | undefined;
  return Array.from({ length: windows }, () => {
    for (let request = 0; request < 1_500; request += 1) {
      const at = random() * (ends.at(-1) ?? 0);
      const key = ends.findIndex((end) => at < end);
      const arm = arms[key] ?? 'legacy';
      const length = 200 * (levels[key] ?? 1) * Math.exp(0.2 * drawNormal(random));
      const tokensOut = Math.ceil(length * (arm === 'candidate' ? factor : 1));
      store.record(observation({ side: arm, bucket: key % 256, tokensOut, costUsd: tokensOut / MICRO_USD }));
    }
    const reading = store.read(1, cursor);
    cursor = reading.cursor;
    return reading.evidence.spending ?? [];
  });
}

describe('with sticky keys of lengths of their own', () => {
  const ALPHA = 0.05;
  const RUNS = 40;
  const RATES = stageRates(REQUESTS);
  /** All of alpha for one measure, so that few runs show a wrong one. */
  const base = canary({ outputTokens: { ignoreBelowTokens: 0, rollbackIncrease: 0.1 } });
  const stage: StagePlan = { ...base, share: 0.5, alpha: { ...base.alpha, spending: ALPHA } };
  const gates: JudgedSpending[] = judgedSpending(stage);

  it('an equal candidate is rolled back at most at alpha; undeflated it would be more often', () => {
    const wrong = { deflated: 0, undeflated: 0 };
    for (let run = 0; run < RUNS; run += 1) {
      const windows = keyedTraffic({ keys: 100, share: 0.5, windows: 6, factor: 1 }, seededRandom(run + 1));
      const harms = (deflates: boolean) => {
        let held: ReturnType<typeof withSpending> | undefined;
        return windows.some((window) => {
          held = withSpending(held, window, gates);
          const spending = deflates ? held : held.map((each) => ({ ...each, keys: null }));
          const evidence = { ...REQUESTS, spending };
          const input = { stage, rates: RATES, evidence, baseline: null, foresees: false };
          return judgeSpending(input).some(({ harm }) => harm);
        });
      };
      wrong.deflated += Number(harms(true));
      wrong.undeflated += Number(harms(false));
    }
    expect(wrong.deflated).toBeLessThanOrEqual(mostFalseDecisions(RUNS, ALPHA));
    expect(wrong.undeflated).toBeGreaterThan(mostFalseDecisions(RUNS, ALPHA));
  });
});
