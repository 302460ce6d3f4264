import type { LatencyQuantile } from '../../plan/plan';
import type { Arm } from '../../routing/routing';
import { addCounts, appendWindow, type RateCounts, thinned } from '../../statistics/change-detector';
import { type Histogram, mergeHistograms } from '../../statistics/histogram';
import { type Evidence, type EvidenceCell, failureCount } from '../evidence';
import { mergeKeys } from '../key-buckets';
import { edgeOf, NO_COUNTS, pack, unpack } from '../latency-sketch';
import { withPooledWindow } from '../pooled-latencies';
import { expectedEvents, type RateNumbers, shareOfRates } from '../rate-numbers';
import { addPackedRows, packRow, type RateRow, ratesOf, rowOf } from '../rate-row';
import {
  hasSeveral,
  histogramOfMeasure,
  type LatencyMeasure,
  measuresWith,
  resolutionOf,
  strataOf,
  stratumFinder,
} from './latency-measures';
import { RATE_SEGMENTS, withinSizeLimit } from './size-limit';
import { type ArmUsage, packedRates, type StageEvidence } from './stage-evidence';
import {
  addFloorCounts,
  answerKeysOf,
  type FloorCounts,
  mergeWindowCounts,
  repackWindows,
  thousandths,
  type WindowCounts,
} from './window-counts';
import { answerNumbers, keyNumbers, slowNumbers, withKeys } from './window-keys';

/** How a window was: `shareApplied` when every gateway served the share throughout, or its arms do not compare. */
export interface WindowKind {
  readonly burnIn: boolean;
  readonly shareApplied: boolean;
  /** The share that was asked for. */
  readonly share?: number;
  /** The quantile by which latencies are judged, p95 when absent: detail is kept around and above it. */
  readonly quantile?: LatencyQuantile;
}

/** Part of a distribution that may be counted as its body: far enough below the quantile that is judged. */
const BODY_PARTS: Readonly<Record<LatencyQuantile, number>> = { 0.5: 0.1, 0.95: 0.5 };

const FLOOR_SEGMENTS = 6;

const NAMED_AT_MOST = 20;

/**
 * The stage's evidence with one more window. Burn-in counts for the floor alone, and so does a window in which the
 * share was not applied everywhere: its arms were drawn at another time of day than they ran. Throws for evidence
 * of another epoch and for counters that went backwards.
 */
export function withWindow(stage: StageEvidence, evidence: Evidence, kind: WindowKind): StageEvidence {
  if (evidence.epoch !== stage.epoch) {
    throw new RangeError(`expected evidence of epoch ${stage.epoch}, got epoch ${evidence.epoch}`);
  }
  const cells = evidence.cells.filter((cell) => cell.kind === 'live');
  checkCells(cells);
  const floor = thinned(
    appendWindow(stage.floor, floorCounts(ratesOf(cells), kind), addFloorCounts),
    FLOOR_SEGMENTS,
    addFloorCounts,
  );
  if (kind.burnIn || !kind.shareApplied) {
    const floorKeys = mergeKeys(stage.floorKeys ?? null, keyNumbers(evidence.buckets));
    return { ...stage, floor, ...(floorKeys === null ? {} : { floorKeys }) };
  }
  const { step } = stage;
  const { measures, pooled } = measuresWith(stage.measures, cells);
  const withEdges = measures.map((measure, index) => {
    const now = histogramOfMeasure(cells, 'legacy', measure, measures);
    return edged(measure, stage, index, now, BODY_PARTS[kind.quantile ?? 0.95]);
  });
  const latencies = withEdges.map((measure) => {
    const samples = (arm: Arm) =>
      pack(histogramOfMeasure(cells, arm, measure, measures), resolutionOf(measure, step));
    return [samples('legacy'), samples('candidate')] as const;
  });
  const keys = keyNumbers(evidence.buckets);
  const answerKeys = answerNumbers(evidence.buckets);
  const counts: WindowCounts = { keys, ...answerKeysOf(answerKeys), latencies };
  const strata = strataOf(measures);
  const clustersKnown = keys === null || answerKeys !== null;
  const row = rowOf(cells, strata.length, stratumFinder(strata), clustersKnown);
  const judged = repackWindows(stage.judged, stage, { measures: withEdges, step });
  const together = hasSeveral(withEdges)
    ? withPooledWindow(stage, cells, BODY_PARTS[kind.quantile ?? 0.95])
    : undefined;
  return withinSizeLimit({
    epoch: stage.epoch,
    step,
    measures: withEdges,
    measuresAtFirst: stage.measuresAtFirst ?? withEdges.length,
    judged: appendWindow(judged, counts, (a, b) => mergeWindowCounts(a, b, withEdges, step)),
    ...(together === undefined ? {} : { together }),
    rates: thinned(
      appendWindow(packedRates(stage), packRow(row), addPackedRows),
      RATE_SEGMENTS,
      addPackedRows,
    ),
    floor,
    split: addCounts(stage.split, splitOf(row)),
    ...(stage.floorKeys === undefined ? {} : { floorKeys: stage.floorKeys }),
    slowKeys: mergeKeys(stage.slowKeys ?? null, slowNumbers(evidence.buckets, kind.quantile ?? 0.95)),
    keysSeen: withKeys(stage.keysSeen, evidence.buckets),
    usage: {
      legacy: withUsage(stage.usage.legacy, cells, 'legacy'),
      candidate: withUsage(stage.usage.candidate, cells, 'candidate'),
    },
    pooled: [...new Set([...stage.pooled, ...evidence.pooled, ...pooled])].sort().slice(0, NAMED_AT_MOST),
  });
}

