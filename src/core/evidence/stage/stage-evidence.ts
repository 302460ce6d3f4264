import type { Arm } from '../../routing/routing';
import {
  type DetectorState,
  mapSegments,
  NO_WINDOWS,
  type RateCounts,
  thinned,
} from '../../statistics/change-detector';
import type { LogMoments } from '../evidence';
import type { StageJudge } from '../judge-counts';
import type { PooledLatencies } from '../pooled-latencies';
import { addPackedRows, NO_ROW, type PackedRow, packRow, type RateRow, unpackRow } from '../rate-row';
import { type LatencyMeasure, strataOf } from './latency-measures';
import type { StageCohort } from './stage-cohort';
import type { StageOutcomes } from './stage-outcomes';
import type { StagePairs } from './stage-pairs';
import type { StageSpending } from './stage-spending';
import { addFloorCounts, type FloorCounts, mergeWindowCounts, type WindowCounts } from './window-counts';

/**
 * Everything that a stage's gates rest on, from its entry on: plain JSON, bounded, carried from window to window.
 * The sum of all segments is the stage; a change that comes late is looked for from each segment's start.
 */
export interface StageEvidence {
  readonly epoch: number;
  /** Buckets of a latency histogram a cell. */
  readonly step: number;
  readonly measures: readonly LatencyMeasure[];
  /** How many measures the first judged window had, by which alpha is divided. Absent in evidence of older releases. */
  readonly measuresAtFirst?: number;
  readonly judged: DetectorState<WindowCounts>;
  /** Latencies of all models together, finer. Absent while a shape has one stratum, and in evidence of older releases. */
  readonly together?: PooledLatencies;
  /** Failures of the same windows, with starts of their own: a row is small. Absent in evidence of older releases. */
  readonly rates?: DetectorState<PackedRow>;
  /** Failures of requests, burn-in and windows that are not judged included. */
  readonly floor: DetectorState<FloorCounts>;
  /** The candidate's requests of all, while every gateway applied the share. */
  readonly split: RateCounts;
  /**
   * As `keys` of a window, but requests slower than legacy's judged quantile in place of failures, of all windows;
   * null when not sticky, absent in evidence of older releases.
   */
  readonly slowKeys?: string | null;
  /** As `keys` of a window, of burn-in and other windows that only the floor judges; absent while there are none. */
  readonly floorKeys?: string;
  /** Which of 256 key buckets the candidate's keys fell into, as hexadecimal digits; empty when not sticky. */
  readonly keysSeen: string;
  readonly usage: Readonly<Record<Arm, ArmUsage>>;
  readonly pooled: readonly string[];
  /** What applications said of answers, of the names that the plan judges; absent where it judges none. */
  readonly outcomes?: readonly StageOutcomes[];
  /** Cost and tokens per request, as far as the plan judges them; absent where it does not. */
  readonly spending?: readonly StageSpending[];
  /** How answers to copies of legacy's requests compare; absent where the stage copies nothing. */
  readonly pairs?: StagePairs;
  /** What a judge says of them; absent where the plan has none. */
  readonly judge?: StageJudge;
  /** What a cohort's requests came to; absent where the stage serves none. */
  readonly cohort?: StageCohort;
}

/** What an arm used: reported, not judged. */
export interface ArmUsage {
  readonly answers: number;
  readonly tokensOut: number;
  readonly costLog: LogMoments;
}

/** The evidence of a stage that was just entered. */
export function noStageEvidence(epoch: number): StageEvidence {
  return {
    epoch,
    step: FINEST_STEP,
    measures: [],
    judged: NO_WINDOWS,
    floor: NO_WINDOWS,
    split: { successes: 0, trials: 0 },
    keysSeen: '',
    usage: { legacy: NO_USAGE, candidate: NO_USAGE },
    pooled: [],
  };
}

/** Latencies start with the cells of the gateways' histograms; `withinSizeLimit` makes them coarser. */
const FINEST_STEP = 1;
const NO_USAGE: ArmUsage = { answers: 0, tokensOut: 0, costLog: { count: 0, sum: 0, sumOfSquares: 0 } };

/** How many measures were there when the stage was first judged; in evidence of older releases all of them. */
export function measuresAtFirst({ measuresAtFirst: first, measures }: StageEvidence): number {
  return Math.max(1, first ?? measures.length);
}

/** How many strata there were then. */
export function strataAtFirst(stage: StageEvidence): number {
  return Math.max(1, strataOf(stage.measures.slice(0, measuresAtFirst(stage))).length);
}

/** What the stage counted of requests, by the windows from which it is looked at. */
export function rateRows(stage: StageEvidence): DetectorState<RateRow> {
  return mapSegments(packedRates(stage), unpackRow);
}

/** The stage's rows; those of evidence of an older release lie in its windows, without strata. */
export function packedRates({
  rates,
  judged,
}: Pick<StageEvidence, 'rates' | 'judged'>): DetectorState<PackedRow> {
  if (rates !== undefined) return rates;
  const { expected: _, ...none } = NO_ROW;
  return mapSegments(judged, (held) => packRow({ ...none, rates: held.rates ?? none.rates }));
}

/** What a stage is paused by until somebody accepts what was counted so far. */
export type AcceptedCause = 'candidate closed' | 'sample ratio' | 'outcome reports';

/** The evidence of a stage whose operator has accepted what it was paused by: it is counted anew from here on. */
export function withAccepted(stage: StageEvidence, cause: AcceptedCause): StageEvidence {
  if (cause === 'sample ratio') return { ...stage, split: { successes: 0, trials: 0 } };
  if (cause === 'outcome reports') {
    const reported = { legacy: 0, candidate: 0 };
    return { ...stage, outcomes: (stage.outcomes ?? []).map((outcomes) => ({ ...outcomes, reported })) };
  }
  const rates = mapSegments(packedRates(stage), (row) => packRow({ ...unpackRow(row), shed: NO_ROW.shed }));
  return { ...stage, rates };
}

/** The same evidence without the windows from which it was looked at, and without what strata say together. */
export function inOneSegment({ together: _, ...stage }: StageEvidence): StageEvidence {
  const { measures, step, rates } = stage;
  return {
    ...stage,
    judged: thinned(stage.judged, 1, (a, b) => mergeWindowCounts(a, b, measures, step)),
    ...(rates === undefined ? {} : { rates: thinned(rates, 1, addPackedRows) }),
    floor: thinned(stage.floor, 1, addFloorCounts),
  };
}
