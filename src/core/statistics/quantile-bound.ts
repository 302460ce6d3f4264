import { bucketOf, GAMMA, type Histogram } from '../histogram';
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
import { countAtOrBelow, cumulateSuffixes } from './cumulative-counts';
import type { ArmSamples } from './quantile-ratio';

/** Values above a bound, of all; the bound is rounded up to a bucket's, by at most 1%. */
export function countsAbove(bound: number, histogram: Histogram): RateCounts {
  return exceeding(bucketOf(bound), histogram);
}

/** Values above a bound, of all; the bound is rounded down to a bucket's, by at most 1%. */
export function countsNotBelow(bound: number, histogram: Histogram): RateCounts {
  return exceeding(bucketOf(bound) - 1, histogram);
}

function exceeding(bucket: number, histogram: Histogram): RateCounts {
  const counts = cumulateSuffixes([histogram]);
  const trials = counts.totals[0] ?? 0;
  return { successes: trials - countAtOrBelow(counts, 0, bucket), trials };
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
  checkProbability('alpha', alpha);
  const logEvidence = rateDiffers(p, { mean: p, strength: 1 / (p * (1 - p)) });
  const counts = cumulateSuffixes([histogram]);
  const total = counts.totals[0] ?? 0;
  const threshold = -Math.log(alpha);
  let low = 0;
  for (let bucket = counts.first - 1; bucket <= counts.last; bucket += 1) {
    const below = countAtOrBelow(counts, 0, bucket);
    if (logEvidence(below, total) < threshold) continue;
    if (below > p * total) return { low, high: GAMMA ** bucket };
    low = GAMMA ** bucket;
  }
  return { low, high: Number.POSITIVE_INFINITY };
}

/** The always-valid interval of the ratio of p-quantiles, candidate to legacy: alpha is halved over the arms. */
export function quantileRatioInterval(samples: ArmSamples, p: number, alpha: number): Interval {
  const legacy = quantileInterval(samples.legacy, p, alpha / 2);
  const candidate = quantileInterval(samples.candidate, p, alpha / 2);
  return {
    low: legacy.high === Number.POSITIVE_INFINITY ? 0 : candidate.low / legacy.high,
    high: legacy.low === 0 ? Number.POSITIVE_INFINITY : candidate.high / legacy.low,
  };
}
