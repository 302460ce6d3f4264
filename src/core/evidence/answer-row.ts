import type { Arm } from '../routing/routing';
import { BREACH_CLASSES } from './breach-classes';
import { type AnswerCounts, breachCount, type EvidenceCell } from './evidence';
import { decodeNumbers, encodeNumbers } from './number-list';
import {
  addRates,
  expectedEvents,
  NO_RATES,
  type RateNumbers,
  rateNumbersAt,
  shareOfRates,
} from './rate-numbers';

/** What answers kept of their contract in one window, or in several in a row; windows add up. */
export interface AnswerRow {
  /** Answers that were checked, and those of them that broke their contract. */
  readonly checked: RateNumbers;
  /** Answers that could not be checked, or that a gateway of an older release did not look at. */
  readonly unchecked: Readonly<Record<Arm, number>>;
  /** Breaches by class, in the order of `BREACH_CLASSES`. */
  readonly classes: Readonly<Record<Arm, readonly number[]>>;
  /** Breaches of both arms by stratum, in the order of the stage's strata; later strata may be absent. */
  readonly strata: readonly (readonly [legacy: number, candidate: number])[];
  /** As `ExpectedEvents`: breaches in all, and by stratum. */
  readonly expected: { readonly breaches: number; readonly strata: readonly number[] };
}

const NO_PAIR = [0, 0] as const;
const NO_CLASSES = BREACH_CLASSES.map(() => 0);

/** A row of no answers. */
export const NO_ANSWER_ROW: AnswerRow = {
  checked: NO_RATES,
  unchecked: { legacy: 0, candidate: 0 },
  classes: { legacy: NO_CLASSES, candidate: NO_CLASSES },
  strata: [],
  expected: { breaches: 0, strata: [] },
};

/** Answers of cells of which nothing is known count as unchecked. */
export function answerRowOf(
  cells: readonly EvidenceCell[],
  strata: number,
  stratumOf: (cell: EvidenceCell) => number,
): AnswerRow {
  const byStratum = Array.from({ length: strata }, (_, index) =>
    checkedOf(cells.filter((cell) => stratumOf(cell) === index)),
  );
  const answersIn = (arm: Arm) => cells.filter((cell) => cell.side === arm).map(answersOf);
  const classesOf = (arm: Arm) =>
    BREACH_CLASSES.map((name) => sum(answersIn(arm), ({ breaches }) => breaches[name] ?? 0));
  const checked = checkedOf(cells);
  return {
    checked,
    unchecked: {
      legacy: sum(answersIn('legacy'), ({ unchecked }) => unchecked),
      candidate: sum(answersIn('candidate'), ({ unchecked }) => unchecked),
    },
    classes: { legacy: classesOf('legacy'), candidate: classesOf('candidate') },
    strata: byStratum.map(([, legacy, , candidate]) => [legacy, candidate] as const),
    expected: {
      breaches: expectedEvents(checked, shareOfRates(checked)),
      strata: byStratum.map((own) => expectedEvents(own, shareOfRates(own))),
    },
  };
}

/** The same answers, none of which were checked. */
export function uncheckedRow({ checked, unchecked }: AnswerRow): AnswerRow {
  return {
    ...NO_ANSWER_ROW,
    unchecked: {
      legacy: unchecked.legacy + checked[0],
      candidate: unchecked.candidate + checked[2],
    },
  };
}

/** What a window of an older release says of answers: there were as many as requests, and nobody looked at them. */
export function unseenRow([legacy, , candidate]: RateNumbers): AnswerRow {
  return { ...NO_ANSWER_ROW, unchecked: { legacy, candidate } };
}

function answersOf({ answers, successes }: EvidenceCell): AnswerCounts {
  return answers ?? { checked: 0, unchecked: successes, breaches: {}, ends: {} };
}

