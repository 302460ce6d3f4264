import type { Arm } from '../../routing/routing';
import {
  appendWindow,
  type DetectorState,
  mapSegments,
  NO_WINDOWS,
  thinned,
} from '../../statistics/change-detector';
import { addLists, addPacked, decodeNumbers, encodeNumbers } from '../number-list';
import {
  type ArmOutcomes,
  OUTCOME_BUCKETS,
  OUTCOME_STEPS,
  type OutcomeCounts,
  outcomesOf,
} from '../outcome-counts';

/** What a stage keeps of the outcomes of one name: plain JSON, about a kilobyte. */
export interface StageOutcomes {
  readonly name: string;
  /** Both arms on the grid, by the windows from which they count: packed by `encodeNumbers`, legacy first. */
  readonly windows: DetectorState<string>;
  /** Four numbers a bucket: how many of legacy and the sum of their steps, the candidate's two. */
  readonly keys: string;
  /** How many came of each arm, since the last time that somebody accepted how they were split. */
  readonly reported: Readonly<Record<Arm, number>>;
}

/** The outcomes of both arms on the grid of values, a boolean at its ends. */
export interface ArmGrids {
  readonly legacy: readonly number[];
  readonly candidate: readonly number[];
}

/** What one arm has in a bucket: how many, and the sum of their steps. */
export type OutcomeBucket = readonly [bucket: number, count: number, steps: number];

const GRID = OUTCOME_STEPS + 1;
/** Windows from which harm that begins late is looked for. */
const STARTS = 8;
const NO_OUTCOMES = { windows: NO_WINDOWS, keys: '', reported: { legacy: 0, candidate: 0 } };

/**
 * A stage's outcomes of the names that its plan judges, with those of one more window. They belong to requests of the
 * stage whenever they come, so burn-in and windows that are not judged count as well.
 */
export function withOutcomes(
  held: readonly StageOutcomes[] | undefined,
  seen: readonly OutcomeCounts[] | undefined,
  names: readonly string[],
): StageOutcomes[] {
  return names.map((name) => {
    const before = held?.find((each) => each.name === name) ?? { name, ...NO_OUTCOMES };
    const { legacy, candidate } = outcomesOf(seen, name);
    const now = encodeNumbers([...gridOf(legacy), ...gridOf(candidate)]);
    const windows = thinned(appendWindow(before.windows, now, addPacked), STARTS, addPacked);
    return {
      name,
      windows,
      keys: addPacked(before.keys, keysOf(legacy, candidate)),
      reported: {
        legacy: before.reported.legacy + countOf(gridOf(legacy)),
        candidate: before.reported.candidate + countOf(gridOf(candidate)),
      },
    };
  });
}

/** The outcomes of a stage, by the windows from which they count. */
export function outcomeGrids({ windows }: StageOutcomes): DetectorState<ArmGrids> {
  return mapSegments(windows, (packed) => {
    const numbers = decodeNumbers(packed);
    return { legacy: numbers.slice(0, GRID), candidate: numbers.slice(GRID) };
  });
}

/** Outcomes of adjoining windows together. */
export function addGrids(a: ArmGrids, b: ArmGrids): ArmGrids {
  return { legacy: addLists(a.legacy, b.legacy), candidate: addLists(a.candidate, b.candidate) };
}

/** How many values a grid has. */
export function countOf(grid: readonly number[]): number {
  return grid.reduce((sum, count) => sum + count, 0);
}

/** The buckets of both arms that have outcomes. */
export function outcomeBuckets({ keys }: StageOutcomes): Readonly<Record<Arm, readonly OutcomeBucket[]>> {
  const numbers = decodeNumbers(keys);
  const arm = (offset: number) =>
    Array.from({ length: OUTCOME_BUCKETS }, (_, bucket): OutcomeBucket => {
      const at = 4 * bucket + offset;
      return [bucket, numbers[at] ?? 0, numbers[at + 1] ?? 0];
    }).filter(([, count]) => count > 0);
  return { legacy: arm(0), candidate: arm(2) };
}

function gridOf({ booleans: [count, trues], numbers }: ArmOutcomes): number[] {
  const grid = new Array<number>(GRID).fill(0);
  for (const [step, at] of numbers) grid[step] = at;
  grid[0] = (grid[0] ?? 0) + count - trues;
  grid[OUTCOME_STEPS] = (grid[OUTCOME_STEPS] ?? 0) + trues;
  return grid;
}

function keysOf(legacy: ArmOutcomes, candidate: ArmOutcomes): string {
  const numbers = new Array<number>(4 * OUTCOME_BUCKETS).fill(0);
  const add = ({ buckets }: ArmOutcomes, offset: number) => {
    for (const [bucket, count, steps] of buckets) {
      numbers[4 * bucket + offset] = count;
      numbers[4 * bucket + offset + 1] = steps;
    }
  };
  add(legacy, 0);
  add(candidate, 2);
  return encodeNumbers(numbers);
}
