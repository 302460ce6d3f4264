import type { LatencyQuantile } from '../plan/plan';
import type { Arm } from '../routing/routing';
import {
  addCounts,
  appendWindow,
  type DetectorState,
  mapSegments,
  NO_WINDOWS,
  type RateCounts,
  thinned,
} from '../statistics/change-detector';
import { EMPTY_HISTOGRAM, type Histogram, mergeHistograms } from '../statistics/histogram';
import {
  type AnswerShape,
  type BucketCount,
  type BucketCounts,
  type Evidence,
  type EvidenceCell,
  failureCount,
  type LogMoments,
} from './evidence';
import type { StageJudge } from './judge-counts';
import { KEY_BUCKETS, mergeKeys } from './key-buckets';
import {
  edgeOf,
  mergePacked,
  NO_COUNTS,
  type PackedCounts,
  pack,
  type Resolution,
  repack,
  unpack,
} from './latency-sketch';
import { encodeNumbers } from './number-list';
import { type PooledLatencies, withPooledWindow } from './pooled-latencies';
import { addRates, expectedEvents, type RateNumbers, shareOfRates } from './rate-numbers';
import {
  addPackedRows,
  NO_ROW,
  type PackedRow,
  packRow,
  type RateRow,
  ratesOf,
  rowOf,
  unpackRow,
} from './rate-row';
import type { StageCohort } from './stage-cohort';
import type { StageOutcomes } from './stage-outcomes';
import type { StagePairs } from './stage-pairs';
import type { StageSpending } from './stage-spending';

/** A latency that is judged by itself: never pooled over shapes. */
export interface LatencyMeasure {
  readonly what: 'total' | 'first token' | 'between tokens';
  readonly shape: AnswerShape;
  readonly model: string;
  /** As in `Resolution`. */
  readonly edge: number | null;
}

/** What one window, or several in a row, have counted of latencies and keys. */
export interface WindowCounts {
  /** In evidence of older releases, which had no `rates` of the stage. */
  readonly rates?: RateNumbers;
  /** Four numbers a key bucket as in `rates`, `KEY_BUCKETS` times (`encodeNumbers`); null when not sticky. */
  readonly keys: string | null;
  /** As `keys`, but checked answers and their breaches; absent when not sticky, and in evidence of older releases. */
  readonly answerKeys?: string;
  /** Legacy's and the candidate's counts by measure, in the order of `measures`; later measures may be absent. */
  readonly latencies: readonly (readonly [legacy: PackedCounts, candidate: PackedCounts])[];
}

/** The candidate's failures of its requests, and legacy's meanwhile: absent in evidence of older releases. */
export interface FloorCounts extends RateCounts {
  readonly legacy?: RateCounts;
  /** As in `ExpectedEvents`; absent likewise. */
  readonly expected?: number;
}

/** What an arm used: reported, not judged. */
export interface ArmUsage {
  readonly answers: number;
  readonly tokensOut: number;
  readonly costLog: LogMoments;
}

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

const GATEWAY_BUCKETS = 256;
/** Strata (model and shape) of their own; further models are counted as `POOLED_MODEL`. */
const STRATA = 12;
/** What the gateways call the strata in which they pool. */
export const POOLED_MODEL = 'other';

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
const FLOOR_SEGMENTS = 6;
const RATE_SEGMENTS = 24;

/** The evidence of a stage that was just entered. */
export function noStageEvidence(epoch: number): StageEvidence {
  return {
    epoch,
    step: DETAIL[0].step,
    measures: [],
    judged: NO_WINDOWS,
    floor: NO_WINDOWS,
    split: { successes: 0, trials: 0 },
    keysSeen: '',
    usage: { legacy: NO_USAGE, candidate: NO_USAGE },
    pooled: [],
  };
}

