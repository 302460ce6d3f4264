import type { BreachClass } from '../../evidence/breach-classes';
import { RATIO_BOUNDS, type RatioAspect } from '../../evidence/pair-counts';
import {
  addSums,
  boundFor,
  type PairSums,
  pairBuckets,
  pairSums,
  type StagePairs,
} from '../../evidence/stage/stage-pairs';
import type { StagePlan } from '../../plan/plan';
import { type DetectorState, detect } from '../../statistics/change-detector';
import { pairsDesignEffect } from '../../statistics/design-effect';
import { meanAbove, meanBelow } from '../../statistics/mean-difference';
import {
  eValueOf,
  evidenceText,
  goalReached,
  metricVerdict,
  percentText,
  pointsText,
  SEEMING,
  shownHarm,
} from '../gate-metric';
import { clusterText, type JudgingFacts } from '../stage-rates';
import { type MetricVerdict, PAIRS } from '../verdict';
import { BREACH_TEXTS } from '../verdict-text';
import { judgePreference } from './judge-preference';

/** How a stage that only copies divides its chance of a false rejection: answers, and what half of the pairs show. */
const ANSWERS_PART = 2 / 3;

/** The metric of pairs of answers, in verdicts of a shadow stage and, where copies are configured, of later ones. */
export const ANSWER_PAIRS = `${PAIRS}s`;

/**
 * A stage that copies legacy's requests: each pair of answers is won, lost or tied. That the candidate is not worse says
 * that it loses no more pairs than it wins, so that of those which differ at most half are losses: bets on the mean of
 * 0 (lost), a half (tied) and 1 (won), in which ties drop out (the sign test that stays valid at every look: McNemar
 * 1947; Waudby-Smith and Ramdas 2024). For latency, tokens and cost: at most half of the pairs may exceed the margin.
 */
export function judgeShadow(judged: JudgingFacts): MetricVerdict[] {
  const { stage, evidence } = judged;
  const { pairs } = evidence;
  const sums = pairs === undefined ? NO_SUMS : pairSums(pairs);
  const seen: SeenPairs = { pairs: pairs ?? null, sums, all: sumOf(sums) };
  return [
    judgeAnswers(judged, seen),
    judgeRatio(judged, seen, 'latency', stage.gates.latency),
    ...(['outputTokens', 'cost'] as const).map((aspect) =>
      judgeRatio(judged, seen, aspect, stage.gates[aspect] ?? null),
    ),
    ...judgePreference(judged),
    ...decisionsShown(seen),
    minimumPairs(stage, seen),
    copiesShown(stage, seen),
  ];
}

/** What pairs show in a stage that serves callers: reported beside its own gates. */
export function shownPairs({ evidence: { pairs } }: JudgingFacts): MetricVerdict[] {
  if (pairs === undefined || pairs.copies === 0) return [];
  const [lost = 0, won = 0, tied = 0] = sumOf(pairSums(pairs)).answers;
  const n = lost + won + tied;
  const sentence = `of ${n.toLocaleString('en-US')} copied requests the candidate answered ${lost} worse than legacy and ${won} better${lostText(pairs)}; reported only`;
  return [
    metricVerdict({
      ...{ metric: ANSWER_PAIRS, unit: 'rate', role: 'report', outcome: 'not applicable', sentence },
      n: { legacy: n, candidate: n },
      ...(n === 0 ? {} : { legacy: won / n, candidate: lost / n, estimate: (lost - won) / n }),
    }),
  ];
}

interface SeenPairs {
  readonly pairs: StagePairs | null;
  readonly sums: DetectorState<PairSums>;
  readonly all: PairSums;
}

const EMPTY: PairSums = { answers: [], latency: [], outputTokens: [], cost: [], decisions: [] };
const NO_SUMS: DetectorState<PairSums> = { windows: 0, segments: [] };

function sumOf({ segments }: DetectorState<PairSums>): PairSums {
  const [first = EMPTY, ...later] = segments.map(({ evidence }) => evidence);
  return later.reduce(addSums, first);
}

