import { thinned } from '../../statistics/change-detector';
import { addPackedRows } from '../rate-row';
import type { StageEvidence } from './stage-evidence';
import { mergeWindowCounts, repackWindows } from './window-counts';

/** Characters of JSON that a stage's evidence may take. */
const SIZE_LIMIT = 9_500;

interface Detail {
  /** How many starts of a late change are kept, of latencies and keys. */
  readonly segments: number;
  /** How fine latencies are. */
  readonly step: number;
  /** How many starts are kept of rates; `RATE_SEGMENTS` when absent. */
  readonly rates?: number;
}

/** From the most detail to the least. */
const DETAIL = [
  { segments: 24, step: 1 },
  { segments: 16, step: 1 },
  { segments: 11, step: 1 },
  { segments: 8, step: 1 },
  { segments: 6, step: 1 },
  { segments: 6, step: 2 },
  { segments: 4, step: 2 },
  { segments: 3, step: 2 },
  { segments: 3, step: 6 },
  { segments: 2, step: 6 },
  { segments: 1, step: 6 },
  { segments: 1, step: 6, rates: 12 },
  { segments: 1, step: 6, rates: 8 },
] as const satisfies readonly Detail[];

/** How many starts are kept of rates. */
export const RATE_SEGMENTS = 24;

/** The evidence with less detail where it takes more room than it may: fewer starts of late changes, coarser latencies. */
export function withinSizeLimit(stage: StageEvidence): StageEvidence {
  let fit = stage;
  for (const { segments, step, rates = RATE_SEGMENTS } of DETAIL as readonly Detail[]) {
    if (step < fit.step) continue;
    fit = coarser(fit, step);
    const judged = thinned(fit.judged, segments, (a, b) => mergeWindowCounts(a, b, fit.measures, fit.step));
    fit = {
      ...fit,
      judged,
      ...(fit.rates === undefined ? {} : { rates: thinned(fit.rates, rates, addPackedRows) }),
    };
    if (JSON.stringify(fit).length <= SIZE_LIMIT) return fit;
  }
  return fit;
}

function coarser(stage: StageEvidence, step: number): StageEvidence {
  if (step === stage.step) return stage;
  const factor = step / stage.step;
  // What was counted as the body stays so: the edge of the coarser cells may not lie below it.
  const measures = stage.measures.map((measure) => ({
    ...measure,
    edge: measure.edge === null ? null : Math.ceil(measure.edge / factor),
  }));
  const judged = repackWindows(stage.judged, stage, { measures, step });
  return { ...stage, step, measures, judged };
}
