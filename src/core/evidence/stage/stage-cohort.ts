import type { CohortGate } from '../../plan/plan';
import { appendWindow, type DetectorState, NO_WINDOWS, thinned } from '../../statistics/change-detector';
import { bucketOf, type Histogram, histogramCount } from '../../statistics/histogram';
import { breachCount, type EvidenceCell, failureCount } from '../evidence';

/** What a cohort's requests came to at the candidate. */
export interface CohortCounts {
  /** That were sent, less those whose callers left and those that say nothing of a provider. */
  readonly requests: number;
  readonly failures: number;
  /** Not sent, because the candidate took nothing. */
  readonly shed: number;
  readonly checked: number;
  readonly breaches: number;
  readonly unchecked: number;
  /** Plain answers, and those slower than the bound; none where it is not judged. */
  readonly plain: number;
  readonly slowPlain: number;
  readonly streams: number;
  readonly slowStreams: number;
}

/** What a stage keeps of its cohort: `CohortCounts` as numbers in this order, by the windows from which they count. */
export type StageCohort = DetectorState<readonly number[]>;

export const NO_COHORT: StageCohort = NO_WINDOWS;

const FIELDS = [
  'requests',
  'failures',
  'shed',
  'checked',
  'breaches',
  'unchecked',
  'plain',
  'slowPlain',
  'streams',
  'slowStreams',
] as const satisfies readonly (keyof CohortCounts)[];

const STARTS = 12;

/** A stage's cohort with what one more window has counted of it. */
export function withCohort(
  held: StageCohort = NO_COHORT,
  cells: readonly EvidenceCell[],
  gate: CohortGate,
): StageCohort {
  const counts = cells
    .filter(({ kind, side }) => kind === 'cohort' && side === 'candidate')
    .map((cell) => rowOf(countsOf(cell, gate)))
    .reduce(addCohortRows, rowOf(NOTHING));
  return thinned(appendWindow(held, counts, addCohortRows), STARTS, addCohortRows);
}

/** The counts of a row, however few numbers another release wrote. */
export function cohortCounts(row: readonly number[]): CohortCounts {
  return Object.fromEntries(
    FIELDS.map((field, index) => [field, row[index] ?? 0]),
  ) as unknown as CohortCounts;
}

/** Two rows together. */
export function addCohortRows(a: readonly number[], b: readonly number[]): readonly number[] {
  return FIELDS.map((_, index) => (a[index] ?? 0) + (b[index] ?? 0));
}

const NOTHING = cohortCounts([]);

function rowOf(counts: CohortCounts): readonly number[] {
  return FIELDS.map((field) => counts[field]);
}

function countsOf(cell: EvidenceCell, { p95Ms, firstTokenP95Ms }: CohortGate): CohortCounts {
  const { shed = 0 } = cell.failures;
  const { answers } = cell;
  const plain = slowness(cell.totalMs, p95Ms);
  const streams = slowness(cell.firstTokenMs, firstTokenP95Ms);
  return {
    requests: cell.attempts - cell.aborted - shed,
    failures: failureCount(cell) - shed,
    shed,
    checked: answers?.checked ?? 0,
    breaches: answers === undefined ? 0 : breachCount(answers),
    unchecked: answers?.unchecked ?? 0,
    ...{ plain: plain.all, slowPlain: plain.slow, streams: streams.all, slowStreams: streams.slow },
  };
}

/** Values above a bound, to the width of a bucket (1%). */
function slowness(
  histogram: Histogram,
  boundMs: number | null,
): { readonly all: number; readonly slow: number } {
  if (boundMs === null) return { all: 0, slow: 0 };
  const last = bucketOf(boundMs);
  const slow = histogram.buckets.reduce((sum, [bucket, count]) => sum + (bucket > last ? count : 0), 0);
  return { all: histogramCount(histogram), slow };
}