function judgeAnswers({ stage }: JudgingFacts, { pairs, sums, all }: SeenPairs): MetricVerdict {
  const [lost = 0, won = 0, tied = 0, unchecked = 0] = all.answers;
  const n = lost + won + tied;
  const { promotionExcess: margin } = stage.gates.answers ?? stage.gates.errors;
  const base = {
    metric: ANSWER_PAIRS,
    unit: 'rate',
    role: 'guardrail and goal',
    n: { legacy: n, candidate: n },
    margin,
    ...(n === 0 ? {} : { legacy: won / n, candidate: lost / n, estimate: (lost - won) / n }),
    ...(unchecked === 0 ? {} : { unchecked: { legacy: unchecked, candidate: unchecked } }),
  } as const;
  if (pairs === null || n === 0) {
    return metricVerdict({
      ...base,
      outcome: 'not evaluated',
      sentence: `no pair of answers yet${whyNone(stage, pairs)}`,
    });
  }
  const deflator = pairsDesignEffect(pairBuckets(pairs, 'answers'));
  const grid = ({ answers: [less = 0, more = 0, alike = 0] }: PairSums) =>
    [less, alike, more].map((count) => count / deflator);
  const logHarm = detect(sums, addSums, (since) => meanBelow(grid(since), 0.5));
  const alpha = stage.alpha.rollback * ANSWERS_PART;
  const against = `of ${n.toLocaleString('en-US')} pairs the candidate lost ${lost} and won ${won}${lostText(pairs)}${clusterText(deflator, 'they')}`;
  if (logHarm >= -Math.log(alpha)) {
    return metricVerdict({
      ...base,
      ...shownHarm(logHarm, alpha),
      sentence: `${against}, ${evidenceText(logHarm, alpha)}`,
    });
  }
  const maxUnchecked = stage.gates.answers?.maxUnchecked ?? 1;
  if (unchecked > maxUnchecked * (n + unchecked)) {
    const part = percentText(unchecked / (n + unchecked));
    const sentence = `${against}; ${part} could not be checked, at most ${percentText(maxUnchecked)} are allowed`;
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence });
  }
  const logWithin = meanAbove(grid(all), (1 - margin) / 2);
  const seems = logHarm >= SEEMING;
  return metricVerdict({
    ...base,
    ...goalReached(logWithin, stage.alpha.promotion, null, seems),
    sentence: `${against}: ${pointsText((lost - won) / n)} more lost than won, margin ${pointsText(margin)}, ${evidenceText(logWithin, stage.alpha.promotion)}${seems ? '; apparently worse' : ''}`,
  });
}

const RATIO_NAMES: Readonly<Record<RatioAspect, string>> = {
  latency: `${PAIRS} latency`,
  outputTokens: `${PAIRS} output tokens`,
  cost: `${PAIRS} cost`,
};
const RATIO_TEXTS: Readonly<Record<RatioAspect, string>> = {
  latency: 'took longer',
  outputTokens: 'had more tokens',
  cost: 'cost more',
};

/** What a plan allows in a ratio. */
interface RatioGate {
  readonly rollbackIncrease: number;
  readonly promotionIncrease?: number | null;
}

function judgeRatio(
  { stage }: JudgingFacts,
  { pairs, sums, all }: SeenPairs,
  aspect: RatioAspect,
  gate: RatioGate | null,
): MetricVerdict {
  const cells = all[aspect];
  const n = total(cells);
  const above = (of: PairSums, bound: number) => total(of[aspect].slice(bound + 1));
  const metric = RATIO_NAMES[aspect];
  const base = { metric, unit: 'rate', n: { legacy: n, candidate: n } } as const;
  const more = n === 0 ? 0 : above(all, 0) / n;
  const described = `of ${n.toLocaleString('en-US')} pairs the candidate ${RATIO_TEXTS[aspect]} than legacy in ${percentText(more)}`;
  if (gate === null) {
    const sentence = n === 0 ? `${metric}: not known for any pair` : `${described}; reported only`;
    return metricVerdict({ ...base, role: 'report', outcome: 'not applicable', sentence });
  }
  const goal = gate.promotionIncrease ?? null;
  const role = goal === null ? 'guardrail' : 'guardrail and goal';
  if (pairs === null || n === 0) {
    const sentence = `${metric}: not known for any pair yet`;
    const outcome = pairs === null || goal !== null ? 'not evaluated' : 'not applicable';
    return metricVerdict({ ...base, role, outcome, sentence });
  }
  const deflator = pairsDesignEffect(pairBuckets(pairs, aspect));
  const grid = (of: PairSums, bound: number) => {
    const beyond = above(of, bound);
    return [total(of[aspect]) - beyond, beyond].map((count) => count / deflator);
  };
  const bound = boundFor(gate.rollbackIncrease);
  const logHarm = detect(sums, addSums, (since) => meanAbove(grid(since, bound), 0.5));
  const alpha = ratioAlpha(stage, aspect);
  const part = above(all, bound) / n;
  const allowed = percentText((RATIO_BOUNDS[bound] ?? 1) - 1);
  const against = `${described}, and by more than ${allowed} in ${percentText(part)}${clusterText(deflator, 'they')}`;
  const numbers = { ...base, candidate: part, legacy: null, margin: 0.5 } as const;
  if (logHarm >= -Math.log(alpha)) {
    return metricVerdict({
      ...{ ...numbers, role: 'guardrail' },
      ...shownHarm(logHarm, alpha),
      sentence: `${against}, at most half are allowed, ${evidenceText(logHarm, alpha)}`,
    });
  }
  if (goal === null) {
    return metricVerdict({
      ...{ ...numbers, role },
      outcome: 'not applicable',
      eValue: eValueOf(logHarm),
      threshold: 1 / alpha,
      sentence: `${against}, watched for harm only, ${evidenceText(logHarm, alpha)}`,
    });
  }
  // Rounded down for a goal, as harm is rounded up.
  const within = Math.max(0, boundFor(goal + ROUNDING) - 1);
  const logWithin = meanBelow(grid(all, within), 0.5);
  return metricVerdict({
    ...{ ...numbers, role },
    ...goalReached(logWithin, stage.alpha.promotion, null, logHarm >= SEEMING),
    sentence: `${against}; by more than ${percentText((RATIO_BOUNDS[within] ?? 1) - 1)} in ${percentText(above(all, within) / n)}, fewer than half are needed, ${evidenceText(logWithin, stage.alpha.promotion)}`,
  });
}

