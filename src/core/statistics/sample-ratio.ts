import { type LogEvidence, rateDiffers } from './beta-binomial';

/** Deviations of about 30% of a share of 10% are expected where something is wrong. */
const PRIOR_STRENGTH = 100;

/**
 * Evidence of a sample-ratio mismatch: that the candidate's part of the randomised requests is not
 * `expectedShare`, in either direction. `expectedShare` is the share that gateways really applied, averaged over
 * the requests. Call it with the candidate's requests and all requests; deflate both when assignment is sticky.
 */
export function sampleRatioMismatch(expectedShare: number): LogEvidence {
  return rateDiffers(expectedShare, { mean: expectedShare, strength: PRIOR_STRENGTH });
}

/** The always-valid p-value that an e-value stands for: min(1, 1/E). */
export function pValueOf(logEvidence: number): number {
  return Math.min(1, Math.exp(-logEvidence));
}
