import {
  addJudged,
  type JudgedSums,
  judgedBuckets,
  judgedSums,
  type StageJudge,
  type UnjudgedReason,
} from '../../evidence/judge-counts';
import { detect } from '../../statistics/change-detector';
import { pairsDesignEffect } from '../../statistics/design-effect';
import { meanBelow } from '../../statistics/mean-difference';
import {
  eValueOf,
  evidenceText,
  metricVerdict,
  percentText,
  pointsText,
  SEEMING,
  shownHarm,
} from '../gate-metric';
import { clusterText, type JudgingFacts } from '../stage-rates';
import { type MetricVerdict, PAIRS } from '../verdict';

/** The metric of a judge's word on pairs of answers, in verdicts of a shadow stage whose plan has a judge. */
export const JUDGED_PAIRS = `${PAIRS}s judged`;

/** A judge that cannot be read, or does not answer, this often says nothing. */
const UNREADABLE_MOST = 0.2;

/**
 * A judge's word on pairs of answers: each is lost (0), tied (a half) or won (1), and H0 says that their mean is at least a
 * half less half the margin. Pairs are paired data, so the two answers of one pair are compared and never two arms.
 */
export function judgePreference({ stage, evidence }: JudgingFacts): MetricVerdict[] {
  const { judge, alpha } = stage;
  if (judge === undefined) return [];
  const held = evidence.judge;
  const sums = held === undefined ? { windows: 0, segments: [] } : judgedSums(held);
  const all = sums.segments.map((segment) => segment.evidence).reduce(addJudged, [0, 0, 0]);
  const [lost, won, tied] = all;
  const n = lost + won + tied;
  const { unjudged = {}, costUsd = 0 } = held ?? {};
  const missing = Object.values(unjudged).reduce((sum, count) => sum + count, 0);
  const numbers = {
    metric: JUDGED_PAIRS,
    unit: 'rate',
    role: 'guardrail and goal',
    n: { legacy: n, candidate: n },
    margin: judge.harm,
    ...(n === 0 ? {} : { legacy: won / n, candidate: lost / n, estimate: (lost - won) / n }),
    judged: { won, lost, tied, unjudged: missing, costUsd },
  } as const;
  const spent = `$${Number(costUsd.toPrecision(3))} of at most $${judge.maxCostUsd}`;
  const rest = `${unjudgedText(unjudged)}; ${spent}`;
  const { unreadable = 0, failed = 0 } = unjudged;
  if (n === 0) {
    const sentence = `${judge.model} has judged no pair yet${rest}`;
    return [metricVerdict({ ...numbers, outcome: 'not evaluated', sentence })];
  }
  const deflator = held === undefined ? 1 : pairsDesignEffect(judgedBuckets(held));
  const grid = (of: JudgedSums) => [of[0], of[2], of[1]].map((count) => count / deflator);
  const logHarm = detect(sums, addJudged, (since) => meanBelow(grid(since), (1 - judge.harm) / 2));
  const chance = alpha.outcomes ?? alpha.rollback;
  const said = `of ${n.toLocaleString('en-US')} pairs that ${judge.model} judged the candidate lost ${lost} and won ${won}${clusterText(deflator, 'they')}`;
  const against = `${said}: ${pointsText((lost - won) / n)} more lost than won, allowed ${pointsText(judge.harm)}, ${evidenceText(logHarm, chance)}`;
  if (logHarm >= -Math.log(chance)) {
    const harm = shownHarm(logHarm, chance);
    return [metricVerdict({ ...numbers, ...harm, sentence: `${against}${rest}` })];
  }
  if (unreadable + failed > UNREADABLE_MOST * (n + unreadable + failed)) {
    const part = percentText((unreadable + failed) / (n + unreadable + failed));
    const sentence = `${said}; ${part} of its judgements are unreadable or missing, at most ${percentText(UNREADABLE_MOST)} are allowed${rest}`;
    return [metricVerdict({ ...numbers, outcome: 'not evaluated', sentence })];
  }
  const seems = logHarm >= SEEMING ? '; apparently worse' : '';
  const few = n >= judge.minimum ? '' : `; ${n} of ${judge.minimum} judged pairs`;
  return [
    metricVerdict({
      ...numbers,
      outcome: seems === '' && few === '' ? 'pass' : 'inconclusive',
      ...{ eValue: eValueOf(logHarm), threshold: 1 / chance },
      sentence: `${against}${few}${seems}${rest}`,
    }),
  ];
}

const REASON_TEXTS: Readonly<Record<UnjudgedReason, string>> = {
  unreadable: 'unreadable',
  failed: 'without an answer from the judge',
  'too long': 'too long',
  busy: 'without room or a turn',
  'no money': 'with too little money left',
};

function unjudgedText(unjudged: StageJudge['unjudged']): string {
  const reasons = (Object.entries(unjudged) as [UnjudgedReason, number][]).filter(([, count]) => count > 0);
  if (reasons.length === 0) return '';
  const all = reasons.reduce((sum, [, count]) => sum + count, 0);
  const each = reasons.map(([reason, count]) =>
    reasons.length === 1 ? REASON_TEXTS[reason] : `${count} ${REASON_TEXTS[reason]}`,
  );
  return `; ${all} not judged (${each.join(', ')})`;
}
