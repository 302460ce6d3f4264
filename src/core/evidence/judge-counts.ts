import {
  appendWindow,
  type DetectorState,
  mapSegments,
  NO_WINDOWS,
  thinned,
} from '../statistics/change-detector';
import { mergeKeys, type PairBucket, packPairBuckets, pairBucketsIn } from './key-buckets';
import { addPacked, decodeNumbers, encodeNumbers } from './number-list';
import { mergeCounts } from './pair-counts';

/**
 * Why a pair that was drawn for the judge has no result. `unreadable`: the judge said something else. `failed`: it gave
 * no answer. `too long`: the request or an answer. `busy`: no room or no turn. `no money`: what is left would not pay for it.
 */
export type UnjudgedReason = 'unreadable' | 'failed' | 'too long' | 'busy' | 'no money';

/** A bucket of keys, or -1 without one, and how many pairs the candidate lost, won and tied. */
export type JudgedRow = readonly [bucket: number, lost: number, won: number, tied: number];

/** Pairs of answers by a judge's word. Counts only, which add up. */
export interface JudgeCounts {
  readonly rows: readonly JudgedRow[];
  readonly unjudged: Readonly<Partial<Record<UnjudgedReason, number>>>;
  /** What the judge's answers cost; the most that they may where it is not known. */
  readonly costUsd: number;
}

/** What a stage keeps of judged pairs: plain JSON, less than a kilobyte. */
export interface StageJudge extends Omit<JudgeCounts, 'rows'> {
  /** Lost, won and tied, packed, by the windows from which they count. */
  readonly windows: DetectorState<string>;
  /** Two numbers a bucket of keys: pairs with a winner, and those that the candidate lost. Absent without keys. */
  readonly keys?: string;
}

/** How many pairs were lost, won and tied. */
export type JudgedSums = readonly [lost: number, won: number, tied: number];

/** Nothing judged. */
export const NOTHING_JUDGED: JudgeCounts = { rows: [], unjudged: {}, costUsd: 0 };

const STARTS = 12;

/** The sum of some counts. */
export function mergeJudge(parts: readonly JudgeCounts[]): JudgeCounts {
  const rows = new Map<number, JudgedSums>();
  for (const [bucket, ...sums] of parts.flatMap((part) => part.rows)) {
    rows.set(bucket, addJudged(rows.get(bucket) ?? [0, 0, 0], sums));
  }
  return {
    rows: [...rows].sort(([a], [b]) => a - b).map(([bucket, sums]) => [bucket, ...sums]),
    unjudged: mergeCounts(parts.map((part) => part.unjudged)),
    costUsd: parts.reduce((sum, { costUsd }) => sum + costUsd, 0),
  };
}

/** Why counts cannot be used, in a few words without a comma; null when they can. */
export function judgeProblem({ rows, unjudged, costUsd }: JudgeCounts): string | null {
  const counts = [...rows.flatMap(([, ...sums]) => sums), ...Object.values(unjudged), costUsd];
  return counts.every((count) => count >= 0) ? null : 'its counts of judged pairs went backwards';
}

/** A stage's judged pairs with those of one more window. */
export function withJudge(
  held: StageJudge = { ...NOTHING_JUDGED, windows: NO_WINDOWS },
  seen: JudgeCounts = NOTHING_JUDGED,
): StageJudge {
  const sums = seen.rows.reduce<JudgedSums>((sum, [, ...counts]) => addJudged(sum, counts), [0, 0, 0]);
  const windows = thinned(appendWindow(held.windows, encodeNumbers(sums), addPacked), STARTS, addPacked);
  const keys = mergeKeys(
    held.keys ?? null,
    packPairBuckets(seen.rows.map(([bucket, lost, won]) => [bucket, lost + won, lost])),
  );
  return {
    windows,
    ...(keys === null ? {} : { keys }),
    unjudged: mergeCounts([held.unjudged, seen.unjudged]),
    // Sums are carried as JSON: a millionth of a dollar is enough.
    costUsd: Number((held.costUsd + seen.costUsd).toFixed(6)),
  };
}

/** The judged pairs of a stage, by the windows from which they count. */
export function judgedSums({ windows }: StageJudge): DetectorState<JudgedSums> {
  return mapSegments(windows, (packed) => {
    const [lost = 0, won = 0, tied = 0] = decodeNumbers(packed);
    return [lost, won, tied];
  });
}

/** Pairs of adjoining windows together. */
export function addJudged(a: JudgedSums, b: JudgedSums): JudgedSums {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

/** The buckets of keys with a winner: how many pairs, and how many of them the candidate lost. */
export function judgedBuckets({ keys }: StageJudge): readonly PairBucket[] {
  return pairBucketsIn(keys);
}
