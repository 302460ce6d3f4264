import type { Histogram } from './histogram';

/** For each of some samples, how many of its values lie at or below each bucket's upper bound. */
export interface CumulativeCounts {
  /** The lowest and highest bucket of any sample; 0 and 0 when all are empty. */
  readonly first: number;
  readonly last: number;
  /** One sample after the other, each last - first + 1 long. */
  readonly counts: Float64Array;
  readonly zeros: Float64Array;
  readonly totals: Float64Array;
}

/**
 * Cumulates the suffixes of a list of histograms: sample s is the sum of the histograms from s on, so that
 * sample 0 is everything.
 */
export function cumulateSuffixes(histograms: readonly Histogram[]): CumulativeCounts {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const { buckets } of histograms) {
    first = Math.min(first, buckets[0]?.[0] ?? first);
    last = Math.max(last, buckets.at(-1)?.[0] ?? last);
  }
  if (first > last) [first, last] = [0, 0];
  const width = last - first + 1;
  const sum = new Float64Array(width);
  const counts = new Float64Array(width * histograms.length);
  const zeros = new Float64Array(histograms.length);
  const totals = new Float64Array(histograms.length);
  let zero = 0;
  for (let sample = histograms.length - 1; sample >= 0; sample -= 1) {
    const histogram = histograms[sample];
    zero += histogram?.zero ?? 0;
    for (const [bucket, count] of histogram?.buckets ?? [])
      sum[bucket - first] = (sum[bucket - first] ?? 0) + count;
    let cumulated = zero;
    for (let offset = 0; offset < width; offset += 1) {
      cumulated += sum[offset] ?? 0;
      counts[sample * width + offset] = cumulated;
    }
    zeros[sample] = zero;
    totals[sample] = cumulated;
  }
  return { first, last, counts, zeros, totals };
}

/** How many values of a sample lie at or below a bucket's upper bound; 0 for a bucket of -Infinity. */
export function countAtOrBelow(cumulative: CumulativeCounts, sample: number, bucket: number): number {
  if (bucket === Number.NEGATIVE_INFINITY) return 0;
  if (bucket < cumulative.first) return cumulative.zeros[sample] ?? 0;
  if (bucket >= cumulative.last) return cumulative.totals[sample] ?? 0;
  const width = cumulative.last - cumulative.first + 1;
  return cumulative.counts[sample * width + bucket - cumulative.first] ?? 0;
}

/** The first bucket at or below whose upper bound at least so many values of a sample lie; the last one at most. */
export function bucketReaching(counts: CumulativeCounts, sample: number, wanted: number): number {
  let [low, high] = [counts.first, counts.last];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (countAtOrBelow(counts, sample, middle) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A sample as a histogram. */
export function histogramAt(counts: CumulativeCounts, sample: number): Histogram {
  const buckets: [number, number][] = [];
  let before = counts.zeros[sample] ?? 0;
  for (let bucket = counts.first; bucket <= counts.last; bucket += 1) {
    const below = countAtOrBelow(counts, sample, bucket);
    if (below > before) buckets.push([bucket, below - before]);
    before = below;
  }
  return { zero: counts.zeros[sample] ?? 0, buckets };
}
