import type { Arm } from '../routing/routing';

/** Values from 0 to 1 are counted on a grid of this many steps; a boolean is 0 or all of them. */
export const OUTCOME_STEPS = 20;

/** By how many buckets of keys outcomes are counted, so that it is known how those of one key go together. */
export const OUTCOME_BUCKETS = 64;

/** How many names a route's applications may use. */
export const OUTCOME_NAMES = 32;

/** What applications said of the answers of one arm, under one name. */
export interface ArmOutcomes {
  /** Those that were true or false. */
  readonly booleans: readonly [count: number, trues: number];
  /** Those that were a number, by the steps of their value; sparse, sorted. */
  readonly numbers: readonly (readonly [steps: number, count: number])[];
  /** All of them by bucket, with the sum of their steps; sparse, sorted. */
  readonly buckets: readonly (readonly [bucket: number, count: number, steps: number])[];
}

/** What applications said of the answers of both arms, under one name; all of it adds up. */
export interface OutcomeCounts extends Readonly<Record<Arm, ArmOutcomes>> {
  readonly name: string;
}

const NONE: ArmOutcomes = { booleans: [0, 0], numbers: [], buckets: [] };

/** The outcomes of a name; none where it is not among them. */
export function outcomesOf(counts: readonly OutcomeCounts[] | undefined, name: string): OutcomeCounts {
  return counts?.find((each) => each.name === name) ?? { name, legacy: NONE, candidate: NONE };
}

/** The sum of some counts, by name. */
export function mergeOutcomes(parts: readonly (readonly OutcomeCounts[])[]): OutcomeCounts[] {
  const merged = new Map<string, OutcomeCounts>();
  for (const counts of parts.flat()) {
    const held = merged.get(counts.name);
    merged.set(counts.name, held === undefined ? counts : addOutcomes(held, counts));
  }
  return [...merged.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Why counts of outcomes cannot be used, in a few words without a comma; null when they can. */
export function outcomesProblem(counts: readonly OutcomeCounts[]): string | null {
  const broken = counts.find(({ legacy, candidate }) => !isSound(legacy) || !isSound(candidate));
  return broken === undefined ? null : `its outcomes went backwards (${broken.name})`;
}

function isSound({ booleans: [count, trues], numbers, buckets }: ArmOutcomes): boolean {
  return (
    trues >= 0 &&
    count >= trues &&
    numbers.every(([, at]) => at >= 0) &&
    buckets.every(([, at, steps]) => steps >= 0 && at * OUTCOME_STEPS >= steps)
  );
}

function addOutcomes(a: OutcomeCounts, b: OutcomeCounts): OutcomeCounts {
  return {
    name: a.name,
    legacy: addArm(a.legacy, b.legacy),
    candidate: addArm(a.candidate, b.candidate),
  };
}

function addArm(a: ArmOutcomes, b: ArmOutcomes): ArmOutcomes {
  const numbers = new Map(a.numbers);
  for (const [steps, count] of b.numbers) numbers.set(steps, (numbers.get(steps) ?? 0) + count);
  const buckets = new Map(a.buckets.map(([bucket, count, steps]) => [bucket, [count, steps] as const]));
  for (const [bucket, count, steps] of b.buckets) {
    const [before, sum] = buckets.get(bucket) ?? [0, 0];
    buckets.set(bucket, [before + count, sum + steps]);
  }
  return {
    booleans: [a.booleans[0] + b.booleans[0], a.booleans[1] + b.booleans[1]],
    numbers: [...numbers].sort(([one], [other]) => one - other),
    buckets: [...buckets]
      .sort(([one], [other]) => one - other)
      .map(([bucket, [count, steps]]) => [bucket, count, steps] as const),
  };
}
