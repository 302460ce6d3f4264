import type { BucketCounts } from '../evidence/evidence';
import type { RateCounts } from './change-detector';
import type { TwoRates } from './rate-difference';

type ArmBuckets = BucketCounts['legacy'];

/**
 * How many times more a rate of one arm varies than it would if requests were independent: the variance of the
 * ratio estimator over key buckets (Cochran 1977, section 6; Kish 1965) by the jackknife (Efron and Stein 1981; CV3 in
 * MacKinnon, Nielsen and Webb 2023), over the binomial variance,
 *
 *     deff = (m - 1) / m x sum ((e_k - r n_k) / (1 - n_k / n))^2 / (n r (1 - r)), r = e / n, m buckets with requests.
 *
 * What a bucket is worth is how far the rate moves without it: one that bears most of the requests pulls r to its own rate,
 * and looks as if it did not differ. At least 1. With one bucket all requests may be one key's: the whole sample counts
 * as one observation.
 */
export function designEffect(buckets: ArmBuckets): number {
  let [requests, events] = [0, 0];
  for (const [, n, e] of buckets) {
    requests += n;
    events += e;
  }
  const rate = requests === 0 ? 0 : events / requests;
  return meanDesignEffect(buckets, rate * (1 - rate));
}

/** As `designEffect`, for pairs, with a little more where there are few buckets; 1 where none has a key. */
export function pairsDesignEffect(buckets: ArmBuckets): number {
  return buckets.length === 0 ? 1 : designEffect(buckets) * (1 + 1 / buckets.length);
}

/** As `designEffect`, for a mean of values of this variance: buckets hold how many, and their sum. */
export function meanDesignEffect(buckets: ArmBuckets, variance: number): number {
  let [count, sum, filled] = [0, 0, 0];
  for (const [, n, e] of buckets) {
    count += n;
    sum += e;
    if (n > 0) filled += 1;
  }
  if (count === 0) return 1;
  if (filled < 2) return count;
  if (!(variance > 0)) return 1;
  let squares = 0;
  for (const [, n, e] of buckets) squares += ((e - (sum / count) * n) / (1 - n / count)) ** 2;
  // The whole sample is worth one observation at least.
  return Math.min(count, Math.max(1, (((filled - 1) / filled) * squares) / (count * variance)));
}

/**
 * Both arms' failures and requests, deflated to as many independent ones. Both are divided by the larger design
 * effect: one deflator keeps the ratio of rates as it was, and an arm with few clusters cannot show its own.
 * 1 + 1/c allows for an effect estimated from only c of the candidate's buckets (validated by simulation).
 */
export function deflatedRates(buckets: BucketCounts): TwoRates & { readonly designEffect: number } {
  const clusters = buckets.candidate.filter(([, , events]) => events > 0).length;
  const deflator =
    Math.max(designEffect(buckets.legacy), designEffect(buckets.candidate)) *
    (clusters === 0 ? 1 : 1 + 1 / clusters);
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

/**
 * How many times more a split of requests varies because keys bear many of them, and some far more than others: sum of
 * n_k^2 over n (Kish 1965), read off the sums of key buckets,
 *
 *     deff = B / (B - 1) x sum (n_b - n / B)^2 / n, B buckets, empty ones included.
 *
 * By the requests of both arms together: the share that an arm happened to get says how heavy its keys are, and an arm
 * that got only light ones would look more certain the farther it is from its share.
 */
export function splitDesignEffect({ legacy, candidate }: BucketCounts, ofBuckets: number): number {
  const sums = new Array<number>(ofBuckets).fill(0);
  let total = 0;
  for (const [bucket, count] of [...legacy, ...candidate]) {
    sums[bucket] = (sums[bucket] ?? 0) + count;
    total += count;
  }
  if (total === 0) return 1;
  const squares = sums.reduce((sum, count) => sum + (count - total / ofBuckets) ** 2, 0);
  return Math.max(1, ((ofBuckets / (ofBuckets - 1)) * squares) / total);
}

/** The candidate's events of all events, deflated by how they cluster by key, given the arm that each key fell into. */
export function deflatedSampleRatio({ legacy, candidate }: BucketCounts): RateCounts {
  const both = mergeArms(
    legacy.map(([bucket, n]) => [bucket, n, 0] as const),
    candidate.map(([bucket, n]) => [bucket, n, n] as const),
  );
  const { events, requests } = deflated(both, designEffect(both));
  return { successes: events, trials: requests };
}

/** Bucket counts of two windows together. */
export function mergeBucketCounts(a: BucketCounts, b: BucketCounts): BucketCounts {
  return { legacy: mergeArms(a.legacy, b.legacy), candidate: mergeArms(a.candidate, b.candidate) };
}

function mergeArms(a: ArmBuckets, b: ArmBuckets): ArmBuckets {
  const merged: ArmBuckets[number][] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [left, right] = [a[i], b[j]];
    if (left === undefined && right === undefined) return merged;
    if (right === undefined || (left !== undefined && left[0] < right[0])) {
      merged.push(left as ArmBuckets[number]);
      i += 1;
    } else if (left === undefined || right[0] < left[0]) {
      merged.push(right);
      j += 1;
    } else {
      merged.push([left[0], left[1] + right[1], left[2] + right[2]]);
      i += 1;
      j += 1;
    }
  }
}
