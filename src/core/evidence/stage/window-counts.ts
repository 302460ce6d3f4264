import {
  addCounts,
  type DetectorState,
  mapSegments,
  type RateCounts,
} from '../../statistics/change-detector';
import { mergeKeys } from '../key-buckets';
import { mergePacked, NO_COUNTS, type PackedCounts, repack } from '../latency-sketch';
import { addRates, type RateNumbers } from '../rate-numbers';
import { type LatencyMeasure, resolutionOf } from './latency-measures';

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

/** Sums are carried as JSON: three digits are enough. */
export function thousandths(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

/** The counts of adjoining windows together. */
export function mergeWindowCounts(
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

export function answerKeysOf(answerKeys: string | null): Pick<WindowCounts, 'answerKeys'> {
  return answerKeys === null ? {} : { answerKeys };
}

/** How fine the latencies of windows are. */
export interface Fineness {
  readonly measures: readonly LatencyMeasure[];
  readonly step: number;
}

/** The windows with their latencies as coarse as `to` asks for. */
export function repackWindows(
  windows: DetectorState<WindowCounts>,
  from: Fineness,
  to: Fineness,
): DetectorState<WindowCounts> {
  return mapSegments(windows, (held) => ({
    ...held,
    latencies: held.latencies.map(([legacy, candidate], index) => {
      const before = resolutionOf(from.measures[index], from.step);
      const after = resolutionOf(to.measures[index], to.step);
      return [repack(legacy, before, after), repack(candidate, before, after)] as const;
    }),
  }));
}