function checkedOf(cells: readonly EvidenceCell[]): RateNumbers {
  const of = (arm: Arm) => cells.filter((cell) => cell.side === arm).map(answersOf);
  const [legacy, candidate] = [of('legacy'), of('candidate')];
  return [
    sum(legacy, ({ checked }) => checked),
    sum(legacy, breachCount),
    sum(candidate, ({ checked }) => checked),
    sum(candidate, breachCount),
  ];
}

function sum<T>(list: readonly T[], read: (each: T) => number): number {
  return list.reduce((total, each) => total + read(each), 0);
}

const HUNDREDTHS = 100;
const HEAD = 6;

/** A row as two texts (`encodeNumbers`): counts, and hundredths of what is expected. */
export type PackedAnswers = readonly [counts: string, expected: string];

/** Packs a row. */
export function packAnswers({ checked, unchecked, classes, strata, expected }: AnswerRow): PackedAnswers {
  const hundredths = [expected.breaches, ...expected.strata].map((part) => Math.round(part * HUNDREDTHS));
  const counts = [
    ...checked,
    ...[unchecked.legacy, unchecked.candidate],
    ...classes.legacy,
    ...classes.candidate,
    ...strata.flat(),
  ];
  return [encodeNumbers(withoutZeros(counts)), encodeNumbers(withoutZeros(hundredths))];
}

/** Most windows have breaches in few strata: zeros at the end need not be kept. */
function withoutZeros(numbers: readonly number[]): readonly number[] {
  return numbers.slice(0, 1 + numbers.findLastIndex((number) => number > 0));
}

/** The row of a packed one. */
export function unpackAnswers([counts, hundredths]: PackedAnswers): AnswerRow {
  const numbers = decodeNumbers(counts);
  const [breaches = 0, ...expected] = decodeNumbers(hundredths).map((part) => part / HUNDREDTHS);
  const kinds = BREACH_CLASSES.length;
  const classesFrom = (at: number) => BREACH_CLASSES.map((_, index) => numbers[at + index] ?? 0);
  const strataFrom = HEAD + 2 * kinds;
  return {
    checked: rateNumbersAt(numbers, 0),
    unchecked: { legacy: numbers[4] ?? 0, candidate: numbers[5] ?? 0 },
    classes: { legacy: classesFrom(HEAD), candidate: classesFrom(HEAD + kinds) },
    strata: Array.from(
      { length: Math.max(0, Math.ceil((numbers.length - strataFrom) / 2)) },
      (_, index) => [numbers[strataFrom + 2 * index] ?? 0, numbers[strataFrom + 2 * index + 1] ?? 0] as const,
    ),
    expected: { breaches, strata: expected },
  };
}

/** Rows of adjoining windows together. */
export function addAnswers(a: AnswerRow, b: AnswerRow): AnswerRow {
  const length = Math.max(a.strata.length, b.strata.length);
  return {
    checked: addRates(a.checked, b.checked),
    unchecked: {
      legacy: a.unchecked.legacy + b.unchecked.legacy,
      candidate: a.unchecked.candidate + b.unchecked.candidate,
    },
    classes: {
      legacy: BREACH_CLASSES.map((_, at) => (a.classes.legacy[at] ?? 0) + (b.classes.legacy[at] ?? 0)),
      candidate: BREACH_CLASSES.map(
        (_, at) => (a.classes.candidate[at] ?? 0) + (b.classes.candidate[at] ?? 0),
      ),
    },
    strata: Array.from({ length }, (_, index) => {
      const [[legacy, candidate], [more, most]] = [a.strata[index] ?? NO_PAIR, b.strata[index] ?? NO_PAIR];
      return [legacy + more, candidate + most] as const;
    }),
    expected: {
      breaches: a.expected.breaches + b.expected.breaches,
      strata: Array.from(
        { length },
        (_, index) => (a.expected.strata[index] ?? 0) + (b.expected.strata[index] ?? 0),
      ),
    },
  };
}
