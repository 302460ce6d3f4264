import {
  type BetaPrior,
  checkProbability,
  type Interval,
  type LogEvidence,
  rateAbove,
  rateBelow,
  rateDiffers,
} from './beta-binomial';
import type { RateCounts } from './change-detector';
import { type CumulativeCounts, countAtOrBelow, cumulateSuffixes } from './cumulative-counts';
import { bucketOf, GAMMA, type Histogram, histogramCount } from './histogram';
import { type ArmSamples, type CumulatedArms, cumulateArms } from './quantile-ratio';

/** Values above a bound, of all; the bound is rounded up to a bucket's, by at most 1%. */
export function countsAbove(bound: number, histogram: Histogram): RateCounts {
  return exceeding(bucketOf(bound), histogram);
}

/** Values above a bound, of all; the bound is rounded down to a bucket's, by at most 1%. */
export function countsNotBelow(bound: number, histogram: Histogram): RateCounts {
  return exceeding(bucketOf(bound) - 1, histogram);
}

function exceeding(bucket: number, histogram: Histogram): RateCounts {
  const trials = histogramCount(histogram);
  return { successes: trials - countUpTo(bucket, histogram), trials };
}

function countUpTo(bucket: number, { zero, buckets }: Histogram): number {
  return buckets.reduce((sum, [each, count]) => (each <= bucket ? sum + count : sum), zero);
}

/**
 * Evidence, on counts by `countsAbove`, that the p-quantile lies above a fixed bound: more than 1 - p of the
 * values do. For share 1, where no control arm is left.
 */
export function quantileAboveBound(p: number): LogEvidence {
  checkProbability('the quantile', p);
  return rateAbove(1 - p, tailPrior(p, 2));
}

/** Evidence, on counts by `countsNotBelow`, that the p-quantile lies at or below a fixed bound. */
export function quantileBelowBound(p: number): LogEvidence {
  checkProbability('the quantile', p);
  return rateBelow(1 - p, tailPrior(p, 1 / 2));
}

/** The tail is expected to be `factor` times as heavy in odds, known as well as from five tail events. */
function tailPrior(p: number, factor: number): BetaPrior {
  const odds = (factor * (1 - p)) / p;
  return { mean: odds / (1 + odds), strength: 5 / (p * (1 - p)) };
}

/**
 * The always-valid confidence interval of a p-quantile (Howard and Ramdas 2022, arXiv 1906.09712, by mixture):
 * bucket bounds at which the share of values at or below is not yet rejected. 0 to Infinity without data.
 */
export function quantileInterval(histogram: Histogram, p: number, alpha: number): Interval {
  return intervalOf(cumulateSuffixes([histogram]), 1, p, alpha);
}

/**
 * Evidence against the share p is convex in the count at or below and negative at p itself: what is rejected are the
 * buckets up to one and those from another on, and both are found by halving.
 */
function intervalOf(counts: CumulativeCounts, scale: number, p: number, alpha: number): Interval {
  checkProbability('alpha', alpha);
  const logEvidence = rateDiffers(p, { mean: p, strength: 1 / (p * (1 - p)) });
  const total = counts.totals[0] ?? 0;
  const threshold = -Math.log(alpha);
  const below = (bucket: number) => countAtOrBelow(counts, 0, bucket);
  const isRejected = (bucket: number) => logEvidence(scale * below(bucket), scale * total) >= threshold;
  const [first, last] = [counts.first - 1, counts.last];
  const low = firstWhere(first, last, (bucket) => below(bucket) > p * total || !isRejected(bucket)) - 1;
  const high = firstWhere(first, last, (bucket) => below(bucket) > p * total && isRejected(bucket));
  return {
    low: low < first ? 0 : GAMMA ** low,
    high: high > last ? Number.POSITIVE_INFINITY : GAMMA ** high,
  };
}

/** The first of some whole numbers for which a claim holds that holds for all after it; one past the last if none. */
function firstWhere(first: number, last: number, holds: (value: number) => boolean): number {
  let [low, high] = [first, last + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The always-valid interval of the ratio of p-quantiles, candidate to legacy: alpha is halved over the arms. */
export function quantileRatioInterval(samples: ArmSamples, p: number, alpha: number): Interval {
  return quantileRatioIntervalOf(cumulateArms([samples]), p, alpha);
}

/** The same on all that was counted. */
export function quantileRatioIntervalOf(
  { legacy: before, candidate: after, scale }: CumulatedArms,
  p: number,
  alpha: number,
): Interval {
  const legacy = intervalOf(before, scale, p, alpha / 2);
  const candidate = intervalOf(after, scale, p, alpha / 2);
  return {
    low: legacy.high === Number.POSITIVE_INFINITY ? 0 : candidate.low / legacy.high,
    high: legacy.low === 0 ? Number.POSITIVE_INFINITY : candidate.high / legacy.low,
  };
}
