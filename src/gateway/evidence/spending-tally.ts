import { MICRO_USD, type SpendingBucket, type SpendingCounts } from '../../core/evidence/spending-counts';
import { SPENDING_MEASURES, type SpendingMeasure } from '../../core/plan/spending-gate';
import type { Arm } from '../../core/routing/routing';
import { DenseHistogram } from './dense-histogram';
import type { Observation } from './evidence-cell';
import type { LegacyLatencies, Slowness } from './legacy-latencies';

const ARMS = ['legacy', 'candidate'] as const;
const BUCKETS = 256;

/** What live answers cost and how many tokens they had, in both arms; counts only grow. */
export class SpendingTally {
  readonly #arms: Readonly<Record<SpendingMeasure, Readonly<Record<Arm, ArmTally>>>>;

  constructor(arms?: SpendingTally) {
    const arm = (measure: SpendingMeasure, name: Arm) =>
      arms === undefined ? new ArmTally() : arms.#arms[measure][name].copy();
    this.#arms = {
      cost: { legacy: arm('cost', 'legacy'), candidate: arm('cost', 'candidate') },
      outputTokens: {
        legacy: arm('outputTokens', 'legacy'),
        candidate: arm('outputTokens', 'candidate'),
      },
    };
  }

  /** Counts a live request; one that did not succeed has no answer whose length would mean something. */
  add(seen: Observation, levels: LegacyLatencies): void {
    if (seen.kind !== 'live' || seen.outcome !== 'success') return;
    const isCounted = seen.tokensIn + seen.tokensOut > 0;
    this.#addOne(seen, 'cost', isCounted && seen.costUsd !== null ? seen.costUsd * MICRO_USD : null, levels);
    this.#addOne(seen, 'outputTokens', isCounted ? seen.tokensOut : null, levels);
  }

  /** Adds what another process has counted. */
  merge(counts: readonly SpendingCounts[]): void {
    for (const { measure, ...arms } of counts) {
      for (const arm of ARMS) this.#arms[measure][arm].merge(arms[arm]);
    }
  }

  copy(): SpendingTally {
    return new SpendingTally(this);
  }

  /** What was counted after an earlier copy; nothing where nothing was. */
  since(earlier: SpendingTally): SpendingCounts[] {
    const counts = SPENDING_MEASURES.map((measure) => {
      const arm = (name: Arm) => this.#arms[measure][name].since(earlier.#arms[measure][name]);
      return { measure, legacy: arm('legacy'), candidate: arm('candidate') };
    });
    const isEmpty = counts.every(({ legacy, candidate }) => legacy === null && candidate === null);
    if (isEmpty) return [];
    return counts.map(({ measure, legacy, candidate }) => ({
      measure,
      legacy: legacy ?? NOTHING,
      candidate: candidate ?? NOTHING,
    }));
  }

  #addOne(
    { side, bucket }: Observation,
    measure: SpendingMeasure,
    value: number | null,
    levels: LegacyLatencies,
  ): void {
    const arm = this.#arms[measure][side];
    if (value === null) arm.unknown += 1;
    else if (bucket === null) arm.add(value);
    else {
      arm.add(value);
      arm.addKeyed(bucket, levels.slownessOf(measure, value, side === 'legacy'));
    }
  }
}

const NOTHING = { values: { zero: 0, buckets: [] }, unknown: 0, buckets: [] } as const;

class ArmTally {
  unknown = 0;
  #values = new DenseHistogram();
  #count = 0;
  /** Three numbers a bucket of keys, as in `SpendingBucket`. */
  #keyed = new Uint32Array(0);

  add(value: number): void {
    this.#values.add(value);
    this.#count += 1;
  }

  addKeyed(bucket: number, level: Slowness): void {
    if (this.#keyed.length === 0) this.#keyed = new Uint32Array(3 * BUCKETS);
    const at = 3 * bucket;
    this.#raise(at, 1);
    if (level === 'fast') return;
    this.#raise(at + 1, 1);
    if (level === 'above p95') this.#raise(at + 2, 1);
  }

  merge({ values, unknown, buckets }: SpendingCounts['legacy']): void {
    this.#values.merge(values);
    this.#count += values.buckets.reduce((sum, [, count]) => sum + count, values.zero);
    this.unknown += unknown;
    if (buckets.length > 0 && this.#keyed.length === 0) this.#keyed = new Uint32Array(3 * BUCKETS);
    for (const [bucket, ...counts] of buckets) {
      counts.forEach((count, index) => {
        this.#raise(3 * bucket + index, count);
      });
    }
  }

  copy(): ArmTally {
    const copy = new ArmTally();
    copy.unknown = this.unknown;
    copy.#count = this.#count;
    copy.#values = this.#values.copy();
    copy.#keyed = this.#keyed.slice();
    return copy;
  }

  since(earlier: ArmTally): SpendingCounts['legacy'] | null {
    const unknown = this.unknown - earlier.unknown;
    if (this.#count === earlier.#count && unknown === 0) return null;
    return { values: this.#values.since(earlier.#values), unknown, buckets: this.#keyedSince(earlier) };
  }

  #keyedSince(earlier: ArmTally): SpendingBucket[] {
    const buckets: SpendingBucket[] = [];
    for (let bucket = 0; 3 * bucket < this.#keyed.length; bucket += 1) {
      const grown = (at: number) => (this.#keyed[at] ?? 0) - (earlier.#keyed[at] ?? 0);
      const count = grown(3 * bucket);
      if (count > 0) buckets.push([bucket, count, grown(3 * bucket + 1), grown(3 * bucket + 2)]);
    }
    return buckets;
  }

  #raise(at: number, by: number): void {
    this.#keyed[at] = (this.#keyed[at] ?? 0) + by;
  }
}
