import { logBeta, logBetaTails } from './incomplete-beta';

/** Read once: a look-up of a global costs more than the function inside a vm context. */
const { log, log1p } = Math;

/** What is thought likely of a rate before data: a Beta distribution with a = mean x strength. */
export interface BetaPrior {
  /** Between 0 and 1, both excluded. */
  readonly mean: number;
  /** a + b: how many observations the prior weighs as much as. Above 0. */
  readonly strength: number;
}

/**
 * An e-process of a rate: ln E after `successes` of `trials`. Counts may be fractions (deflated counts).
 * By Ville's inequality E ever reaches 1/alpha with probability at most alpha while the null holds.
 */
export type LogEvidence = (successes: number, trials: number) => number;

/**
 * Evidence that a rate is above `bound`, against H0: rate <= bound. The truncated Beta-Binomial mixture
 *
 *     E = U(bound; a+k, b+n-k) / U(bound; a, b) / (bound^k (1-bound)^(n-k)),
 *     U(x; a, b) = integral from x to 1 of t^(a-1) (1-t)^(b-1) dt,
 *
 * that is, the likelihood ratio to `bound` averaged over the prior above it (Howard, Ramdas, McAuliffe, Sekhon
 * 2021, arXiv 1810.08240, proposition 7; `beta_binomial_log_mixture` of the confseq library). Increasing in k.
 * Valid for n up to 1e9; throws for a bound outside (0, 1).
 */
export function rateAbove(bound: number, prior: BetaPrior): LogEvidence {
  checkProbability('bound', bound);
  checkProbability('prior mean', prior.mean);
  if (!(prior.strength > 0)) throw new RangeError(`expected a prior strength above 0, got ${prior.strength}`);
  const a = prior.mean * prior.strength;
  const b = (1 - prior.mean) * prior.strength;
  const logBound = log(bound);
  const logRest = log1p(-bound);
  const logNormaliser = logBetaTails(bound, a, b).upper + logBeta(a, b);
  return (successes, trials) => {
    checkCounts(successes, trials);
    if (trials === 0) return 0;
    const failures = trials - successes;
    const tails = logBetaTails(bound, a + successes, b + failures);
    return (
      tails.upper +
      logBeta(a + successes, b + failures) -
      successes * logBound -
      failures * logRest -
      logNormaliser
    );
  };
}

/** Evidence that a rate is below `bound`, against H0: rate >= bound: `rateAbove` of the failures. */
export function rateBelow(bound: number, prior: BetaPrior): LogEvidence {
  const above = rateAbove(1 - bound, { mean: 1 - prior.mean, strength: prior.strength });
  return (successes, trials) => above(trials - successes, trials);
}

/**
 * Evidence that a rate differs from `bound` in either direction: the mixture over the whole prior,
 * E = B(a+k, b+n-k) / B(a, b) / (bound^k (1-bound)^(n-k)) (Robbins 1970). Convex in the logit of the bound.
 */
export function rateDiffers(bound: number, prior: BetaPrior): LogEvidence {
  checkProbability('bound', bound);
  checkProbability('prior mean', prior.mean);
  const a = prior.mean * prior.strength;
  const b = (1 - prior.mean) * prior.strength;
  const logNormaliser = logBeta(a, b);
  return (successes, trials) => {
    checkCounts(successes, trials);
    const failures = trials - successes;
    const logLikelihood = successes * log(bound) + failures * log1p(-bound);
    return logBeta(a + successes, b + failures) - logNormaliser - logLikelihood;
  };
}

/** Bounds between which a quantity lies with probability 1 - alpha, at all times at once. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Jeffreys' prior: what an interval assumes when nothing better is known. */
const FLAT: BetaPrior = { mean: 0.5, strength: 1 };

/**
 * The always-valid confidence interval of a rate: every bound that `rateDiffers` does not reject at `alpha`.
 * 0 to 1 without data.
 */
export function rateInterval(successes: number, trials: number, alpha: number, prior = FLAT): Interval {
  checkCounts(successes, trials);
  checkProbability('alpha', alpha);
  const failures = trials - successes;
  const a = prior.mean * prior.strength;
  const b = (1 - prior.mean) * prior.strength;
  // ln E(x) >= -ln(alpha) outside the interval: the log-likelihood falls below this.
  const least = logBeta(a + successes, b + failures) - logBeta(a, b) + log(alpha);
  const logLikelihood = (x: number) =>
    (successes === 0 ? 0 : successes * log(x)) + (failures === 0 ? 0 : failures * log1p(-x));
  const estimate = trials === 0 ? 0.5 : successes / trials;
  const rejected = (x: number) => logLikelihood(x) <= least;
  return {
    low: rejected(0) ? edge(0, estimate, rejected) : 0,
    high: rejected(1) ? edge(1, estimate, rejected) : 1,
  };
}

/** The point between a rejected and an accepted value at which rejection ends, from the rejected side. */
function edge(rejectedEnd: number, acceptedEnd: number, rejected: (x: number) => boolean): number {
  let [outside, inside] = [rejectedEnd, acceptedEnd];
  for (let step = 0; step < 60; step += 1) {
    const middle = (outside + inside) / 2;
    if (rejected(middle)) outside = middle;
    else inside = middle;
  }
  return outside;
}

function checkCounts(successes: number, trials: number): void {
  if (!(successes >= 0 && trials >= successes && Number.isFinite(trials))) {
    throw new RangeError(
      `expected 0 <= successes <= trials, got ${successes} of ${trials}: counters that go backwards?`,
    );
  }
}

/** Throws unless a number lies strictly between 0 and 1. */
export function checkProbability(name: string, value: number): void {
  if (!(value > 0 && value < 1)) throw new RangeError(`expected ${name} between 0 and 1, got ${value}`);
}
