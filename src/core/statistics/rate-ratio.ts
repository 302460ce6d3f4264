import {
  type BetaPrior,
  checkProbability,
  type Interval,
  type LogEvidence,
  rateAbove,
  rateBelow,
  rateInterval,
} from './beta-binomial';

/**
 * The chance that an event is the candidate's when its risk is `ratio` times that of legacy:
 * theta = share x ratio / (share x ratio + 1 - share). Looking at events alone makes the comparison exact
 * whatever the base rate.
 */
export function candidateFraction(share: number, ratio: number): number {
  checkProbability('share', share);
  if (!(ratio > 0 && ratio < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`expected a risk ratio above 0, got ${ratio}`);
  }
  return (share * ratio) / (share * ratio + 1 - share);
}

/** Harm is looked for at this multiple of the allowed ratio: the prior's mean. */
const HARM_MULTIPLE = 2.5;
const PRIOR_STRENGTH = 10;

/**
 * Evidence that the candidate's risk is more than `ratio` times that of legacy. Called with the candidate's
 * events and the events of both arms. `share` is the candidate's part of the requests, fixed for the process.
 */
export function ratioExceeds(ratio: number, share: number): LogEvidence {
  const prior: BetaPrior = {
    mean: candidateFraction(share, HARM_MULTIPLE * ratio),
    strength: PRIOR_STRENGTH,
  };
  return rateAbove(candidateFraction(share, ratio), prior);
}

/** Evidence that the candidate's risk is less than `ratio` times that of legacy; same arguments. */
export function ratioWithin(ratio: number, share: number): LogEvidence {
  return rateBelow(candidateFraction(share, ratio), { mean: share, strength: PRIOR_STRENGTH });
}

/** The always-valid interval of the risk ratio (0 to Infinity without events). */
export function ratioInterval(
  candidateEvents: number,
  events: number,
  share: number,
  alpha: number,
): Interval {
  checkProbability('share', share);
  const fraction = rateInterval(candidateEvents, events, alpha);
  const odds = (1 - share) / share;
  return {
    low: (odds * fraction.low) / (1 - fraction.low),
    high: fraction.high === 1 ? Number.POSITIVE_INFINITY : (odds * fraction.high) / (1 - fraction.high),
  };
}
