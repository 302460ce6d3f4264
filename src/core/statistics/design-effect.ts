import type { BucketCounts } from '../evidence';
import type { TwoRates } from './rate-difference';

type ArmBuckets = BucketCounts['legacy'];

/**
 * How many times more a rate of one arm varies than it would if requests were independent: the variance of the
 * ratio estimator over key buckets (Cochran 1977, section 6; Kish 1965), over the binomial variance,
 *
 *     deff = m / (m - 1) x sum (e_k - r n_k)^2 / (n r (1 - r)), r = e / n, m buckets with requests.
 *
 * At least 1. With one bucket all requests may be one key's: the whole sample counts as one observation.
 */
export function designEffect(buckets: ArmBuckets): number {
  let [requests, events, filled] = [0, 0, 0];
  for (const [, n, e] of buckets) {
    requests += n;
    events += e;
    if (n > 0) filled += 1;
  }
  if (requests === 0) return 1;
  if (filled < 2) return requests;
  const rate = events / requests;
  if (rate === 0 || rate === 1) return 1;
  let squares = 0;
  for (const [, n, e] of buckets) squares += (e - rate * n) ** 2;
  return Math.max(1, ((filled / (filled - 1)) * squares) / (requests * rate * (1 - rate)));
}

/**
 * Both arms' failures and requests, deflated to as many independent ones. Both are divided by the larger design
 * effect: one deflator keeps the ratio of rates as it was, and an arm with few clusters cannot show its own.
 */
export function deflatedRates(buckets: BucketCounts): TwoRates & { readonly designEffect: number } {
  const deflator = Math.max(designEffect(buckets.legacy), designEffect(buckets.candidate));
  return {
    legacy: deflated(buckets.legacy, deflator),
    candidate: deflated(buckets.candidate, deflator),
    designEffect: deflator,
  };
}

function deflated(buckets: ArmBuckets, deflator: number): { events: number; requests: number } {
  let [requests, events] = [0, 0];
  for (const [, n, e] of buckets) {
    requests += n;
    events += e;
  }
  return { events: events / deflator, requests: requests / deflator };
}
