import { SPENDING_MEASURES, type SpendingGate, type SpendingMeasure } from '../../plan/spending-gate';
import type { Arm } from '../../routing/routing';
import { NO_WINDOWS } from '../../statistics/change-detector';
import { KEY_BUCKETS, mergeKeys } from '../key-buckets';
import { encodeNumbers } from '../number-list';
import { type PooledLatencies, withSamples } from '../pooled-latencies';
import { type ArmSpending, type SpendingCounts, spendingOf } from '../spending-counts';

/** What a stage keeps of cost or tokens per request: plain JSON, at most two kilobytes. */
export interface StageSpending {
  readonly measure: SpendingMeasure;
  /** Both arms, by the windows from which they count; in the one place of `edges` and counts. */
  readonly sketch: PooledLatencies;
  /** As `slowKeys` of a stage's evidence: requests above legacy's judged quantile; null when not sticky. */
  readonly keys: string | null;
  /** Answers of which it is known, and of which it is not. */
  readonly known: Readonly<Record<Arm, number>>;
  readonly unknown: Readonly<Record<Arm, number>>;
}

/** One measure that a stage's plan judges, and by which quantile. */
export interface JudgedSpending {
  readonly measure: SpendingMeasure;
  readonly quantile: SpendingGate['quantile'];
}

/** What a stage's plan judges of them. */
export function judgedSpending({
  gates,
}: {
  readonly gates: Readonly<Partial<Record<SpendingMeasure, SpendingGate>>>;
}): JudgedSpending[] {
  return SPENDING_MEASURES.flatMap((measure) => {
    const gate = gates[measure];
    return gate === undefined ? [] : [{ measure, quantile: gate.quantile }];
  });
}

/** Characters of JSON that the counts of one measure may take. */
const SIZE_LIMIT = 1_500;
/** Part of a distribution that may be counted as its body: far enough below the quantile that is judged. */
const BODY_PARTS: Readonly<Record<SpendingGate['quantile'], number>> = { 0.5: 0.1, 0.95: 0.5 };
const NOTHING = { legacy: 0, candidate: 0 };

/** A stage's spending by the measures that its plan judges, with that of one more window whose arms compare. */
export function withSpending(
  held: readonly StageSpending[] | undefined,
  seen: readonly SpendingCounts[] | undefined,
  judged: readonly JudgedSpending[],
): StageSpending[] {
  return judged.map(({ measure, quantile }) => {
    const before = held?.find((each) => each.measure === measure) ?? {
      sketch: { step: 1, edges: [null], state: NO_WINDOWS },
      keys: null,
      known: NOTHING,
      unknown: NOTHING,
    };
    const { legacy, candidate } = spendingOf(seen, measure);
    const samples = [{ legacy: legacy.values, candidate: candidate.values }];
    return {
      measure,
      sketch: withSamples(before.sketch, samples, BODY_PARTS[quantile], SIZE_LIMIT),
      keys: mergeKeys(before.keys, keysOf(legacy, candidate, quantile)),
      known: {
        legacy: before.known.legacy + countOf(legacy),
        candidate: before.known.candidate + countOf(candidate),
      },
      unknown: {
        legacy: before.unknown.legacy + legacy.unknown,
        candidate: before.unknown.candidate + candidate.unknown,
      },
    };
  });
}

function countOf({ values: { zero, buckets } }: ArmSpending): number {
  return buckets.reduce((sum, [, count]) => sum + count, zero);
}

function keysOf(
  legacy: ArmSpending,
  candidate: ArmSpending,
  quantile: SpendingGate['quantile'],
): string | null {
  if (legacy.buckets.length + candidate.buckets.length === 0) return null;
  const numbers = new Array<number>(4 * KEY_BUCKETS).fill(0);
  const add = ({ buckets }: ArmSpending, offset: number) => {
    for (const [bucket, count, aboveMedian, aboveP95] of buckets) {
      const at = 4 * (bucket % KEY_BUCKETS) + offset;
      numbers[at] = (numbers[at] ?? 0) + count;
      numbers[at + 1] = (numbers[at + 1] ?? 0) + (quantile === 0.5 ? aboveMedian : aboveP95);
    }
  };
  add(legacy, 0);
  add(candidate, 2);
  return encodeNumbers(numbers);
}
