import { bucketOf, GAMMA, type Histogram } from '../../core/statistics/histogram';

/** From a nanosecond to eleven days, in milliseconds; values beyond count at the edge. */
const LOWEST_BUCKET = bucketOf(1e-6);
const HIGHEST_BUCKET = bucketOf(1e9);
const MARGIN = 32;

/** A histogram for counting: a typed array over the range of buckets seen so far, which only grows. */
export class DenseHistogram {
  #zero = 0;
  #first = 0;
  #counts = new Uint32Array(0);

  add(value: number): void {
    if (!(value > 0)) {
      this.#zero += 1;
      return;
    }
    const bucket = Math.min(HIGHEST_BUCKET, Math.max(LOWEST_BUCKET, bucketOf(value)));
    if (bucket < this.#first || bucket >= this.#first + this.#counts.length) this.#cover(bucket);
    const index = bucket - this.#first;
    this.#counts[index] = (this.#counts[index] as number) + 1;
  }

  /** Adds what another process has counted. */
  merge({ zero, buckets }: Histogram): void {
    this.#zero += zero;
    for (const [bucket, count] of buckets) {
      if (bucket < this.#first || bucket >= this.#first + this.#counts.length) this.#cover(bucket);
      const index = bucket - this.#first;
      this.#counts[index] = (this.#counts[index] as number) + count;
    }
  }

  copy(): DenseHistogram {
    const copy = new DenseHistogram();
    copy.#zero = this.#zero;
    copy.#first = this.#first;
    copy.#counts = this.#counts.slice();
    return copy;
  }

  /** The upper bound of the bucket in which the p-quantile lies; 0 without values. */
  quantile(p: number): number {
    let total = this.#zero;
    for (const count of this.#counts) total += count;
    let below = this.#zero;
    if (total === 0 || below >= p * total) return 0;
    for (let index = 0; index < this.#counts.length; index += 1) {
      below += this.#counts[index] as number;
      if (below >= p * total) return GAMMA ** (this.#first + index);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** What came after an earlier copy of this histogram. */
  since(earlier: DenseHistogram): Histogram {
    const buckets: [number, number][] = [];
    const shift = this.#first - earlier.#first;
    for (let index = 0; index < this.#counts.length; index += 1) {
      const count = (this.#counts[index] as number) - (earlier.#counts[index + shift] ?? 0);
      if (count > 0) buckets.push([index + this.#first, count]);
    }
    return { zero: this.#zero - earlier.#zero, buckets };
  }

  #cover(bucket: number): void {
    const isEmpty = this.#counts.length === 0;
    const first = isEmpty ? bucket - MARGIN : Math.min(this.#first, bucket - MARGIN);
    const end = isEmpty ? bucket + MARGIN : Math.max(this.#first + this.#counts.length, bucket + MARGIN);
    const counts = new Uint32Array(end - first);
    if (!isEmpty) counts.set(this.#counts, this.#first - first);
    this.#first = first;
    this.#counts = counts;
  }
}
