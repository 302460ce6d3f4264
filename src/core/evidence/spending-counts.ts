import { SPENDING_MEASURES, type SpendingMeasure } from '../plan/spending-gate';
import type { Arm } from '../routing/routing';
import { EMPTY_HISTOGRAM, type Histogram, histogramCount, mergeHistograms } from '../statistics/histogram';

/** Costs are counted in millionths of a USD, where those of ordinary requests are numbers like latencies. */
export const MICRO_USD = 1_000_000;

/** What the successful answers of one arm took, in tokens or millionths of a USD, all models together. */
export interface ArmSpending {
  readonly values: Histogram;
  /** Answers of which it is not known: no usage was reported, or the model has no price. */
  readonly unknown: number;
  /** Those of which it is known by key bucket, and how many of them were above legacy's median and p95; sparse, sorted. */
  readonly buckets: readonly SpendingBucket[];
}

export type SpendingBucket = readonly [bucket: number, count: number, aboveMedian: number, aboveP95: number];

/** One measure of both arms; all of it adds up. */
export interface SpendingCounts extends Readonly<Record<Arm, ArmSpending>> {
  readonly measure: SpendingMeasure;
}

const NONE: ArmSpending = { values: EMPTY_HISTOGRAM, unknown: 0, buckets: [] };

/** The counts of a measure; none where it is not among them. */
export function spendingOf(
  counts: readonly SpendingCounts[] | undefined,
  measure: SpendingMeasure,
): SpendingCounts {
  return counts?.find((each) => each.measure === measure) ?? { measure, legacy: NONE, candidate: NONE };
}

/** The sum of some counts, by measure. */
export function mergeSpending(parts: readonly (readonly SpendingCounts[])[]): SpendingCounts[] {
  return SPENDING_MEASURES.map((measure) => {
    const own = parts.map((counts) => spendingOf(counts, measure));
    const arm = (name: Arm): ArmSpending => ({
      values: mergeHistograms(own.map((counts) => counts[name].values)),
      unknown: own.reduce((sum, counts) => sum + counts[name].unknown, 0),
      buckets: mergeBuckets(own.flatMap((counts) => counts[name].buckets)),
    });
    return { measure, legacy: arm('legacy'), candidate: arm('candidate') };
  });
}

/** Why counts cannot be used, in a few words without a comma; null when they can. */
export function spendingProblem(counts: readonly SpendingCounts[]): string | null {
  const broken = counts.find(({ legacy, candidate }) => !isSound(legacy) || !isSound(candidate));
  return broken === undefined ? null : `its counts of spending went backwards (${broken.measure})`;
}

function isSound({ values, unknown, buckets }: ArmSpending): boolean {
  const counts = [values.zero, unknown, ...values.buckets.map(([, count]) => count)];
  const keyed = buckets.reduce((sum, [, count]) => sum + count, 0);
  return (
    counts.every((count) => count >= 0) &&
    keyed <= histogramCount(values) &&
    buckets.every(([, count, median, p95]) => p95 >= 0 && median >= p95 && count >= median)
  );
}

function mergeBuckets(buckets: readonly SpendingBucket[]): SpendingBucket[] {
  const merged = new Map<number, SpendingBucket>();
  for (const each of buckets) {
    const [bucket, count, median, p95] = each;
    const held = merged.get(bucket);
    merged.set(
      bucket,
      held === undefined ? each : [bucket, held[1] + count, held[2] + median, held[3] + p95],
    );
  }
  return [...merged.values()].sort((a, b) => a[0] - b[0]);
}
