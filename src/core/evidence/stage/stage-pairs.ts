import {
  appendWindow,
  type DetectorState,
  mapSegments,
  NO_WINDOWS,
  thinned,
} from '../../statistics/change-detector';
import { mergeKeys, type PairBucket, packPairBuckets, pairBucketsIn } from '../key-buckets';
import { addLists, addPacked, decodeNumbers, encodeNumbers } from '../number-list';
import {
  CELLS,
  eachAspect,
  mergeCounts,
  NO_PAIRS,
  PAIR_ASPECTS,
  type PairAspect,
  type PairCounts,
  type PairRow,
  RATIO_BOUNDS,
  type RatioAspect,
} from '../pair-counts';

/** What a stage keeps of pairs: plain JSON, about two kilobytes. */
export interface StagePairs {
  /** Packed `PairSums`, by the windows from which they count. */
  readonly windows: DetectorState<string>;
  /** Two numbers a bucket of keys: pairs that count, and those that speak against the candidate. Absent without keys. */
  readonly keys: Readonly<Partial<Record<JudgedAspect, string>>>;
  readonly lost: PairCounts['lost'];
  readonly copies: number;
  readonly costUsd: number;
}

/** The aspects of which it is judged whether the candidate is worse. */
export type JudgedAspect = 'answers' | RatioAspect;

/** Cells of each aspect, all keys together, as in `CELLS`. */
export type PairSums = Readonly<Record<PairAspect, readonly number[]>>;

const STARTS = 12;
const JUDGED = ['answers', 'latency', 'outputTokens', 'cost'] as const satisfies readonly JudgedAspect[];
const NONE: StagePairs = {
  windows: NO_WINDOWS,
  keys: {},
  lost: {},
  copies: 0,
  costUsd: 0,
};

/** The place of the first of `RATIO_BOUNDS` that a margin does not exceed; the last for larger ones. */
export function boundFor(increase: number): number {
  const index = RATIO_BOUNDS.findIndex((bound) => bound >= 1 + increase - ROUNDING);
  return index < 0 ? RATIO_BOUNDS.length - 1 : index;
}

const ROUNDING = 1e-9;

/** A stage's pairs with those of one more window; `bounds` are what is harm in each ratio, as `boundFor` has it. */
export function withPairs(
  held: StagePairs = NONE,
  seen: PairCounts = NO_PAIRS,
  bounds: Readonly<Record<RatioAspect, number>>,
): StagePairs {
  const sums = PAIR_ASPECTS.flatMap((aspect) => sumOf(seen[aspect], CELLS[aspect]));
  const windows = thinned(appendWindow(held.windows, encodeNumbers(sums), addPacked), STARTS, addPacked);
  const keys: Partial<Record<JudgedAspect, string>> = {};
  for (const aspect of JUDGED) {
    const now = packPairBuckets(bucketsOf(seen[aspect], aspect === 'answers' ? null : bounds[aspect]));
    const merged = mergeKeys(held.keys[aspect] ?? null, now);
    if (merged !== null) keys[aspect] = merged;
  }
  return {
    windows,
    keys,
    lost: mergeCounts([held.lost, seen.lost]),
    copies: held.copies + seen.copies,
    // Sums are carried as JSON: a millionth of a dollar is enough.
    costUsd: Number((held.costUsd + seen.costUsd).toFixed(6)),
  };
}

/** The pairs of a stage, by the windows from which they count. */
export function pairSums({ windows }: StagePairs): DetectorState<PairSums> {
  return mapSegments(windows, (packed) => {
    const numbers = decodeNumbers(packed);
    let at = 0;
    const take = (aspect: PairAspect) => {
      const cells = numbers.slice(at, at + CELLS[aspect]);
      at += CELLS[aspect];
      return cells;
    };
    return eachAspect(take);
  });
}

/** Pairs of adjoining windows together. */
export function addSums(a: PairSums, b: PairSums): PairSums {
  return eachAspect((aspect) => addLists(a[aspect], b[aspect]));
}

/** The buckets of keys of an aspect that have pairs which count; empty where nothing is keyed. */
export function pairBuckets({ keys }: StagePairs, aspect: JudgedAspect): readonly PairBucket[] {
  return pairBucketsIn(keys[aspect]);
}

function sumOf(rows: readonly PairRow[], cells: number): number[] {
  return rows.reduce<number[]>(
    (sum, [, ...counts]) => addLists(sum, counts),
    new Array<number>(cells).fill(0),
  );
}

/** `bound` is that of a ratio; null for answers, of which only those count that differ. */
function bucketsOf(rows: readonly PairRow[], bound: number | null): readonly PairBucket[] {
  return rows.map(([bucket, ...cells]) => {
    const counting = bound === null ? cells.slice(0, 2) : cells;
    const against = bound === null ? cells.slice(0, 1) : cells.slice(bound + 1);
    return [bucket, total(counting), total(against)];
  });
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
