import { addRates, NO_RATES, type RateNumbers } from '../evidence/rate-numbers';
import { type Stratum, strataOf } from '../evidence/stage/latency-measures';
import { type StageEvidence, strataAtFirst } from '../evidence/stage/stage-evidence';
import type { StagePlan } from '../plan/plan';
import { type DetectorState, detectorWeights, detectSince, sumsSince } from '../statistics/change-detector';
import { logSumExp } from '../statistics/log-space';
import type { TwoRates } from '../statistics/rate-difference';
import { ratioExceeds } from '../statistics/rate-ratio';
import { orderWeight } from './alpha-spending';

/** Events of one kind, such as failures, of one window or of several in a row. */
export interface EventRow {
  readonly numbers: RateNumbers;
  /** The same by stratum, in the order of the stage's strata; later ones may be absent. */
  readonly strata: readonly RateNumbers[];
  /** As `ExpectedEvents`; null where a window of an older release is among them. */
  readonly expected: { readonly all: number; readonly strata: readonly number[] } | null;
}

/** What was counted from a start on, and by how much requests of one key have such events together since then. */
export interface EventsSince {
  readonly row: EventRow;
  readonly designEffect: number;
}

/** A stage's events of one kind, as the rate processes judge them. */
export interface RateEvents {
  readonly counted: TwoRates;
  /** Counts divided by the design effect; the same as counted when assignment is not sticky. */
  readonly deflated: TwoRates;
  readonly designEffect: number;
  /** Everything that was counted. */
  readonly all: EventRow;
  /** What was counted from each start on: a segment holds all that came since. */
  readonly since: DetectorState<EventsSince>;
}

const NO_EVENTS: EventRow = { numbers: NO_RATES, strata: [], expected: { all: 0, strata: [] } };

/** Events of a stage by the rows of its windows; `effectSince` is the design effect from a window on. */
export function rateEvents(
  rows: DetectorState<EventRow>,
  designEffect: number,
  effectSince: (from: number) => number,
): RateEvents {
  const all = rows.segments.map(({ evidence }) => evidence).reduce(addEvents, NO_EVENTS);
  return {
    counted: twoRates(all.numbers, 1),
    deflated: twoRates(all.numbers, designEffect),
    designEffect,
    all,
    since: {
      windows: rows.windows,
      segments: sumsSince(rows, addEvents).segments.map(({ from, evidence: row }) => ({
        from,
        evidence: { row, designEffect: effectSince(from) },
      })),
    },
  };
}

function addEvents(a: EventRow, b: EventRow): EventRow {
  const length = Math.max(a.strata.length, b.strata.length);
  const expected =
    a.expected === null || b.expected === null
      ? null
      : {
          all: a.expected.all + b.expected.all,
          strata: addLists(a.expected.strata, b.expected.strata, length),
        };
  return {
    numbers: addRates(a.numbers, b.numbers),
    strata: Array.from({ length }, (_, index) => addRates(a.strata[index], b.strata[index])),
    expected,
  };
}

function addLists(a: readonly number[], b: readonly number[], length: number): number[] {
  return Array.from({ length }, (_, index) => (a[index] ?? 0) + (b[index] ?? 0));
}

/** Counts of both arms, divided. */
export function twoRates([requests, events, moved, candidates]: RateNumbers, deflator: number): TwoRates {
  return {
    legacy: { events: events / deflator, requests: requests / deflator },
    candidate: { events: candidates / deflator, requests: moved / deflator },
  };
}

/** What the realised share weighs against the plan's, in requests: a few requests say nothing about it. */
const SHARE_WEIGHT = 100;

/** The candidate's part of some requests, weighed against the plan's share while there are few. */
export function weighedShare(moved: number, stayed: number, { share }: Pick<StagePlan, 'share'>): number {
  return (moved + SHARE_WEIGHT * share) / (moved + stayed + SHARE_WEIGHT);
}

/**
 * The candidate's part of some events if both arms had them alike: the mean of the windows' shares, weighed by their
 * events. With it the candidate's events vary less than a single share would have them (Hoeffding 1956), and a ratio
 * above 1 takes no more of them, so that windows of different shares only make the evidence weaker. `stageShare` lies
 * below 1 wherever legacy was asked at all, also where the plan asks for 100%: so does this.
 */
export function eventShare(expected: number, events: number, stageShare: number): number {
  return (expected + stageShare) / (events + 1);
}

/** Some of the events: all of them, or those of the stratum with this number. */
type EventSelection = number | 'all';

