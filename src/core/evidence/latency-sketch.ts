import { GAMMA, type Histogram, histogramCount, mergeHistograms, quantile } from '../statistics/histogram';
import { decodeNumbers, encodeNumbers } from './number-list';

/** How finely a latency histogram is kept over a stage. */
export interface Resolution {
  /** Buckets of the histogram that make one cell: 6 keep values within 6%. */
  readonly step: number;
  /** Cells at or below are counted as one: the body of a distribution whose tail is judged. Null before it is known. */
  readonly edge: number | null;
}

/**
 * A histogram as a short list of numbers (`encodeNumbers`): the count at or below the edge, then the first cell
 * above it and the counts of it and those that follow; a negative number skips so many empty cells. A cell stands
 * for the upper bound of its buckets, so that counts at or below it are exact.
 */
export type PackedCounts = string;

/** No values at all. */
export const NO_COUNTS: PackedCounts = '';

/** Packs a histogram. */
export function pack(histogram: Histogram, { step, edge }: Resolution): PackedCounts {
  const packed = [histogram.zero];
  let last: number | null = null;
  for (const [bucket, count] of histogram.buckets) {
    const cell = Math.ceil(bucket / step);
    if (edge !== null && cell <= edge) packed[0] = (packed[0] ?? 0) + count;
    else if (cell === last) packed[packed.length - 1] = (packed.at(-1) ?? 0) + count;
    else {
      if (last === null) packed.push(cell);
      else if (cell > last + 1) packed.push(last + 1 - cell);
      packed.push(count);
      last = cell;
    }
  }
  return last === null && packed[0] === 0 ? NO_COUNTS : encodeNumbers(packed);
}

/** The histogram of packed counts: every value at the upper bound of its cell. */
export function unpack(packed: PackedCounts, { step, edge }: Resolution): Histogram {
  const [below = 0, first, ...rest] = decodeNumbers(packed);
  const buckets: [number, number][] = [];
  if (edge !== null && below > 0) buckets.push([edge * step, below]);
  let cell = first ?? 0;
  for (const count of rest) {
    if (count < 0) {
      cell -= count;
      continue;
    }
    buckets.push([cell * step, count]);
    cell += 1;
  }
  return { zero: edge === null ? below : 0, buckets };
}

/** The counts of two windows together. */
export function mergePacked(a: PackedCounts, b: PackedCounts, resolution: Resolution): PackedCounts {
  if (a === NO_COUNTS) return b;
  if (b === NO_COUNTS) return a;
  return pack(mergeHistograms([unpack(a, resolution), unpack(b, resolution)]), resolution);
}

/** The same counts at a coarser resolution. */
export function repack(packed: PackedCounts, from: Resolution, to: Resolution): PackedCounts {
  const same = from.step === to.step && from.edge === to.edge;
  return same || packed === NO_COUNTS ? packed : pack(unpack(packed, from), to);
}

/** From so many values on the middle of a distribution is known well enough to leave its body out. */
const EDGE_VALUES = 1_000;

/**
 * The edge that a histogram gives: the cell below which `part` of its values lie; null while there are too few
 * values. What is judged must lie far above that part.
 */
export function edgeOf(histogram: Histogram, step: number, part: number): number | null {
  if (histogramCount(histogram) < EDGE_VALUES) return null;
  let seen = histogram.zero;
  const body = histogramCount(histogram) * part;
  for (const [bucket, count] of histogram.buckets) {
    seen += count;
    if (seen >= body) return Math.floor(bucket / step) - 1;
  }
  return null;
}

/** The p-quantile of an unpacked histogram: its cell's middle; null without data or within the body. */
export function sketchQuantile(histogram: Histogram, p: number, { step, edge }: Resolution): number | null {
  const value = quantile(histogram, p);
  if (value === null || value <= 0) return value;
  const body = edge === null ? 0 : GAMMA ** (edge * step);
  return value <= body ? null : value * GAMMA ** (-(step - 1) / 2);
}