function checkCells(cells: readonly EvidenceCell[]): void {
  for (const cell of cells) {
    const judged = cell.attempts - cell.aborted;
    const counts = [cell.attempts, cell.aborted, ...Object.values(cell.failures)];
    if (counts.every((count) => count >= 0) && failureCount(cell) <= judged) continue;
    throw new RangeError(
      `expected counters that only grow, got ${failureCount(cell)} failures of ${judged} requests of ${cell.side}, ${cell.shape} ${cell.model}`,
    );
  }
}

/**
 * Where the share was not applied throughout, the candidate may have been served while failures were most frequent:
 * its share is then taken to be at least what was asked for.
 */
function floorCounts(rates: RateNumbers, { shareApplied, share = 0 }: WindowKind): FloorCounts {
  const [requests, failures, moved, failed] = rates;
  const realised = shareOfRates(rates);
  return {
    successes: failed,
    trials: moved,
    legacy: { successes: failures, trials: requests },
    expected: thousandths(expectedEvents(rates, shareApplied ? realised : Math.max(realised, share))),
  };
}

/**
 * The edge is chosen once, by legacy's values, so that it never depends on the candidate. `now` are those of the
 * window that is being added.
 */
function edged(
  measure: LatencyMeasure,
  stage: StageEvidence,
  index: number,
  now: Histogram,
  bodyPart: number,
): LatencyMeasure {
  if (measure.edge !== null) return measure;
  const resolution = resolutionOf(measure, stage.step);
  const before = stage.judged.segments.map(({ evidence }) =>
    unpack(evidence.latencies[index]?.[0] ?? NO_COUNTS, resolution),
  );
  return { ...measure, edge: edgeOf(mergeHistograms([...before, now]), stage.step, bodyPart) };
}

/** Everything that was drawn and seen through counts for the split, sent or not. */
function splitOf({ rates, shed }: RateRow): RateCounts {
  const moved = rates[2] + shed.candidate;
  return { successes: moved, trials: rates[0] + shed.legacy + moved };
}

function withUsage(usage: ArmUsage, cells: readonly EvidenceCell[], arm: Arm): ArmUsage {
  return cells
    .filter((cell) => cell.side === arm)
    .reduce<ArmUsage>(
      (sum, cell) => ({
        answers: sum.answers + cell.successes,
        tokensOut: sum.tokensOut + cell.tokensOut,
        costLog: {
          count: sum.costLog.count + cell.costLog.count,
          sum: sum.costLog.sum + cell.costLog.sum,
          sumOfSquares: sum.costLog.sumOfSquares + cell.costLog.sumOfSquares,
        },
      }),
      usage,
    );
}
