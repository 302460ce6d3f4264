import type { Arm } from '../routing/routing';
import {
  type AnswerRow,
  addAnswers,
  answerRowOf,
  type PackedAnswers,
  packAnswers,
  uncheckedRow,
  unpackAnswers,
  unseenRow,
} from './answer-row';
import { type EvidenceCell, failureCount } from './evidence';
import { addPacked, decodeNumbers, encodeNumbers } from './number-list';
import {
  addRates,
  expectedEvents,
  NO_RATES,
  type RateNumbers,
  rateNumbersAt,
  shareOfRates,
} from './rate-numbers';

/** What one window, or several in a row, have counted of requests; windows add up. */
export interface RateRow {
  /** What was answered or failed; requests that were never sent, and callers who left, are outside. */
  readonly rates: RateNumbers;
  /** Callers who left before their answer. */
  readonly left: { readonly legacy: number; readonly candidate: number };
  /** Requests that were drawn while the candidate took none (breaker, cap, its own Retry-After). */
  readonly shed: { readonly legacy: number; readonly candidate: number };
  /** `rates` by stratum, in the order of the stage's strata; later strata may be absent. */
  readonly strata: readonly RateNumbers[];
  /** By each window's own share. Absent where a window of an older release is among them. */
  readonly expected?: ExpectedEvents;
  /** What answers kept of their contract. Absent in evidence of older releases. */
  readonly answers?: AnswerRow;
}

/**
 * How many of the events of both arms the candidate would have if both had them alike: for each window its share of
 * the requests times the events of both, added up. One share for a whole stage is wrong where it moves along with the
 * rate of events: in an outage while keys of the candidate happen to be busy, say.
 */
export interface ExpectedEvents {
  /** Of `rates`. */
  readonly failures: number;
  /** Of `left`. */
  readonly left: number;
  /** Of `strata`. */
  readonly strata: readonly number[];
}

/**
 * A row as text (`encodeNumbers`): counts, then hundredths of what is expected, if it is known; then the same two of
 * answers, if they are.
 */
export type PackedRow = string;

const SEPARATOR = '|';
/** In place of what is expected where it is not known and answers follow. */
const UNKNOWN = '-';
const HUNDREDTHS = 100;
const HEAD = 8;

/** Packs a row. */
export function packRow({ rates, left, shed, strata, expected, answers }: RateRow): PackedRow {
  const counts = encodeNumbers([
    ...rates,
    ...[left.legacy, left.candidate, shed.legacy, shed.candidate],
    ...strata.flat(),
  ]);
  return joined({
    counts,
    ...(expected === undefined ? {} : { expected: packExpected(expected) }),
    ...(answers === undefined ? {} : { answers: packAnswers(answers) }),
  });
}

function packExpected({ failures, left, strata }: ExpectedEvents): string {
  const hundredths = [failures, left, ...strata].map((part) => Math.round(part * HUNDREDTHS));
  // Most windows have failures in few strata: zeros at the end need not be kept.
  return encodeNumbers(hundredths.slice(0, 1 + hundredths.findLastIndex((part) => part > 0)));
}

interface PackedParts {
  readonly counts: string;
  readonly expected?: string;
  readonly answers?: PackedAnswers;
}

function joined({ counts, expected, answers }: PackedParts): PackedRow {
  if (answers !== undefined) return [counts, expected ?? UNKNOWN, ...answers].join(SEPARATOR);
  return expected === undefined ? counts : `${counts}${SEPARATOR}${expected}`;
}

function partsOf(packed: PackedRow): PackedParts {
  const [counts = '', expected, answers, expectedBreaches = ''] = packed.split(SEPARATOR);
  return {
    counts,
    ...(expected === undefined || expected === UNKNOWN ? {} : { expected }),
    ...(answers === undefined ? {} : { answers: [answers, expectedBreaches] }),
  };
}

/** The row of a packed one. */
export function unpackRow(packed: PackedRow): RateRow {
  const { counts, expected, answers } = partsOf(packed);
  const numbers = decodeNumbers(counts);
  const [, , , , leftLegacy = 0, left = 0, shedLegacy = 0, shed = 0] = numbers;
  return {
    rates: rateNumbersAt(numbers, 0),
    left: { legacy: leftLegacy, candidate: left },
    shed: { legacy: shedLegacy, candidate: shed },
    strata: Array.from({ length: Math.ceil((numbers.length - HEAD) / 4) }, (_, index) =>
      rateNumbersAt(numbers, HEAD + 4 * index),
    ),
    ...(expected === undefined ? {} : { expected: unpackExpected(expected) }),
    ...(answers === undefined ? {} : { answers: unpackAnswers(answers) }),
  };
}

function unpackExpected(packed: string): ExpectedEvents {
  const [failures = 0, left = 0, ...strata] = decodeNumbers(packed).map((part) => part / HUNDREDTHS);
  return { failures, left, strata };
}

