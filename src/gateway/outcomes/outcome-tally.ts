import {
  type ArmOutcomes,
  OUTCOME_BUCKETS,
  OUTCOME_NAMES,
  OUTCOME_STEPS,
  type OutcomeCounts,
} from '../../core/evidence/outcome-counts';
import type { Arm } from '../../core/routing/routing';
import type { ReportedOutcome } from './outcome';

type Arms = Readonly<Record<Arm, Float64Array>>;

/** Where the counters of an arm stand: booleans, how many were true, one for each step, two for each bucket. */
const TRUES = 1;
const NUMBERS = 2;
const BUCKETS = NUMBERS + OUTCOME_STEPS + 1;
const LENGTH = BUCKETS + 2 * OUTCOME_BUCKETS;
const NOTHING = new Float64Array(LENGTH);

/** The outcomes of one epoch, by name and arm; they only grow. */
export class OutcomeTally {
  readonly #names = new Map<string, Arms>();

  /** False when there are too many names already. */
  add({ name, side, bucket, value }: ReportedOutcome): boolean {
    const counters = this.#countersOf(name, side);
    if (counters === null) return false;
    const steps = typeof value === 'number' ? value : value ? OUTCOME_STEPS : 0;
    if (typeof value === 'number') increase(counters, NUMBERS + value, 1);
    else {
      increase(counters, 0, 1);
      if (value) increase(counters, TRUES, 1);
    }
    increase(counters, BUCKETS + 2 * bucket, 1);
    increase(counters, BUCKETS + 2 * bucket + 1, steps);
    return true;
  }

  copy(): OutcomeTally {
    const copy = new OutcomeTally();
    for (const [name, { legacy, candidate }] of this.#names) {
      copy.#names.set(name, { legacy: legacy.slice(), candidate: candidate.slice() });
    }
    return copy;
  }

  /** What was counted after an earlier copy. */
  since(earlier: OutcomeTally): OutcomeCounts[] {
    return [...this.#names].flatMap(([name, arms]) => {
      const before = earlier.#names.get(name);
      const since = (arm: Arm) => outcomesSince(arms[arm], before?.[arm] ?? NOTHING);
      const counts = { name, legacy: since('legacy'), candidate: since('candidate') };
      return counts.legacy.buckets.length + counts.candidate.buckets.length === 0 ? [] : [counts];
    });
  }

  #countersOf(name: string, arm: Arm): Float64Array | null {
    let arms = this.#names.get(name);
    if (arms === undefined) {
      if (this.#names.size >= OUTCOME_NAMES) return null;
      arms = { legacy: new Float64Array(LENGTH), candidate: new Float64Array(LENGTH) };
      this.#names.set(name, arms);
    }
    return arms[arm];
  }
}

function increase(counters: Float64Array, at: number, by: number): void {
  counters[at] = (counters[at] as number) + by;
}

function outcomesSince(now: Float64Array, before: Float64Array): ArmOutcomes {
  const grown = (at: number) => (now[at] as number) - (before[at] as number);
  const numbers: [number, number][] = [];
  for (let steps = 0; steps <= OUTCOME_STEPS; steps += 1) {
    const count = grown(NUMBERS + steps);
    if (count > 0) numbers.push([steps, count]);
  }
  const buckets: [number, number, number][] = [];
  for (let bucket = 0; bucket < OUTCOME_BUCKETS; bucket += 1) {
    const at = BUCKETS + 2 * bucket;
    const count = grown(at);
    if (count > 0) buckets.push([bucket, count, grown(at + 1)]);
  }
  return { booleans: [grown(0), grown(TRUES)], numbers, buckets };
}
