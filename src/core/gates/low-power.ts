import { stageKind } from '../plan/plan';
import { rateAbove } from '../statistics/beta-binomial';
import { STAGE_WEIGHT } from '../statistics/change-detector';
import { smallestReaching } from '../statistics/expected-requests';
import { GAMMA, type Histogram, histogramCount } from '../statistics/histogram';
import { quantileExceeds } from '../statistics/quantile-ratio';
import { priorAbove } from '../statistics/rate-difference';
import { ratioExceeds } from '../statistics/rate-ratio';
import { scaleSamples } from '../statistics/scaled-samples';
import { TOGETHER_WEIGHT } from './alpha-spending';
import { percentText, pointsText } from './gate-metric';
import { judgedQuantile, type LatencyGroup } from './latency/latency-groups';
import { errorBound } from './rate-ladder';
import { guardrailAlpha, type JudgingFacts, rateOf, realisedShare } from './stage-rates';
import type { LowPower } from './verdict';

/** What a pass on little traffic could have seen: regressions whose expected counts would show as harm. */
export function lowPowerOf(judged: JudgingFacts, groups: readonly LatencyGroup[]): LowPower {
  const smallestRegression = {
    errors: cut(smallestErrors(judged)),
    latency: cut(smallestSlowdown(judged, groups)),
  };
  const { errors, latency } = smallestRegression;
  const p = 100 * judgedQuantile(judged.stage);
  const seen = [
    errors === null ? 'no rise of errors' : `errors up by ${pointsText(errors)}`,
    ...(groups.length === 0
      ? []
      : [latency === null ? `no slowdown` : `p${p} up by ${percentText(latency)}`]),
  ];
  return {
    smallestRegression,
    sentence: `on so few requests the smallest regression that it could have seen is ${seen.join(' or ')}`,
  };
}

/** The smallest rise of the error rate over legacy's that as many requests would show. */
function smallestErrors({ stage, rates, baseline }: JudgingFacts): number | null {
  const { legacy, candidate } = rates.deflated;
  const target = Math.log(1 / guardrailAlpha(stage, 'errors') / STAGE_WEIGHT);
  const alone = stageKind(stage) === 'complete';
  const base = (alone ? baseline?.errorRate : rateOf(legacy)) ?? 0;
  const n = candidate.requests;
  if (n === 0) return null;
  const bound = errorBound(base, stage.gates.errors.promotionExcess);
  const above = rateAbove(bound, priorAbove(bound));
  const exceeds = alone ? null : ratioExceeds(stage.gates.errors.rollbackRatio, realisedShare(rates, stage));
  const evidenceAt = (rise: number) => {
    const events = n * Math.min(1, base + rise);
    return exceeds === null ? above(events, n) : exceeds(events, events + legacy.events);
  };
  return smallestReaching(target, evidenceAt, Math.min(1 / n, 1 - base), 1 - base);
}

/** Up to ten times as slow. */
const SLOWEST = 9;

/** The smallest slowdown of the busiest latency, as a part of legacy's value, that as many answers would show. */
function smallestSlowdown({ stage }: JudgingFacts, groups: readonly LatencyGroup[]): number | null {
  const busiest = groups
    .filter(({ what }) => what !== 'between tokens')
    .toSorted((a, b) => b.part - a.part)[0];
  if (busiest === undefined || stageKind(stage) === 'complete') return null;
  const { legacy } = busiest.samples;
  const [before, after] = [histogramCount(legacy), histogramCount(busiest.samples.candidate)];
  if (before === 0 || after === 0) return null;
  const { rollbackIncrease: margin, ignoreBelowMs: least = 0 } = stage.gates.latency;
  const claim = { p: judgedQuantile(stage), margin, least, share: stage.share };
  const alike = scaleSamples({ legacy, candidate: legacy }, after / before).candidate;
  const alpha = guardrailAlpha(stage, 'latency', TOGETHER_WEIGHT);
  const target = Math.log(1 / alpha / STAGE_WEIGHT);
  const evidenceAt = (rise: number) => quantileExceeds(claim, { legacy, candidate: slower(alike, 1 + rise) });
  return smallestReaching(target, evidenceAt, claim.margin, SLOWEST);
}

function slower({ zero, buckets }: Histogram, factor: number): Histogram {
  const shift = Math.round(Math.log(factor) / Math.log(GAMMA));
  return { zero, buckets: buckets.map(([bucket, count]) => [bucket + shift, count] as const) };
}

function cut(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(2));
}