/** Evidence that the candidate has some events more than `ratio` times as often, each window's by its own share. */
function ratioEvidence(
  { all }: RateEvents,
  ratio: number,
  stage: StagePlan,
  picked: EventSelection,
): (since: EventsSince) => number {
  const [stayed, , moved] = numbersOf(all, picked);
  const stageShare = weighedShare(moved, stayed, stage);
  return ({ row, designEffect }) => {
    const [, legacy, , candidate] = numbersOf(row, picked);
    if (legacy + candidate === 0) return 0;
    const expected = expectedOf(row, picked);
    // Where a window of an older release is among them the share of the whole stage stands for theirs.
    const share = expected === null ? stageShare : eventShare(expected, legacy + candidate, stageShare);
    return ratioExceeds(ratio, share)(candidate / designEffect, (legacy + candidate) / designEffect);
  };
}

/** The detector of the ratio of all events. */
export function detectRatio(events: RateEvents, ratio: number, stage: StagePlan): number {
  return detectSelection(events, ratio, stage, 'all');
}

function detectSelection(
  events: RateEvents,
  ratio: number,
  stage: StagePlan,
  picked: EventSelection,
): number {
  return detectEvents(events, ratioEvidence(events, ratio, stage, picked));
}

/** The weighted mean over starts of what `logEvidence` says of all that came since each. */
export function detectEvents(
  { since }: Pick<RateEvents, 'since'>,
  logEvidence: (since: EventsSince) => number,
): number {
  return detectSince(since, (start) =>
    logEvidence((since.segments[start] as (typeof since.segments)[number]).evidence),
  );
}

function numbersOf(row: EventRow, picked: EventSelection): RateNumbers {
  return picked === 'all' ? row.numbers : (row.strata[picked] ?? NO_RATES);
}

function expectedOf({ expected }: EventRow, picked: EventSelection): number | null {
  if (expected === null) return null;
  return picked === 'all' ? expected.all : (expected.strata[picked] ?? 0);
}

/** Evidence of harm by a ratio of events, and where it lies. */
export interface RatioHarm {
  readonly logHarm: number;
  /** The stratum that says more than all together, with its numbers; null where none does. */
  readonly worst: { readonly stratum: Stratum; readonly numbers: RateNumbers } | null;
  /** The number of the segment since which the evidence is largest, all together or of that stratum. */
  readonly since: () => number;
}

/** Strata below this part of the requests are judged with the others only. */
const SMALL_PART = 0.05;

/**
 * Half of the evidence is on all requests together, half a weighted mean over strata (Vovk and Wang 2021: a mean of
 * e-values is one): what fails in one model of five drowns in the others. Weights are fixed by the order in which
 * strata were first seen; one that is small or has no events counts as 0, which only lowers the mean.
 */
export function ratioHarm(
  events: RateEvents,
  ratio: number,
  { stage, evidence }: { readonly stage: StagePlan; readonly evidence: StageEvidence },
): RatioHarm {
  const { all } = events;
  const together = detectSelection(events, ratio, stage, 'all');
  const requests = all.numbers[0] + all.numbers[2];
  const known = strataOf(evidence.measures);
  const first = strataAtFirst(evidence);
  const since = (picked: EventSelection) => () =>
    tellingStart(events, ratioEvidence(events, ratio, stage, picked));
  // One alone is all together.
  if (known.length < 2) {
    return { logHarm: together + Math.log((1 + orderWeight(0, 1)) / 2), worst: null, since: since('all') };
  }
  const strata = known.flatMap((stratum, index) => {
    const numbers = all.strata[index] ?? NO_RATES;
    return numbers[0] + numbers[2] < SMALL_PART * requests || numbers[2] === 0
      ? []
      : [
          {
            stratum,
            index,
            numbers,
            log: detectSelection(events, ratio, stage, index),
            logWeight: Math.log(orderWeight(index, first)),
          },
        ];
  });
  const [worst] = strata.toSorted((a, b) => b.log - a.log);
  const logHarm = logSumExp([together, ...strata.map(({ log, logWeight }) => log + logWeight)]) - Math.LN2;
  return worst === undefined || worst.log <= together
    ? { logHarm, worst: null, since: since('all') }
    : { logHarm, worst, since: since(worst.index) };
}

function tellingStart({ since }: RateEvents, logEvidence: (since: EventsSince) => number): number {
  const { logWeights } = detectorWeights(since);
  let [most, at] = [Number.NEGATIVE_INFINITY, 0];
  for (const [start, { evidence }] of [...since.segments.entries()].toReversed()) {
    const weighed = (logWeights[start] ?? 0) + logEvidence(evidence);
    if (weighed > most) [most, at] = [weighed, start];
  }
  return at;
}
