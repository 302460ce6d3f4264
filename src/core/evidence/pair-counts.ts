/**
 * What pairs of answers to one request are compared by. `answers`: whether there was a good one, by failures and the
 * contract. The next three by how many times as much the candidate took as legacy. `decisions`: whether both ended and
 * answered alike where they should, because JSON or temperature 0 was asked for.
 */
export type PairAspect = 'answers' | 'latency' | 'outputTokens' | 'cost' | 'decisions';

/** In the order in which evidence keeps them. */
export const PAIR_ASPECTS = [
  'answers',
  'latency',
  'outputTokens',
  'cost',
  'decisions',
] as const satisfies readonly PairAspect[];

/** A value for each aspect. */
export function eachAspect<Value>(of: (aspect: PairAspect) => Value): Record<PairAspect, Value> {
  return {
    answers: of('answers'),
    latency: of('latency'),
    outputTokens: of('outputTokens'),
    cost: of('cost'),
    decisions: of('decisions'),
  };
}

/** The aspects of which the ratio is counted. */
export type RatioAspect = 'latency' | 'outputTokens' | 'cost';

/** Ratios above which pairs are counted, lowest first; a margin acts as the next of them. */
export const RATIO_BOUNDS = [1, 1.1, 1.2, 1.5, 2, 3, 5] as const;

/** How many numbers a row has besides its bucket. */
export const CELLS: Readonly<Record<PairAspect, number>> = {
  /** Only the candidate's was bad, only legacy's, both alike, could not be checked. */
  answers: 4,
  /** Pairs at or below the first bound, then those above each. */
  latency: RATIO_BOUNDS.length + 1,
  outputTokens: RATIO_BOUNDS.length + 1,
  cost: RATIO_BOUNDS.length + 1,
  /** Different, alike. */
  decisions: 2,
};

/** The cell that counts pairs of this ratio, after the bucket. */
export function ratioCell(ratio: number): number {
  return RATIO_BOUNDS.filter((bound) => ratio > bound).length;
}

/** The bucket of requests without a key. */
export const NO_KEY = -1;

/** A bucket of keys, or `NO_KEY`, and what `CELLS` says. */
export type PairRow = readonly [bucket: number, ...cells: number[]];

/** Pairs of answers: what both providers gave to the same request. Counts only, which add up. */
export interface PairCounts extends Readonly<Record<PairAspect, readonly PairRow[]>> {
  /** Pairs of which only the candidate's answer was bad, by its failure or by what it broke of its contract. */
  readonly lost: Readonly<Record<string, number>>;
  /** Of the copies that were sent, compared or not; estimated where the candidate reported no usage. */
  readonly costUsd: number;
  readonly copies: number;
}

/** No pairs. */
export const NO_PAIRS: PairCounts = {
  answers: [],
  latency: [],
  outputTokens: [],
  cost: [],
  decisions: [],
  lost: {},
  costUsd: 0,
  copies: 0,
};

/** The sum of some counts. */
export function mergePairs(parts: readonly PairCounts[]): PairCounts {
  const rows = (aspect: PairAspect) => mergeRows(parts.flatMap((counts) => counts[aspect]));
  return {
    ...eachAspect(rows),
    lost: mergeCounts(parts.map(({ lost }) => lost)),
    costUsd: parts.reduce((sum, { costUsd }) => sum + costUsd, 0),
    copies: parts.reduce((sum, { copies }) => sum + copies, 0),
  };
}

/** Why counts cannot be used, in a few words without a comma; null when they can. */
export function pairsProblem(counts: PairCounts): string | null {
  const isSound = (aspect: PairAspect) =>
    counts[aspect].every(
      ([, ...cells]) => cells.length === CELLS[aspect] && cells.every((count) => count >= 0),
    );
  const broken = PAIR_ASPECTS.find((aspect) => !isSound(aspect));
  if (broken !== undefined) return `its counts of pairs are not what they should be (${broken})`;
  return counts.costUsd >= 0 && counts.copies >= 0 ? null : 'its counts of copies went backwards';
}

/** Counts by name, together. */
export function mergeCounts<Counts extends Readonly<Partial<Record<string, number>>>>(
  parts: readonly Counts[],
): Counts {
  const merged: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, count = 0] of Object.entries(part)) merged[name] = (merged[name] ?? 0) + count;
  }
  return merged as Counts;
}

function mergeRows(rows: readonly PairRow[]): PairRow[] {
  const merged = new Map<number, number[]>();
  for (const [bucket, ...cells] of rows) {
    const held = merged.get(bucket);
    merged.set(bucket, held === undefined ? cells : held.map((count, index) => count + (cells[index] ?? 0)));
  }
  return [...merged].sort(([a], [b]) => a - b).map(([bucket, cells]) => [bucket, ...cells]);
}
