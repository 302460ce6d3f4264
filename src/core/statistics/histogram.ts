/** Ratio between the bounds of neighbouring buckets: any value is at most 0.5% from its bucket's middle. */
export const GAMMA = 1.005 / 0.995;

const LN_GAMMA = Math.log(GAMMA);

/**
 * A sparse histogram with logarithmic buckets, as plain JSON. Bucket i holds values x with
 * `ceil(ln(x) / ln(gamma)) = i`; values at or below 0 are counted in `zero`.
 * Pairs are sorted by bucket. Merging is addition, in any order.
 */
export interface Histogram {
  readonly zero: number;
  /** Sorted pairs of bucket index and count above 0. */
  readonly buckets: readonly (readonly [bucket: number, count: number])[];
}

export const EMPTY_HISTOGRAM: Histogram = { zero: 0, buckets: [] };

/** The bucket of a positive value. */
export function bucketOf(value: number): number {
  return Math.ceil(Math.log(value) / LN_GAMMA);
}

/** The value that stands for a bucket, at most 0.5% from everything in it. */
export function bucketValue(bucket: number): number {
  return (2 * GAMMA ** bucket) / (GAMMA + 1);
}

/** How many values a histogram holds. */
export function histogramCount(histogram: Histogram): number {
  return histogram.buckets.reduce((sum, [, count]) => sum + count, histogram.zero);
}

/** The histogram of some values. */
export function histogramOf(values: Iterable<number>): Histogram {
  let zero = 0;
  const counts = new Map<number, number>();
  for (const value of values) {
    if (value <= 0) zero += 1;
    else counts.set(bucketOf(value), (counts.get(bucketOf(value)) ?? 0) + 1);
  }
  return { zero, buckets: sortedPairs(counts) };
}

/** The histogram of all values of several histograms. */
export function mergeHistograms(histograms: readonly Histogram[]): Histogram {
  return histograms.reduce(mergeTwo, EMPTY_HISTOGRAM);
}

function mergeTwo(a: Histogram, b: Histogram): Histogram {
  if (a === EMPTY_HISTOGRAM) return b;
  const [left, right] = [a.buckets, b.buckets];
  const buckets: (readonly [number, number])[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [one, other] = [left[i], right[j]];
    if (one === undefined) return { zero: a.zero + b.zero, buckets: buckets.concat(right.slice(j)) };
    if (other === undefined) return { zero: a.zero + b.zero, buckets: buckets.concat(left.slice(i)) };
    if (one[0] < other[0]) {
      buckets.push(one);
      i += 1;
    } else if (other[0] < one[0]) {
      buckets.push(other);
      j += 1;
    } else {
      buckets.push([one[0], one[1] + other[1]]);
      i += 1;
      j += 1;
    }
  }
}

/** The p-quantile (0 to 1), at most 0.5% off; null when the histogram is empty. */
export function quantile(histogram: Histogram, p: number): number | null {
  const total = histogramCount(histogram);
  if (total === 0) return null;
  const rank = Math.min(total - 1, Math.floor(p * total));
  let seen = histogram.zero;
  if (rank < seen) return 0;
  for (const [bucket, count] of histogram.buckets) {
    seen += count;
    if (rank < seen) return bucketValue(bucket);
  }
  return null;
}

function sortedPairs(counts: ReadonlyMap<number, number>): [number, number][] {
  return [...counts].filter(([, count]) => count > 0).sort((a, b) => a[0] - b[0]);
}
