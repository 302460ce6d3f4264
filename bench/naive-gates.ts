import type { ArmSamples } from '../src/core/statistics/quantile-ratio';
import type { TwoRates } from '../src/core/statistics/rate-difference';

/**
 * The z score of a Mann-Whitney test that the candidate's values are larger, with ties corrected (the values of
 * a bucket are tied). Not valid when looked at more than once: kept to show by how much.
 */
export function mannWhitneyZ({ legacy, candidate }: ArmSamples): number {
  const counts = new Map<number, [number, number]>();
  const add = (bucket: number, arm: 0 | 1, count: number) => {
    const held = counts.get(bucket) ?? [0, 0];
    held[arm] += count;
    counts.set(bucket, held);
  };
  add(Number.NEGATIVE_INFINITY, 0, legacy.zero);
  add(Number.NEGATIVE_INFINITY, 1, candidate.zero);
  for (const [bucket, count] of legacy.buckets) add(bucket, 0, count);
  for (const [bucket, count] of candidate.buckets) add(bucket, 1, count);
  let [legacyBelow, candidateCount, wins, ties] = [0, 0, 0, 0];
  for (const [, [l, c]] of [...counts].sort((a, b) => a[0] - b[0])) {
    wins += c * (legacyBelow + l / 2);
    legacyBelow += l;
    candidateCount += c;
    ties += (l + c) ** 3 - (l + c);
  }
  const n = legacyBelow + candidateCount;
  if (legacyBelow === 0 || candidateCount === 0) return 0;
  const product = legacyBelow * candidateCount;
  const variance = (product / 12) * (n + 1 - ties / (n * (n - 1)));
  return variance > 0 ? (wins - product / 2) / Math.sqrt(variance) : 0;
}

/** A gate with a fixed threshold on the observed rates, as many rollout tools have: no statistics at all. */
export function exceedsFixedThreshold({ legacy, candidate }: TwoRates, ratio: number): boolean {
  if (legacy.requests === 0 || candidate.requests === 0) return false;
  return candidate.events / candidate.requests > (ratio * legacy.events) / legacy.requests;
}
