import {
  type JudgeCounts,
  NOTHING_JUDGED,
  type StageJudge,
  withJudge,
} from '../../../src/core/evidence/judge-counts';
import { noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { JUDGED_PAIRS, judgePreference } from '../../../src/core/gates/shadow/judge-preference';
import { stageRates } from '../../../src/core/gates/stage-rates';
import type { StagePlan } from '../../../src/core/plan/plan';
import { planSchema } from '../../../src/core/plan/plan-schema';
import { type Random, seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { EPOCH } from '../../support/migrations/gate-evidence';
import { mostFalseDecisions } from '../../support/statistics-draws';

function shadowStage(judge: Record<string, unknown> = {}): StagePlan {
  const { stages } = planSchema.parse({
    route: 'chat',
    judge: { provider: 'openai', model: 'arbiter', maxCostUsd: 2, ...judge },
    stages: [
      { name: 'assess' },
      { name: 'shadow', mirror: '5%', maxCostUsd: 5 },
      { name: 'canary' },
      { name: 'complete' },
    ],
  });
  return stages[1] as StagePlan;
}

const pairs = (
  [lost, won, tied]: readonly [number, number, number],
  unjudged: JudgeCounts['unjudged'] = {},
): JudgeCounts => ({ rows: [[-1, lost, won, tied]], unjudged, costUsd: 0.25 });

const NO_RATES = stageRates(noStageEvidence(EPOCH));

function verdictOf(windows: readonly JudgeCounts[], stage = shadowStage()) {
  const held = windows.reduce<StageJudge | undefined>((sum, now) => withJudge(sum, now), undefined);
  const evidence = { ...noStageEvidence(EPOCH), ...(held === undefined ? {} : { judge: held }) };
  const [metric] = judgePreference({ stage, rates: NO_RATES, evidence, baseline: null, foresees: true });
  if (metric === undefined) throw new Error('expected a verdict');
  return metric;
}

describe('pairs by the word of a judge', () => {
  it.each([
    ['as many lost as won', [40, 40, 20], {}, 'pass', false],
    ['far more lost than won', [90, 10, 20], {}, 'fail', true],
    ['more lost than won, within the margin', [52, 48, 100], {}, 'pass', false],
    ['too few to pass', [10, 10, 10], {}, 'inconclusive', false],
    ['nothing judged', [0, 0, 0], { failed: 9 }, 'not evaluated', false],
    ['a judge that answers prose', [20, 20, 20], { unreadable: 30 }, 'not evaluated', false],
    ['a judge out of money after enough', [40, 40, 20], { 'no money': 500 }, 'pass', false],
    ['harm in spite of a judge that is often silent', [90, 10, 20], { failed: 60 }, 'fail', true],
  ] as const)('%s', (_, counts, unjudged, outcome, harm) => {
    expect(verdictOf([pairs(counts, unjudged)])).toMatchObject({ metric: JUDGED_PAIRS, outcome, harm });
  });

  it('says what was judged, what was not and why, and what it cost', () => {
    const verdict = verdictOf([pairs([40, 38, 20], { unreadable: 3, 'no money': 12 })]);
    expect(verdict.sentence).toMatch(
      /^of 98 pairs that arbiter judged the candidate lost 40 and won 38: 2.04 points more lost than won, allowed 10 points, e-value \S+ of 200 needed; 15 not judged \(3 unreadable, 12 with too little money left\); \$0.25 of at most \$2$/,
    );
    expect(verdict.judged).toEqual({ won: 38, lost: 40, tied: 20, unjudged: 15, costUsd: 0.25 });
  });

  it('is not evaluated before a pair was judged, and absent without a judge', () => {
    expect(verdictOf([]).sentence).toBe('arbiter has judged no pair yet; $0 of at most $2');
    const { judge: _, ...without } = shadowStage();
    const judged = { stage: without, rates: NO_RATES, evidence: noStageEvidence(EPOCH), baseline: null };
    expect(judgePreference({ ...judged, foresees: true })).toEqual([]);
  });

  it('finds losses that begin late', () => {
    const windows = [
      ...Array.from({ length: 40 }, () => pairs([2, 2, 6])),
      ...Array.from({ length: 10 }, () => pairs([9, 0, 1])),
    ];
    expect(verdictOf(windows).harm).toBe(true);
  });

  it('divides pairs by how far those of one key go together', () => {
    const spread = Array.from(
      { length: 30 },
      (_, bucket) => [bucket, 3, bucket % 4 === 0 ? 1 : 0, 0] as const,
    );
    const oneKey = [[3, 90, 0, 0] as const, [7, 0, 8, 0] as const];
    expect(verdictOf([{ ...NOTHING_JUDGED, rows: spread }]).harm).toBe(true);
    expect(verdictOf([{ ...NOTHING_JUDGED, rows: oneKey }]).harm).toBe(false);
  });
});

/** Half of the pairs are ties; those with a winner are lost with this chance. */
function drawn(random: Random, lost: number): [number, number, number] {
  const counts: [number, number, number] = [0, 0, 0];
  for (let pair = 0; pair < 20; pair += 1) {
    counts[random() < 0.5 ? 2 : random() < lost ? 0 : 1] += 1;
  }
  return counts;
}

it('rejects a candidate exactly at the margin in at most alpha of runs that look every 20 pairs', () => {
  const random = seededRandom(7);
  const stage = shadowStage();
  const judged = { ...stage, alpha: { ...stage.alpha, outcomes: 0.05 } };
  const runs = 150;
  let [wrong, naive] = [0, 0];
  for (let run = 0; run < runs; run += 1) {
    const windows: JudgeCounts[] = [];
    const sum = [0, 0, 0];
    let [rejected, seemed] = [false, false];
    for (let window = 0; window < 25; window += 1) {
      // 60% of those with a winner, half of all: 10 points more lost than won.
      const counts = drawn(random, 0.6);
      windows.push(pairs(counts));
      counts.forEach((count, index) => {
        sum[index] = (sum[index] as number) + count;
      });
      rejected ||= verdictOf(windows, judged).harm;
      // The same by a one-sided z-test of the difference at 5%, at every look.
      const [lost = 0, won = 0, tied = 0] = sum;
      const n = lost + won + tied;
      const mean = (lost - won) / n;
      seemed ||= (mean - 0.1) / Math.sqrt(((lost + won) / n - mean * mean) / n) > 1.645;
    }
    wrong += rejected ? 1 : 0;
    naive += seemed ? 1 : 0;
  }
  expect(wrong).toBeLessThanOrEqual(mostFalseDecisions(runs, 0.05));
  expect(naive).toBeGreaterThan(mostFalseDecisions(runs, 0.05));
});