const ROUNDING = 1e-6;

/** Latency has what answers leave; cost and tokens what the plan gives them. */
function ratioAlpha({ alpha, gates }: StagePlan, aspect: RatioAspect): number {
  if (aspect === 'latency') return alpha.rollback * (1 - ANSWERS_PART);
  const judged = Number(gates.cost !== undefined) + Number(gates.outputTokens !== undefined);
  return (alpha.spending ?? 0) / judged;
}

/** JSON and temperature 0 ask the same of both; that they differ says nothing of which is better. */
function decisionsShown({ all: { decisions } }: SeenPairs): MetricVerdict[] {
  const [different = 0, alike = 0] = decisions;
  const n = different + alike;
  if (n === 0) return [];
  const sentence = `of ${n.toLocaleString('en-US')} pairs that asked for JSON or for temperature 0, ${percentText(different / n)} end or answer in another way; reported only`;
  return [
    metricVerdict({
      ...{ metric: `${PAIRS} decisions`, unit: 'rate', role: 'report', outcome: 'not applicable', sentence },
      ...{ n: { legacy: n, candidate: n }, candidate: different / n },
    }),
  ];
}

function minimumPairs(stage: StagePlan, { all }: SeenPairs): MetricVerdict {
  const [lost = 0, won = 0, tied = 0] = all.answers;
  const n = lost + won + tied;
  return metricVerdict({
    metric: 'minimum sample',
    unit: 'requests',
    role: 'goal',
    outcome: n >= stage.minimumSample ? 'pass' : 'inconclusive',
    n: { legacy: n, candidate: n },
    candidate: n,
    margin: stage.minimumSample,
    sentence: `${n} of ${stage.minimumSample} pairs`,
  });
}

function copiesShown({ maxCostUsd = 0 }: StagePlan, { pairs }: SeenPairs): MetricVerdict {
  const { copies, costUsd } = pairs ?? { copies: 0, costUsd: 0 };
  return metricVerdict({
    metric: 'copies',
    unit: 'usd',
    role: 'report',
    outcome: 'not applicable',
    n: { legacy: 0, candidate: copies },
    candidate: costUsd,
    sentence: `${copies.toLocaleString('en-US')} copies for $${Number(costUsd.toPrecision(3))} of at most $${maxCostUsd}`,
  });
}

const FAILURE_TEXTS: Readonly<Record<string, string>> = {
  rejected: 'refused requests that legacy accepts',
  status_429: 'too many requests (429)',
  status_5xx: 'errors of the server',
  status_auth: 'refused keys',
  timeout: 'timeouts',
};

function lostText({ lost }: StagePairs): string {
  const [most] = Object.entries(lost).toSorted(([, a], [, b]) => b - a);
  if (most === undefined) return '';
  const [name, count] = most;
  return `, mostly by ${BREACH_TEXTS[name as BreachClass] ?? FAILURE_TEXTS[name] ?? name} (${count})`;
}

function whyNone(stage: StagePlan, pairs: StagePairs | null): string {
  return pairs !== null && pairs.copies > 0
    ? `: of ${pairs.copies} copies none could be compared`
    : `: ${percentText(stage.mirror ?? 0)} of legacy's requests are copied where the candidate's price is known and nothing acts`;
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
