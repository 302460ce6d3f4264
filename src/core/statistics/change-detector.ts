import type { LogEvidence } from './beta-binomial';
import { logSumExp } from './log-space';

/**
 * Harm that starts late, seen nearly as fast as early harm: a weighted mean of e-processes, one from the
 * stage's start and one from every window, with weights that sum to one (an e-detector in its bounded form,
 * Shin, Ramdas and Rinaldo, arXiv 2203.03532). A weighted mean of e-processes is an e-process, so Ville's
 * inequality bounds false alarms over the whole stage by alpha.
 *
 * Only the starts that still matter are kept: one whose number (from 1) is divisible by 2^t lives for
 * `LIFE x 2^t` windows, then leaves the mean as 0, which only lowers it. About LIFE x log2(windows) remain,
 * so that the state stays small over a stage of any length.
 */
export interface DetectorState<T> {
  /** How many windows were seen. */
  readonly windows: number;
  /** Evidence by the window from which it counts, oldest first; a segment lasts until the next begins. */
  readonly segments: readonly DetectorSegment<T>[];
}

export interface DetectorSegment<T> {
  /** The first window of the segment, from 0. */
  readonly from: number;
  readonly evidence: T;
}

/** A detector before its first window. */
export const NO_WINDOWS: DetectorState<never> = { windows: 0, segments: [] };

/** The state after one more window; `merge` adds evidence of adjoining windows. */
export function appendWindow<T>(
  state: DetectorState<T>,
  evidence: T,
  merge: (earlier: T, later: T) => T,
): DetectorState<T> {
  const windows = state.windows + 1;
  const segments: DetectorSegment<T>[] = [];
  for (const segment of [...state.segments, { from: state.windows, evidence }]) {
    const last = segments.at(-1);
    if (last === undefined || isAlive(segment.from, windows)) segments.push(segment);
    else {
      segments[segments.length - 1] = { from: last.from, evidence: merge(last.evidence, segment.evidence) };
    }
  }
  return { windows, segments };
}

/**
 * A state with at most so many segments. A start that is given up leaves the weighted mean as 0, which only
 * lowers it, whatever it is chosen by; those that stay are spread evenly over the logarithm of their age.
 */
export function thinned<T>(
  state: DetectorState<T>,
  most: number,
  merge: (earlier: T, later: T) => T,
): DetectorState<T> {
  const segments = [...state.segments];
  const age = (index: number) => state.windows - (segments[index]?.from ?? state.windows) + 1;
  while (segments.length > most) {
    let at = segments.length - 1;
    let least = segments.length > 2 ? Number.POSITIVE_INFINITY : 0;
    for (let index = 1; index + 1 < segments.length; index += 1) {
      const gap = age(index - 1) / age(index + 1);
      if (gap < least) [at, least] = [index, gap];
    }
    const [earlier, later] = [segments[at - 1], segments[at]] as [DetectorSegment<T>, DetectorSegment<T>];
    segments.splice(at - 1, 2, { from: earlier.from, evidence: merge(earlier.evidence, later.evidence) });
  }
  return { windows: state.windows, segments };
}

/** The same windows with other evidence in each segment. */
export function mapSegments<T, U>(state: DetectorState<T>, change: (counts: T) => U): DetectorState<U> {
  return {
    windows: state.windows,
    segments: state.segments.map(({ from, evidence }) => ({ from, evidence: change(evidence) })),
  };
}

/** The starts among the last `most` windows, as numbers of segments; none while the state is not twice as old. */
export function lateStarts({ windows, segments }: DetectorState<unknown>, most: number): number[] {
  if (windows < 2 * most) return [];
  return segments.flatMap(({ from }, index) => (index > 0 && from >= windows - most ? [index] : []));
}

/** How many windows an odd-numbered start lives. */
const LIFE = 8;

/** Whether the process that began with window `from` (from 0) is still kept after `windows` windows. */
function isAlive(from: number, windows: number): boolean {
  const number = from + 1;
  return windows - from <= LIFE * (number & -number);
}

/** What the start of the stage weighs; every window shares the rest. */
export const STAGE_WEIGHT = 0.6;
/** The weight of later windows falls as 1/(HALF_WEIGHT + window)^2: half of it is spent after so many. */
const HALF_WEIGHT = 200;

/** The weighted mean's parts: one ln weight a segment, in their order, and the weight of what has not begun. */
export interface DetectorWeights {
  readonly logWeights: readonly number[];
  /** Of processes whose window is still to come: each is worth 1. */
  readonly idle: number;
}

/** The weights of the processes that begin with each segment of a state. */
export function detectorWeights(state: DetectorState<unknown>): DetectorWeights {
  const logWeights = state.segments.map(({ from }) =>
    Math.log(laterWeight(from) - laterWeight(from + 1) + (from === 0 ? STAGE_WEIGHT : 0)),
  );
  return { logWeights, idle: laterWeight(state.windows) + (state.windows === 0 ? STAGE_WEIGHT : 0) };
}

/** The weight of the processes of all windows from `window` on. */
function laterWeight(window: number): number {
  return ((1 - STAGE_WEIGHT) * HALF_WEIGHT) / (HALF_WEIGHT + window);
}

/**
 * ln of the weighted mean: `logEvidence` is the e-process of what was seen since a start. `merge` adds evidence
 * of adjoining segments. 0 before the first window.
 */
export function detect<T>(
  state: DetectorState<T>,
  merge: (earlier: T, later: T) => T,
  logEvidence: (since: T) => number,
): number {
  const since = sumsSince(state, merge);
  return detectSince(since, (start) => logEvidence(since.segments[start]?.evidence as T));
}

/** The same starts, each with all that came since: `merge` adds evidence of adjoining segments. */
export function sumsSince<T>(state: DetectorState<T>, merge: (earlier: T, later: T) => T): DetectorState<T> {
  const segments: DetectorSegment<T>[] = [];
  for (const { from, evidence } of state.segments.toReversed()) {
    const later = segments.at(-1);
    segments.push({ from, evidence: later === undefined ? evidence : merge(evidence, later.evidence) });
  }
  return { windows: state.windows, segments: segments.reverse() };
}

/** The same, where what came since each start is known: `logEvidence` gets the number of its segment. */
export function detectSince(state: DetectorState<unknown>, logEvidence: (start: number) => number): number {
  const { logWeights, idle } = detectorWeights(state);
  const terms = state.segments.map((_, start) => (logWeights[start] ?? 0) + logEvidence(start));
  return logSumExp([Math.log(idle), ...terms]);
}

/** Counts of a rate: how many of the trials were successes in its sense. */
export interface RateCounts {
  readonly successes: number;
  readonly trials: number;
}

/** The weighted mean for a rate. */
export function detectRate(state: DetectorState<RateCounts>, logEvidence: LogEvidence): number {
  return detect(state, addCounts, ({ successes, trials }) => logEvidence(successes, trials));
}

/** Counts of two windows together. */
export function addCounts(a: RateCounts, b: RateCounts): RateCounts {
  return { successes: a.successes + b.successes, trials: a.trials + b.trials };
}