const NO_USAGE: ArmUsage = { answers: 0, tokensOut: 0, costLog: { count: 0, sum: 0, sumOfSquares: 0 } };

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
  const { measures, pooled } = measuresSeen(stage, cells);
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
  const lumped = mapSegments(stage.judged, (held) => ({
    ...held,
    latencies: held.latencies.map(([legacy, candidate], index) => {
      const from = resolutionOf(stage.measures[index], step);
      const to = resolutionOf(withEdges[index], step);
      return [repack(legacy, from, to), repack(candidate, from, to)] as const;
    }),
  }));
  const together = hasSeveral(withEdges)
    ? withPooledWindow(stage, cells, BODY_PARTS[kind.quantile ?? 0.95])
    : undefined;
  return fitted({
    epoch: stage.epoch,
    step,
    measures: withEdges,
    measuresAtFirst: stage.measuresAtFirst ?? withEdges.length,
    judged: appendWindow(lumped, counts, (a, b) => mergeCounts(a, b, withEdges, step)),
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

const NAMED_AT_MOST = 20;

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

/** Sums are carried as JSON: three digits are enough. */
function thousandths(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

/** Counts of adjoining windows; legacy's are known only where both have them. */
export function addFloorCounts(a: FloorCounts, b: FloorCounts): FloorCounts {
  return {
    ...addCounts(a, b),
    ...(a.legacy === undefined || b.legacy === undefined ? {} : { legacy: addCounts(a.legacy, b.legacy) }),
    ...(a.expected === undefined || b.expected === undefined
      ? {}
      : { expected: thousandths(a.expected + b.expected) }),
  };
}

/** How the counts of a measure are packed. */
export function resolutionOf(measure: LatencyMeasure | undefined, step: number): Resolution {
  return { step, edge: measure?.edge ?? null };
}

/** The counts of adjoining windows together. */
function mergeCounts(
  a: WindowCounts,
  b: WindowCounts,
  measures: readonly LatencyMeasure[],
  step: number,
): WindowCounts {
  return {
    ...(a.rates === undefined || b.rates === undefined ? {} : { rates: addRates(a.rates, b.rates) }),
    keys: mergeKeys(a.keys, b.keys),
    ...answerKeysOf(mergeKeys(a.answerKeys ?? null, b.answerKeys ?? null)),
    latencies: measures.slice(0, Math.max(a.latencies.length, b.latencies.length)).map((measure, index) => {
      const resolution = resolutionOf(measure, step);
      const [left, right] = [a.latencies[index], b.latencies[index]];
      return [
        mergePacked(left?.[0] ?? NO_COUNTS, right?.[0] ?? NO_COUNTS, resolution),
        mergePacked(left?.[1] ?? NO_COUNTS, right?.[1] ?? NO_COUNTS, resolution),
      ] as const;
    }),
  };
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
function hasSeveral(measures: readonly LatencyMeasure[]): boolean {
  const strata = strataOf(measures);
  return strata.length > new Set(strata.map(({ shape }) => shape)).size;
}

/** How many measures were there when the stage was first judged; in evidence of older releases all of them. */
export function measuresAtFirst({ measuresAtFirst: first, measures }: StageEvidence): number {
  return Math.max(1, first ?? measures.length);
}

/** How many strata there were then. */
export function strataAtFirst(stage: StageEvidence): number {
  return Math.max(1, strataOf(stage.measures.slice(0, measuresAtFirst(stage))).length);
}

/** The number of a cell's stratum; models without one of their own are in `POOLED_MODEL`. */
function stratumFinder(strata: readonly Stratum[]): (cell: EvidenceCell) => number {
  const numberOf = (shape: AnswerShape, model: string) =>
    strata.findIndex((stratum) => stratum.shape === shape && stratum.model === model);
  return ({ shape, model }) => {
    const own = numberOf(shape, model);
    return own >= 0 ? own : numberOf(shape, POOLED_MODEL);
  };
}

/** The stage's rows; those of evidence of an older release lie in its windows, without strata. */
function packedRates({ rates, judged }: Pick<StageEvidence, 'rates' | 'judged'>): DetectorState<PackedRow> {
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

/** What the stage counted of requests, by the windows from which it is looked at. */
export function rateRows(stage: StageEvidence): DetectorState<RateRow> {
  return mapSegments(packedRates(stage), unpackRow);
}

/** Everything that was drawn and seen through counts for the split, sent or not. */
function splitOf({ rates, shed }: RateRow): RateCounts {
  const moved = rates[2] + shed.candidate;
  return { successes: moved, trials: rates[0] + shed.legacy + moved };
}

function answerKeysOf(answerKeys: string | null): Pick<WindowCounts, 'answerKeys'> {
  return answerKeys === null ? {} : { answerKeys };
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
function measuresSeen(
  stage: StageEvidence,
  cells: readonly EvidenceCell[],
): { measures: readonly LatencyMeasure[]; pooled: readonly string[] } {
  const measures = [...stage.measures];
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

function histogramOfMeasure(
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

function keyNumbers(buckets: BucketCounts): string | null {
  return numbersOf(buckets, ([, requests, failures]) => [requests, failures]);
}

/** Null where a gateway of an older release did not count them. */
function answerNumbers(buckets: BucketCounts): string | null {
  const known = [...buckets.legacy, ...buckets.candidate].every(
    ([, , , , , checked]) => checked !== undefined,
  );
  return known ? numbersOf(buckets, ([, , , , , checked = 0, breaches = 0]) => [checked, breaches]) : null;
}

/** Null where a gateway of an older release did not count them. */
function slowNumbers(buckets: BucketCounts, quantile: LatencyQuantile): string | null {
  const known = [...buckets.legacy, ...buckets.candidate].every(([, , , slow]) => slow !== undefined);
  return known
    ? numbersOf(buckets, ([, requests, , aboveMedian = 0, aboveP95 = 0]) => [
        requests,
        quantile === 0.5 ? aboveMedian : aboveP95,
      ])
    : null;
}

function numbersOf(
  { legacy, candidate }: BucketCounts,
  read: (count: BucketCount) => readonly [requests: number, events: number],
): string | null {
  if (legacy.length + candidate.length === 0) return null;
  const numbers = new Array<number>(4 * KEY_BUCKETS).fill(0);
  const add = (counts: BucketCounts['legacy'], offset: number) => {
    for (const count of counts) {
      const at = 4 * (count[0] % KEY_BUCKETS) + offset;
      const [requests, events] = read(count);
      numbers[at] = (numbers[at] ?? 0) + requests;
      numbers[at + 1] = (numbers[at + 1] ?? 0) + events;
    }
  };
  add(legacy, 0);
  add(candidate, 2);
  return encodeNumbers(numbers);
}

function withKeys(seen: string, { candidate }: BucketCounts): string {
  if (candidate.length === 0) return seen;
  const digits = Array.from({ length: GATEWAY_BUCKETS / 4 }, (_, index) =>
    Number.parseInt(seen[index] ?? '0', 16),
  );
  for (const [bucket] of candidate) {
    const index = (bucket % GATEWAY_BUCKETS) >> 2;
    digits[index] = (digits[index] ?? 0) | (1 << (bucket & 3));
  }
  return digits.map((digit) => digit.toString(16)).join('');
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

/** The same evidence without the windows from which it was looked at, and without what strata say together. */
export function inOneSegment({ together: _, ...stage }: StageEvidence): StageEvidence {
  const { measures, step, rates } = stage;
  return {
    ...stage,
    judged: thinned(stage.judged, 1, (a, b) => mergeCounts(a, b, measures, step)),
    ...(rates === undefined ? {} : { rates: thinned(rates, 1, addPackedRows) }),
    floor: thinned(stage.floor, 1, addFloorCounts),
  };
}

function fitted(stage: StageEvidence): StageEvidence {
  let fit = stage;
  for (const { segments, step, rates = RATE_SEGMENTS } of DETAIL as readonly Detail[]) {
    if (step < fit.step) continue;
    fit = coarser(fit, step);
    const judged = thinned(fit.judged, segments, (a, b) => mergeCounts(a, b, fit.measures, fit.step));
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
  const judged = mapSegments(stage.judged, (held) => ({
    ...held,
    latencies: held.latencies.map(([legacy, candidate], index) => {
      const from = resolutionOf(stage.measures[index], stage.step);
      const to = resolutionOf(measures[index], step);
      return [repack(legacy, from, to), repack(candidate, from, to)] as const;
    }),
  }));
  return { ...stage, step, measures, judged };
}
