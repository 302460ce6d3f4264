import { NO_PAIRS, type PairCounts, type PairRow } from '../../../src/core/evidence/pair-counts';
import { noStageEvidence, type StageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { boundFor, type StagePairs, withPairs } from '../../../src/core/evidence/stage/stage-pairs';
import { judgeShadow } from '../../../src/core/gates/shadow/judge-shadow';
import { stageRates } from '../../../src/core/gates/stage-rates';
import type { StagePlan } from '../../../src/core/plan/plan';
import { planSchema } from '../../../src/core/plan/plan-schema';
import { type Random, seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { aStage, EPOCH, judged, metricOf } from '../../support/migrations/gate-evidence';
import { mostFalseDecisions } from '../../support/statistics-draws';

/** The shadow stage of a plan, with fields of its own. */
function shadowStage(said: Record<string, unknown> = {}): StagePlan {
  const { stages } = planSchema.parse({
    route: 'chat',
    stages: [
      { name: 'assess' },
      { name: 'shadow', mirror: '5%', maxCostUsd: 5, ...said },
      { name: 'canary' },
      { name: 'complete' },
    ],
  });
  return stages[1] as StagePlan;
}

const BOUNDS = { latency: boundFor(0.5), outputTokens: boundFor(0.5), cost: boundFor(0.5) };
const NOTHING = stageRates(noStageEvidence(EPOCH));

interface Said {
  readonly lost?: number;
  readonly won?: number;
  readonly tied?: number;
  readonly unchecked?: number;
  /** By bucket. */
  readonly rows?: readonly PairRow[];
  /** Pairs at or below the first bound, then above each. */
  readonly latency?: readonly number[];
  readonly cost?: readonly number[];
  readonly reasons?: PairCounts['lost'];
}

function pairs(said: Said): PairCounts {
  const { lost = 0, won = 0, tied = 0, unchecked = 0, latency, cost, reasons = {} } = said;
  const copies = lost + won + tied + unchecked;
  return {
    ...NO_PAIRS,
    answers: said.rows ?? [[-1, lost, won, tied, unchecked]],
    latency: latency === undefined ? [[-1, copies, 0, 0, 0, 0, 0, 0, 0]] : [[-1, ...latency]],
    cost: cost === undefined ? [] : [[-1, ...cost]],
    lost: reasons,
    ...{ copies, costUsd: copies * 0.001 },
  };
}

function keptOf(windows: readonly PairCounts[]): StageEvidence {
  const held = windows.reduce<StagePairs | undefined>((sum, now) => withPairs(sum, now, BOUNDS), undefined);
  return { ...noStageEvidence(EPOCH), ...(held === undefined ? {} : { pairs: held }) };
}

describe('a shadow stage', () => {
  it.each([
    ['passes where pairs are alike', { lost: 3, won: 4, tied: 1_000 }, 'pass', null],
    ['is inconclusive on few', { lost: 0, won: 0, tied: 40 }, 'inconclusive', null],
    ['rejects what loses', { lost: 40, won: 8, tied: 900 }, 'fail', 'pairs'],
    ['passes what wins', { lost: 8, won: 40, tied: 900 }, 'pass', null],
    ['does not pass what seems to lose', { lost: 14, won: 4, tied: 6_000 }, 'inconclusive', null],
    ['is not evaluated where too many are unchecked', { tied: 700, unchecked: 300 }, 'not evaluated', null],
  ] as const)('%s', (_, said, outcome, harm) => {
    const verdict = judged(shadowStage(), keptOf([pairs(said)]));
    expect(verdict).toMatchObject({ outcome, harm });
  });

  it('says what was lost, and by what', () => {
    const seen = pairs({ lost: 40, won: 8, tied: 900, reasons: { tool_schema: 30, status_5xx: 10 } });
    expect(judged(shadowStage(), keptOf([seen])).sentence).toMatch(
      /^of 948 pairs the candidate lost 40 and won 8, mostly by tool arguments outside their schema \(30\), e-value .* of 60 needed$/,
    );
  });

  it('is not evaluated before a pair has come, and says why', () => {
    const verdict = judged(shadowStage(), noStageEvidence(EPOCH));
    expect(verdict.outcome).toBe('not evaluated');
    expect(metricOf(verdict, 'pairs').sentence).toContain("no pair of answers yet: 5% of legacy's requests");
    const uncompared = { ...NO_PAIRS, copies: 9, costUsd: 1 };
    expect(metricOf(judged(shadowStage(), keptOf([uncompared])), 'pairs').sentence).toContain(
      'of 9 copies none could be compared',
    );
  });

  it('asks for as many pairs as the plan says, and shows what they cost', () => {
    const verdict = judged(shadowStage({ minimumSample: 2_000 }), keptOf([pairs({ tied: 1_000 })]));
    expect(metricOf(verdict, 'minimum sample')).toMatchObject({ outcome: 'inconclusive' });
    expect(metricOf(verdict, 'copies').sentence).toBe('1,000 copies for $1 of at most $5');
  });

  it('finds losses that begin late', () => {
    const windows = [
      ...Array.from({ length: 40 }, () => pairs({ lost: 1, won: 1, tied: 98 })),
      ...Array.from({ length: 10 }, () => pairs({ lost: 6, won: 1, tied: 93 })),
    ];
    expect(judged(shadowStage(), keptOf(windows)).harm).toBe('pairs');
    expect(JSON.stringify(keptOf(windows).pairs).length).toBeLessThan(2_500);
  });

  it('rejects where more than half of the pairs take longer than the margin, and not where fewer do', () => {
    const verdict = (slow: number) =>
      judged(shadowStage(), keptOf([pairs({ tied: 500, latency: [0, 0, 0, 500 - slow, slow, 0, 0, 0] })]));
    expect(verdict(350).harm).toBe('pair latency');
    expect(verdict(350).sentence).toMatch(
      /took longer than legacy in 100%, and by more than 50% in 70%, at most half/,
    );
    expect(verdict(240)).toMatchObject({ harm: null, outcome: 'pass' });
  });

  it('judges cost where the plan does, for harm and as a goal', () => {
    const stage = shadowStage({ gates: { cost: { rollbackIncrease: 0.5, promotionIncrease: 0.2 } } });
    const verdict = (cost: readonly number[]) => judged(stage, keptOf([pairs({ tied: 1_000, cost })]));
    expect(verdict([900, 50, 25, 15, 10, 0, 0, 0]).outcome).toBe('pass');
    expect(verdict([0, 0, 100, 800, 100, 0, 0, 0])).toMatchObject({ outcome: 'inconclusive', harm: null });
    expect(verdict([0, 0, 0, 0, 900, 100, 0, 0]).harm).toBe('pair cost');
    expect(judged(stage, keptOf([pairs({ tied: 1_000 })])).outcome).toBe('not evaluated');
  });

  it('divides pairs by how far those of one key go together', () => {
    const spread = Array.from(
      { length: 30 },
      (_, bucket): PairRow => [bucket, 2, bucket % 4 === 0 ? 1 : 0, 40, 0],
    );
    const oneKey: PairRow[] = [
      [3, 60, 0, 40, 0],
      [7, 0, 8, 1_160, 0],
    ];
    const verdict = (rows: readonly PairRow[]) => judged(shadowStage(), keptOf([pairs({ rows })]));
    expect(verdict(spread).harm).toBe('pairs');
    expect(verdict(oneKey).harm).toBeNull();
  });

  it('is reported in later stages that copy as well, and judged in none of them', () => {
    const evidence = keptOf([pairs({ lost: 60, won: 8, tied: 900 })]);
    const verdict = judged(aStage('canary'), evidence);
    expect(metricOf(verdict, 'pairs')).toMatchObject({
      role: 'report',
      outcome: 'not applicable',
      harm: false,
    });
  });
});

/** Draws windows of pairs until the stage decides; how many pairs that took, null where it was not rejected. */
function rejectedAfter(
  rates: { readonly lost: number; readonly won: number },
  { most, judge }: { readonly most: number; readonly judge: (evidence: StageEvidence) => boolean },
  random: Random,
): number | null {
  let held: StagePairs | undefined;
  for (let seen = 50; seen <= most; seen += 50) {
    let [lost, won] = [0, 0];
    for (let pair = 0; pair < 50; pair += 1) {
      const at = random();
      if (at < rates.lost) lost += 1;
      else if (at < rates.lost + rates.won) won += 1;
    }
    held = withPairs(held, pairs({ lost, won, tied: 50 - lost - won }), BOUNDS);
    if (judge({ ...noStageEvidence(EPOCH), pairs: held })) return seen;
  }
  return null;
}

describe('pairs, by simulation', () => {
  const stage = shadowStage();
  const isHarm = (evidence: StageEvidence) =>
    judgeShadow({ stage, rates: NOTHING, evidence, baseline: null, foresees: false }).some(
      ({ harm }) => harm,
    );

  it('reject a candidate that loses 2% of the pairs more than it wins within 1,500 pairs on average', () => {
    const taken = Array.from({ length: 100 }, (_, run) => {
      const random = seededRandom(run + 1);
      return rejectedAfter({ lost: 0.03, won: 0.01 }, { most: 20_000, judge: isHarm }, random) ?? 20_000;
    });
    const mean = taken.reduce((sum, count) => sum + count, 0) / taken.length;
    expect(mean).toBeLessThan(1_500);
  });

  it('reject an equal candidate at most at alpha; by the rates as if they were looked at once they would more often', () => {
    const runs = 200;
    const alpha = 0.05;
    const all: StagePlan = { ...stage, alpha: { ...stage.alpha, rollback: alpha } };
    const isHarmAtAlpha = (evidence: StageEvidence) =>
      judgeShadow({ stage: all, rates: NOTHING, evidence, baseline: null, foresees: false }).some(
        ({ harm }) => harm,
      );
    // McNemar's test at each look, which is for one look.
    const isSignificant = (evidence: StageEvidence) => {
      const { sentence } = metricOf(judged(all, evidence), 'pairs');
      const said = /lost (\d+) and won (\d+)/.exec(sentence);
      const [lost, won] = [Number(said?.[1]), Number(said?.[2])];
      return lost + won >= 10 && (lost - won) / Math.sqrt(lost + won) > 1.645;
    };
    const wrong = { ours: 0, once: 0 };
    for (let run = 0; run < runs; run += 1) {
      const rates = { lost: 0.02, won: 0.02 };
      const rejected = (judge: (evidence: StageEvidence) => boolean) =>
        rejectedAfter(rates, { most: 3_000, judge }, seededRandom(run + 1)) !== null;
      wrong.ours += Number(rejected(isHarmAtAlpha));
      if (run < 40) wrong.once += Number(rejected(isSignificant));
    }
    expect(wrong.ours).toBeLessThanOrEqual(mostFalseDecisions(runs, alpha));
    expect(wrong.once).toBeGreaterThan(mostFalseDecisions(40, alpha));
  });
});
