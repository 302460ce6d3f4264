import { sketchQuantile } from '../../evidence/latency-sketch';
import type { StageEvidence } from '../../evidence/stage/stage-evidence';
import type { LatencyQuantile } from '../../plan/plan';
import { detectSince } from '../../statistics/change-detector';
import { countAtOrBelow } from '../../statistics/cumulative-counts';
import { smallestReaching } from '../../statistics/expected-requests';
import { bucketOf, EMPTY_HISTOGRAM, GAMMA, mergeHistograms } from '../../statistics/histogram';
import { countsNotBelow, quantileAboveBound, quantileBelowBound } from '../../statistics/quantile-bound';
import {
  type CumulatedArms,
  cumulateArms,
  detectQuantileExceeds,
  quantileWithinAll,
} from '../../statistics/quantile-ratio';
import {
  eValueOf,
  evidenceText,
  goalReached,
  metricVerdict,
  millisecondsText,
  moreRequestsOf,
  moreText,
  percentText,
  worseText,
} from '../gate-metric';
import { alphaText, guardrailAlpha, isHandedOver, type JudgingFacts } from '../stage-rates';
import type { Baseline, MetricVerdict } from '../verdict';
import {
  countedAnswers,
  judgedQuantile,
  type LatencyGroup,
  latencyGroups,
  SMALL_PART,
} from './latency-groups';
import { gatesOf, onCells } from './latency-margin';
import type { Subject } from './latency-subject';

/** p95 of a latency where all traffic has moved, against what legacy's answers were in the stage before. */
export function judgeMovedLatency(
  judged: JudgingFacts,
  group: LatencyGroup,
  { metric, text }: Subject,
): MetricVerdict {
  const { stage, baseline, rates } = judged;
  const alpha = guardrailAlpha(stage, 'latency', group.weights.latency);
  const { resolution, state, samples, arms } = group;
  const gate = gatesOf(judged, group);
  const p = judgedQuantile(stage);
  const n = { legacy: 0, candidate: countedAnswers(group).candidate };
  const frozen = frozenQuantile(baseline, group, p);
  const candidate = sketchQuantile(samples.candidate, p, resolution);
  const goal = gate.promotionIncrease !== null && group.part >= SMALL_PART && frozen !== null;
  const base = {
    metric,
    unit: 'ms',
    role: goal ? 'guardrail and goal' : 'guardrail',
    n,
    legacy: frozen,
    candidate,
    margin: gate.promotionIncrease,
  } as const;
  if (frozen === null) {
    const sentence = `${text}: no control arm, and no bound from an earlier stage`;
    return metricVerdict({ ...base, outcome: 'not applicable', sentence });
  }
  if (candidate === null) {
    return metricVerdict({
      ...base,
      outcome: goal ? 'not evaluated' : 'not applicable',
      sentence: `${text}: no answers of the candidate yet`,
    });
  }
  const against = `candidate ${text} ${millisecondsText(candidate)} against ${millisecondsText(frozen)} of legacy before: ${worseText(candidate / frozen - 1)}`;
  const numbers = { ...base, estimate: candidate / frozen - 1 };
  if (isHandedOver(stage)) {
    const sentence = `${against}, all traffic is at the candidate, shown only`;
    return metricVerdict({ ...numbers, role: 'report', outcome: 'not applicable', sentence });
  }
  const before = baseline?.before === undefined ? null : sinceBefore(group, baseline.before);
  const least = gate.ignoreBelowMs ?? 0;
  const allowed = (increase: number) => frozen + Math.max(frozen * increase, gate.ignoreBelowMs ?? 0);
  const harmBound = boundOn(allowed(gate.rollbackIncrease), resolution.step);
  const above = quantileAboveBound(p);
  const logHarm =
    before !== null
      ? detectQuantileExceeds(
          { p, margin: onCells(gate.rollbackIncrease, before.step, Math.ceil), least },
          state,
          before.arms,
        )
      : detectSince(state, (start) => {
          const trials = arms.candidate.totals[start] ?? 0;
          const within = countAtOrBelow(arms.candidate, start, bucketOf(harmBound));
          return above(arms.scale * (trials - within), arms.scale * trials);
        });
  if (logHarm >= -Math.log(alpha) || !goal || gate.promotionIncrease === null) {
    const harm = logHarm >= -Math.log(alpha);
    return metricVerdict({
      ...numbers,
      outcome: harm ? 'fail' : 'not applicable',
      harm,
      eValue: eValueOf(logHarm),
      threshold: 1 / alpha,
      sentence: `${against}, ${harm ? '' : 'watched for harm only: '}allowed ${percentText(gate.rollbackIncrease)}, ${evidenceText(logHarm, alpha)}${harm ? ` (${alphaText(judged, alpha)})` : ''}`,
    });
  }
  const { successes, trials } = countsNotBelow(allowed(gate.promotionIncrease), samples.candidate);
  const below = quantileBelowBound(p);
  const cells = before === null ? 0 : onCells(gate.promotionIncrease, before.step, Math.floor);
  const logWithin =
    before === null
      ? below(successes, trials)
      : cells > 0
        ? quantileWithinAll({ p, margin: cells, least }, before.arms)
        : 0;
  const target = -Math.log(stage.alpha.promotion);
  const factor =
    logWithin >= target || !judged.foresees || before !== null
      ? null
      : smallestReaching(target, (by) => below(successes * by, trials * by), 1, 256);
  const moreRequests = moreRequestsOf(factor, rates.counted.candidate.requests);
  return metricVerdict({
    ...numbers,
    ...goalReached(logWithin, stage.alpha.promotion, moreRequests),
    sentence: `${against}, margin ${percentText(gate.promotionIncrease)}, ${evidenceText(logWithin, stage.alpha.promotion)}${moreText(moreRequests)}`,
  });
}

/**
 * The candidate's answers since each start beside all that legacy gave in the stage before; null where legacy gave none
 * of that kind there. Legacy's are in the last segment, so that they are counted from every start on.
 */
function sinceBefore(
  { what, shape, model, state, arms, resolution }: LatencyGroup,
  before: StageEvidence,
): { readonly arms: CumulatedArms; readonly step: number } | null {
  const then = latencyGroups(before).find(
    (one) => one.what === what && one.shape === shape && one.model === model,
  );
  if (then === undefined) return null;
  const legacy = mergeHistograms(then.state.segments.map(({ evidence }) => evidence.legacy));
  const last = state.segments.length - 1;
  const segments = state.segments.map(({ evidence: { candidate } }, index) => ({
    legacy: index === last ? legacy : EMPTY_HISTOGRAM,
    candidate,
  }));
  const scale = Math.min(arms.scale, then.arms.scale);
  return { arms: cumulateArms(segments, scale), step: Math.max(resolution.step, then.resolution.step) };
}

function frozenQuantile(
  baseline: Baseline | null,
  { what, model }: LatencyGroup,
  p: LatencyQuantile,
): number | null {
  const own = baseline?.latencies?.find((one) => one.what === what && one.model === model);
  if (p === 0.5) return own?.p50Ms ?? null;
  if (own !== undefined || baseline === null || baseline.latencies !== undefined) return own?.p95Ms ?? null;
  if (what === 'between tokens') return null;
  return what === 'total' ? baseline.plainP95Ms : baseline.firstTokenP95Ms;
}

/** The upper end of the cell in which a bound lies. */
function boundOn(bound: number, step: number): number {
  const buckets = Math.log(bound) / Math.log(GAMMA);
  return GAMMA ** (Math.ceil(buckets / step) * step - 0.5);
}
