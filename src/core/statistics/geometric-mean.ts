import type { LogMoments } from '../evidence/evidence';
import { checkProbability, type Interval } from './beta-binomial';

/** A ratio of geometric means, candidate to legacy, with its always-valid interval. */
export interface GeometricMeanRatio {
  readonly ratio: number;
  readonly interval: Interval;
}

/** The sample size at which the interval is tightest. */
const BEST_AT = 5_000;

/**
 * The ratio of the geometric means of a cost or token count, candidate to legacy, with an asymptotic confidence
 * sequence on the log scale (Waudby-Smith et al., arXiv 2103.06476, as GrowthBook uses it): each bound by
 *
 *     SE sqrt(n) sqrt( 2 (n rho^2 + 1) / (n^2 rho^2) ln(1 + sqrt(n rho^2 + 1) / alpha) ),
 *     rho^2 = (-2 ln alpha + ln(1 - 2 ln alpha)) / N*,
 *
 * one-sided alpha / 2 a side, n both arms' values, N* = 5,000. Asymptotic: meant for 100 values an arm or more
 * (`null` below 2). The raw scale of heavy-tailed costs would need 2,000.
 */
export function geometricMeanRatio(
  legacy: LogMoments,
  candidate: LogMoments,
  alpha: number,
): GeometricMeanRatio | null {
  checkProbability('alpha', alpha);
  if (legacy.count < 2 || candidate.count < 2) return null;
  const n = legacy.count + candidate.count;
  const standardError = Math.sqrt(variance(legacy) / legacy.count + variance(candidate) / candidate.count);
  const rhoSquared = (-2 * Math.log(alpha) + Math.log(1 - 2 * Math.log(alpha))) / BEST_AT;
  const spread = n * rhoSquared + 1;
  const halfWidth =
    standardError *
    Math.sqrt(n) *
    Math.sqrt(((2 * spread) / (n * n * rhoSquared)) * Math.log1p(Math.sqrt(spread) / alpha));
  const difference = candidate.sum / candidate.count - legacy.sum / legacy.count;
  return {
    ratio: Math.exp(difference),
    interval: { low: Math.exp(difference - halfWidth), high: Math.exp(difference + halfWidth) },
  };
}

function variance({ count, sum, sumOfSquares }: LogMoments): number {
  return Math.max(0, (sumOfSquares - (sum * sum) / count) / (count - 1));
}
