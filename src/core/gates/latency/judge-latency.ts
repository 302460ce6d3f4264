import { sketchQuantile } from '../../evidence/latency-sketch';
import { stageKind } from '../../plan/plan';
import type { Arm } from '../../routing/routing';
import { lateStarts } from '../../statistics/change-detector';
import { smallestReaching } from '../../statistics/expected-requests';
import { GAMMA, histogramCount } from '../../statistics/histogram';
import { quantileRatioIntervalOf } from '../../statistics/quantile-bound';
import {
  detectQuantileExceeds,
  type QuantileMargin,
  quantileExceedsSince,
  quantileWithinAll,
} from '../../statistics/quantile-ratio';
import { TOGETHER_WEIGHT } from '../alpha-spending';
import {
  eValueOf,
  evidenceText,
  goalReached,
  lateWindows,
  metricVerdict,
  millisecondsText,
  moreRequestsOf,
  moreText,
  percentText,
  SEEMING,
  shownHarm,
} from '../gate-metric';
import { alphaText, clusterText, guardrailAlpha, INTERVAL_ALPHA, type JudgingFacts } from '../stage-rates';
import type { MetricVerdict } from '../verdict';
import { judgeMovedLatency } from './judge-moved-latency';
import {
  ALL_MODELS,
  countedAnswers,
  judgedQuantile,
  type LatencyGroup,
  SMALL_PART,
  samplesSince,
} from './latency-groups';
import { gatesOf, harmClaim, onCells } from './latency-margin';
import { againstLegacyText, LATENCY_NAMES, latencySubject, type Subject } from './latency-subject';

/**
 * p95 of each latency: harm and, where the plan has a margin, promotion. Models are watched one by one, but the goal is
 * their answers of one shape together: the arms have the same mix, and ten goals would take ten times the traffic.
 */
export function judgeLatencies(
  judged: JudgingFacts,
  groups: readonly LatencyGroup[],
  shapes: readonly LatencyGroup[],
): MetricVerdict[] {
  const several = new Set(groups.map(({ model }) => model)).size > 1;
  const subject = (group: LatencyGroup) => latencySubject(judged, group, several);
  if (stageKind(judged.stage) === 'complete') {
    return groups.map((group) => judgeMovedLatency(judged, group, subject(group)));
  }
  const together = shapes.filter(({ model }) => model === ALL_MODELS);
  const strata = groups.map((group) => {
    const sharesGoal = together.some(({ what }) => what === group.what);
    return judgeAgainst(judged, group, subject(group), sharesGoal);
  });
  return [
    ...together.map((group) => judgeTogether(judged, group)),
    ...worthListing(strata, together.length > 0 ? 1 : 2),
  ];
}

/**
 * Of several latencies that are only watched a verdict lists those nearest to harm, one of them where all models together
 * are listed as well; all of them are judged.
 */
function worthListing(strata: readonly MetricVerdict[], most: number): MetricVerdict[] {
  const isQuiet = ({ outcome }: MetricVerdict) => outcome === 'not applicable';
  const nearest = strata
    .filter(isQuiet)
    .toSorted((a, b) => (b.eValue ?? 0) - (a.eValue ?? 0))
    .slice(0, most);
  return strata.filter((metric) => !isQuiet(metric) || nearest.includes(metric));
}

function judgeAgainst(
  judged: JudgingFacts,
  group: LatencyGroup,
  { metric, text }: Subject,
  sharesGoal: boolean,
): MetricVerdict {
  const { stage } = judged;
  const { samples, resolution } = group;
  const alpha = guardrailAlpha(stage, 'latency', (1 - TOGETHER_WEIGHT) * group.weights.latency);
  const gate = gatesOf(judged, group);
  const p = judgedQuantile(stage);
  const n = { legacy: histogramCount(samples.legacy), candidate: histogramCount(samples.candidate) };
  const legacy = sketchQuantile(samples.legacy, p, resolution);
  const candidate = sketchQuantile(samples.candidate, p, resolution);
  const goal = gate.promotionIncrease !== null && group.part >= SMALL_PART;
  const base = {
    metric,
    unit: 'ms',
    role: goal && !sharesGoal ? 'guardrail and goal' : 'guardrail',
    n: countedAnswers(group),
    legacy,
    candidate,
    margin: gate.promotionIncrease,
  } as const;
  const missing = n.candidate === 0 ? 'the candidate' : n.legacy === 0 || legacy === null ? 'legacy' : null;
  if (missing !== null || legacy === null) {
    const outcome = goal || group.part >= SMALL_PART ? 'not evaluated' : 'not applicable';
    return metricVerdict({ ...base, outcome, sentence: `${text}: no answers of ${missing} to compare yet` });
  }
  const { low, high } = quantileRatioIntervalOf(group.arms, p, INTERVAL_ALPHA);
  // A candidate below the body of legacy's latencies is at least as fast as that body.
  const shown = candidate ?? GAMMA ** ((resolution.edge ?? 0) * resolution.step);
  const against = `${againstLegacyText(text, shown, legacy)}${sharesGoal ? '' : clusterText(group.designEffect, 'latencies')}`;
  const numbers = { ...base, estimate: shown / legacy - 1, interval: [low - 1, high - 1] } as const;
  const logHarm = detectQuantileExceeds(harmClaim(stage, gate, p, resolution.step), group.state, group.arms);
  const watched = `allowed ${percentText(gate.rollbackIncrease)}, ${evidenceText(logHarm, alpha)}`;
  if (logHarm >= -Math.log(alpha)) {
    return metricVerdict({
      ...numbers,
      ...shownHarm(logHarm, alpha),
      sentence: `${against}, ${watched} (${alphaText(judged, alpha)})`,
    });
  }
  if (!goal || gate.promotionIncrease === null) {
    const why =
      gate.promotionIncrease === null ? 'watched for harm only' : 'too few to be a goal, watched for harm';
    return metricVerdict({
      ...numbers,
      outcome: 'not applicable',
      eValue: eValueOf(logHarm),
      threshold: 1 / alpha,
      sentence: `${against}, ${why}: ${watched}`,
    });
  }
  if (!sharesGoal) return goalVerdict(judged, group, { ...numbers, sentence: against });
  const seems = quantileExceedsSince(
    harmClaim(stage, { ...gate, rollbackIncrease: gate.promotionIncrease }, p, resolution.step),
    group.arms,
    0,
  );
  const beyond = seems >= SEEMING;
  return metricVerdict({
    ...numbers,
    outcome: beyond ? 'inconclusive' : 'not applicable',
    eValue: eValueOf(logHarm),
    threshold: 1 / alpha,
    sentence: `${against}, ${beyond ? `apparently beyond the margin of ${percentText(gate.promotionIncrease)}` : 'part of the goal of all models'}: ${watched}`,
  });
}