/** Packed rows of adjoining windows together. */
export function addPackedRows(a: PackedRow, b: PackedRow): PackedRow {
  const [earlier, later] = [partsOf(a), partsOf(b)];
  const answers = addedAnswers(answersOf(earlier), answersOf(later));
  return joined({
    counts: addPacked(earlier.counts, later.counts),
    ...(earlier.expected === undefined || later.expected === undefined
      ? {}
      : { expected: addPacked(earlier.expected, later.expected) }),
    ...(answers === undefined ? {} : { answers: packAnswers(answers) }),
  });
}

type KnownAnswers = Pick<RateRow, 'rates' | 'answers'>;

function answersOf({ counts, answers }: PackedParts): KnownAnswers {
  return {
    rates: rateNumbersAt(decodeNumbers(counts), 0),
    ...(answers === undefined ? {} : { answers: unpackAnswers(answers) }),
  };
}

/** Answers of a window of an older release are unchecked beside those of one that counts them. */
function addedAnswers(a: KnownAnswers, b: KnownAnswers): AnswerRow | undefined {
  if (a.answers === undefined && b.answers === undefined) return undefined;
  return addAnswers(a.answers ?? unseenRow(a.rates), b.answers ?? unseenRow(b.rates));
}

/** Rows of adjoining windows together. */
export function addRows(a: RateRow, b: RateRow): RateRow {
  const length = Math.max(a.strata.length, b.strata.length);
  const answers = addedAnswers(a, b);
  return {
    rates: addRates(a.rates, b.rates),
    left: addArms(a.left, b.left),
    shed: addArms(a.shed, b.shed),
    strata: Array.from({ length }, (_, index) => addRates(a.strata[index], b.strata[index])),
    ...(a.expected === undefined || b.expected === undefined
      ? {}
      : { expected: addExpected(a.expected, b.expected, length) }),
    ...(answers === undefined ? {} : { answers }),
  };
}

function addExpected(a: ExpectedEvents, b: ExpectedEvents, length: number): ExpectedEvents {
  return {
    failures: a.failures + b.failures,
    left: a.left + b.left,
    strata: Array.from({ length }, (_, index) => (a.strata[index] ?? 0) + (b.strata[index] ?? 0)),
  };
}

/** A row of nothing. */
export const NO_ROW: RateRow = {
  rates: NO_RATES,
  left: { legacy: 0, candidate: 0 },
  shed: { legacy: 0, candidate: 0 },
  strata: [],
  expected: { failures: 0, left: 0, strata: [] },
};

function addArms(a: RateRow['left'], b: RateRow['left']): RateRow['left'] {
  return { legacy: a.legacy + b.legacy, candidate: a.candidate + b.candidate };
}

/**
 * The row of a window's live cells; `stratumOf` names the stratum by number. Where it is not known how breaches cluster
 * by key (`clustersKnown`), answers are as good as unchecked: breaches of one key would count as independent.
 */
export function rowOf(
  cells: readonly EvidenceCell[],
  strata: number,
  stratumOf: (cell: EvidenceCell) => number,
  clustersKnown = true,
): RateRow {
  const byStratum = Array.from({ length: strata }, (_, index) =>
    ratesOf(cells.filter((cell) => stratumOf(cell) === index)),
  );
  const ofArms = (read: (cell: EvidenceCell) => number) => ({
    legacy: sumOf(cells, 'legacy', read),
    candidate: sumOf(cells, 'candidate', read),
  });
  const rates = ratesOf(cells);
  const left = ofArms(leftOf);
  const answers = answerRowOf(cells, strata, stratumOf);
  return {
    rates,
    left,
    shed: ofArms(shedOf),
    strata: byStratum,
    expected: {
      failures: expectedEvents(rates, shareOfRates(rates)),
      left: shareOf(rates[0] + left.legacy, rates[2] + left.candidate) * (left.legacy + left.candidate),
      strata: byStratum.map((own) => expectedEvents(own, shareOfRates(own))),
    },
    answers: clustersKnown ? answers : uncheckedRow(answers),
  };
}

function shareOf(stayed: number, moved: number): number {
  return moved === 0 ? 0 : moved / (stayed + moved);
}

/**
 * Requests and failures of some cells. What was shed is in neither: only the candidate can be avoided, and its own
 * Retry-After or an outage of both would be counted against it alone.
 */
export function ratesOf(cells: readonly EvidenceCell[]): RateNumbers {
  const judged = (cell: EvidenceCell) => cell.attempts - cell.aborted - shedOf(cell);
  const failed = (cell: EvidenceCell) => failureCount(cell) - shedOf(cell);
  return [
    sumOf(cells, 'legacy', judged),
    sumOf(cells, 'legacy', failed),
    sumOf(cells, 'candidate', judged),
    sumOf(cells, 'candidate', failed),
  ];
}

/** Requests of the cell's arm that were drawn while the candidate took none. */
function shedOf({ failures }: EvidenceCell): number {
  return failures.shed ?? 0;
}

/** Callers of the cell who left; 0 where a gateway of an older release did not count them apart. */
function leftOf({ aborted, refused }: EvidenceCell): number {
  return refused === undefined ? 0 : aborted - refused;
}

function sumOf(cells: readonly EvidenceCell[], arm: Arm, read: (cell: EvidenceCell) => number): number {
  return cells.reduce((total, cell) => total + (cell.side === arm ? read(cell) : 0), 0);
}
