import type { Arm } from '../../routing/routing';
import { EMPTY_HISTOGRAM, type Histogram, mergeHistograms } from '../../statistics/histogram';
import type { AnswerShape, EvidenceCell } from '../evidence';
import type { Resolution } from '../latency-sketch';

/** A latency that is judged by itself: never pooled over shapes. */
export interface LatencyMeasure {
  readonly what: 'total' | 'first token' | 'between tokens';
  readonly shape: AnswerShape;
  readonly model: string;
  /** As in `Resolution`. */
  readonly edge: number | null;
}

/** What the gateways call the strata in which they pool. */
export const POOLED_MODEL = 'other';

/** Strata (model and shape) of their own; further models are counted as `POOLED_MODEL`. */
const STRATA = 12;

const MEASURES: Readonly<Record<AnswerShape, readonly LatencyMeasure['what'][]>> = {
  plain: ['total'],
  stream: ['first token', 'between tokens'],
};

const FIELDS = {
  total: 'totalMs',
  'first token': 'firstTokenMs',
  'between tokens': 'interTokenMs',
} as const;

/** The measures with those that this window adds; models beyond the limit are counted as `POOLED_MODEL`. */
export function measuresWith(
  before: readonly LatencyMeasure[],
  cells: readonly EvidenceCell[],
): { measures: readonly LatencyMeasure[]; pooled: readonly string[] } {
  const measures = [...before];
  const pooled: string[] = [];
  const strata = new Set(measures.map(({ shape, model }) => `${shape} ${model}`));
  const busiest = [...cells].sort((a, b) => b.attempts - a.attempts || (a.model < b.model ? -1 : 1));
  for (const { shape, model } of busiest) {
    if (strata.has(`${shape} ${model}`)) continue;
    // Two strata are left for what is pooled, one a shape.
    const own = model === POOLED_MODEL || strata.size < STRATA - 2;
    if (!own) pooled.push(model);
    const name = own ? model : POOLED_MODEL;
    if (strata.has(`${shape} ${name}`)) continue;
    strata.add(`${shape} ${name}`);
    for (const what of MEASURES[shape]) measures.push({ what, shape, model: name, edge: null });
  }
  return { measures, pooled };
}

/** What an arm's cells hold of a measure; models without a measure of their own are in `POOLED_MODEL`. */
export function histogramOfMeasure(
  cells: readonly EvidenceCell[],
  arm: Arm,
  measure: LatencyMeasure,
  measures: readonly LatencyMeasure[],
): Histogram {
  const hasOwn = (model: string) =>
    measures.some((other) => other.shape === measure.shape && other.model === model);
  const belongs = ({ model }: EvidenceCell) =>
    model === measure.model || (measure.model === POOLED_MODEL && !hasOwn(model));
  return mergeHistograms(
    cells
      .filter((cell) => cell.side === arm && cell.shape === measure.shape && belongs(cell))
      .map((cell) => cell[FIELDS[measure.what]] ?? EMPTY_HISTOGRAM),
  );
}

/** How the counts of a measure are packed. */
export function resolutionOf(measure: LatencyMeasure | undefined, step: number): Resolution {
  return { step, edge: measure?.edge ?? null };
}

/** A model and a shape: what is judged by itself. */
export type Stratum = Pick<LatencyMeasure, 'shape' | 'model'>;

/** The strata of some measures, in the order in which they were first seen. */
export function strataOf(measures: readonly LatencyMeasure[]): Stratum[] {
  return measures
    .filter(({ what }) => what !== 'between tokens')
    .map(({ shape, model }) => ({ shape, model }));
}

/** Whether a shape of answers has several strata. */
export function hasSeveral(measures: readonly LatencyMeasure[]): boolean {
  const strata = strataOf(measures);
  return strata.length > new Set(strata.map(({ shape }) => shape)).size;
}

/** The number of a cell's stratum; models without one of their own are in `POOLED_MODEL`. */
export function stratumFinder(strata: readonly Stratum[]): (cell: EvidenceCell) => number {
  const numberOf = (shape: AnswerShape, model: string) =>
    strata.findIndex((stratum) => stratum.shape === shape && stratum.model === model);
  return ({ shape, model }) => {
    const own = numberOf(shape, model);
    return own >= 0 ? own : numberOf(shape, POOLED_MODEL);
  };
}