/** The goal of all models together. */
function judgeTogether(judged: JudgingFacts, group: LatencyGroup): MetricVerdict {
  const { samples, resolution } = group;
  const p = judgedQuantile(judged.stage);
  const text = `p${100 * p} ${LATENCY_NAMES[group.what]}`;
  const [legacy, candidate] = [samples.legacy, samples.candidate].map((one) =>
    sketchQuantile(one, p, resolution),
  ) as [number | null, number | null];
  const margin = judged.stage.gates.latency.promotionIncrease;
  const base = {
    metric: text,
    unit: 'ms',
    role: 'goal',
    n: countedAnswers(group),
    legacy,
    candidate,
    margin,
  } as const;
  if (legacy === null || candidate === null) {
    const missing = candidate === null ? 'the candidate' : 'legacy';
    return metricVerdict({
      ...base,
      outcome: margin === null ? 'not applicable' : 'not evaluated',
      sentence: `${text}: no answers of ${missing} to compare yet`,
    });
  }
  const { low, high } = quantileRatioIntervalOf(group.arms, p, INTERVAL_ALPHA);
  const sentence = `${againstLegacyText(text, candidate, legacy)}${clusterText(group.designEffect, 'latencies')}`;
  const numbers = {
    ...base,
    estimate: candidate / legacy - 1,
    interval: [low - 1, high - 1] as const,
    sentence,
  };
  return margin === null
    ? metricVerdict({ ...numbers, outcome: 'not applicable', sentence: `${sentence}, not judged` })
    : goalVerdict(judged, group, numbers);
}

type MetricNumbers = Omit<Parameters<typeof metricVerdict>[0], 'outcome'>;

/** Whether a latency is within the margin for a promotion; the sentence given says what was measured. */
function goalVerdict(judged: JudgingFacts, group: LatencyGroup, numbers: MetricNumbers): MetricVerdict {
  const { stage, rates } = judged;
  const { arms, resolution } = group;
  const { ignoreBelowMs = 0, promotionIncrease } = stage.gates.latency;
  const increase = promotionIncrease ?? 0;
  const p = judgedQuantile(stage);
  const margin = onCells(increase, resolution.step, Math.floor);
  const target = -Math.log(stage.alpha.promotion);
  const evidenceAt = (by: number) =>
    margin > 0
      ? quantileWithinAll({ p, margin, least: ignoreBelowMs }, { ...arms, scale: by * arms.scale })
      : 0;
  const logWithin = evidenceAt(1);
  const factor =
    logWithin >= target || margin === 0 || !judged.foresees
      ? null
      : smallestReaching(target, evidenceAt, 1, 256);
  const { legacy: asked, candidate: moved } = rates.counted;
  const moreRequests = moreRequestsOf(factor, asked.requests + moved.requests);
  const lately = slowerLately(judged, group, {
    p,
    margin: Math.max(margin, GAMMA - 1),
    least: ignoreBelowMs,
    share: stage.share,
  });
  return metricVerdict({
    ...numbers,
    ...goalReached(logWithin, stage.alpha.promotion, moreRequests, lately !== null),
    sentence: `${numbers.sentence}, margin ${percentText(increase)}, ${evidenceText(logWithin, stage.alpha.promotion)}${lately ?? moreText(moreRequests)}`,
  });
}

/** In words, that latency towards the end of the soak is beyond the margin; null while it does not seem so. */
function slowerLately(
  { stage }: JudgingFacts,
  { state, arms, resolution }: LatencyGroup,
  claim: QuantileMargin,
): string | null {
  const starts = lateStarts(state, lateWindows(stage));
  for (const start of starts) {
    if (quantileExceedsSince(claim, arms, start) < SEEMING) continue;
    const late = samplesSince(arms, start);
    const read = (arm: Arm) => millisecondsText(sketchQuantile(late[arm], claim.p, resolution) ?? 0);
    return `; towards the end ${read('candidate')} against ${read('legacy')}, beyond the margin`;
  }
  return null;
}
