import { comparedCounts, strangenessOf } from '../src/core/identity/identity-reference';
import { drawNormal, type Random, seededRandom } from '../src/core/rehearsal/rehearsal';
import {
  type ConformalBets,
  conformalPValue,
  NO_BETS,
  withPValue,
} from '../src/core/statistics/conformal-martingale';
import {
  referenceOf,
  type SimulatedModel,
  simulatedModel,
  wordOf,
} from '../test/support/providers/sold-model';
import { readOptions, runBench } from './bench-program';

/** Readings of a question's log-probabilities at enrolment: some say what is usual, the others are compared with. */
const READINGS = 20;
const LEARNED = 8;
/** What a stated probability is multiplied by in the test that allows for noise: e to this. */
const MARGIN = 0.25;
const WORDS = 'oak elm fir ash yew box ivy fig bay gum'.split(' ');

/** Noise of log-probabilities, standard deviations: from one request to the next, and of a word at another host. */
interface Noise {
  readonly jitter: number;
  readonly shift: number;
}

type Chances = readonly (readonly number[])[];
type Test = 'words' | 'stated' | 'stated, with a margin' | 'distances';
const TESTS = ['words', 'stated', 'stated, with a margin', 'distances'] as const satisfies readonly Test[];

/**
 * What log-probabilities would add to `cutover identity`, and how each test of them fares where the same weights are
 * served with noise: `words` is the test that is used, `stated` bets against the probabilities that the original states,
 * `distances` ranks how far the distribution of an answer lies from the original's.
 */
function main(): void {
  const { runs, probes, alpha } = readOptions('log-probabilities', 'What log-probabilities would add.', {
    runs: ['of each row', 100],
    probes: ['of the same model', 10_000],
    alpha: ['chance of calling the same model another', 0.05],
  });
  const noises: Noise[] = [
    { jitter: 0, shift: 0 },
    { jitter: 0.1, shift: 0 },
    { jitter: 0.3, shift: 0 },
    { jitter: 0.1, shift: 0.05 },
    { jitter: 0.1, shift: 0.1 },
    { jitter: 0.1, shift: 0.2 },
  ];
  for (const noise of noises) {
    const random = seededRandom(1);
    const called = { words: 0, stated: 0, 'stated, with a margin': 0, distances: 0 };
    for (let run = 0; run < runs; run += 1) {
      const model = simulatedModel(random);
      const seenAt = untilCalled(model, model, noise, { probes, alpha, random });
      for (const test of TESTS) if (seenAt[test] !== null) called[test] += 1;
    }
    process.stdout.write(`${JSON.stringify({ same: noise, runs, probes, alpha, called })}\n`);
  }
  const random = seededRandom(2);
  const taken: Record<Test, number[]> = { words: [], stated: [], 'stated, with a margin': [], distances: [] };
  for (let run = 0; run < 5 * runs; run += 1) {
    const seenAt = untilCalled(
      simulatedModel(random),
      simulatedModel(random),
      { jitter: 0.1, shift: 0 },
      {
        ...{ probes: 300, alpha, random },
      },
    );
    for (const test of TESTS) taken[test].push(seenAt[test] ?? 300);
  }
  const at = (sorted: readonly number[], part: number) => sorted[Math.ceil(part * sorted.length) - 1];
  for (const test of TESTS) {
    const sorted = taken[test].sort((a, b) => a - b);
    const [median, p95, p99] = [0.5, 0.95, 0.99].map((part) => at(sorted, part));
    process.stdout.write(
      `${JSON.stringify({ another: test, runs: sorted.length, alpha, median, p95, p99 })}\n`,
    );
  }
}

/** After how many answers each test calls the served model another than the sold one; null: never. */
function untilCalled(
  sold: SimulatedModel,
  served: SimulatedModel,
  { jitter, shift }: Noise,
  { probes, alpha, random }: { readonly probes: number; readonly alpha: number; readonly random: Random },
): Readonly<Record<Test, number | null>> {
  const { answers } = referenceOf(sold, random);
  const readings = sold.chances.map((chances) =>
    Array.from({ length: READINGS }, () => noisy(chances, jitter, random)),
  );
  const stated = readings.map(meanOf);
  const learned = readings.map((each) => meanOf(each.slice(0, LEARNED)));
  const shifted: Chances = served.chances.map((chances) => noisy(chances, shift, random));
  const words = answers.map((each) => [...comparedCounts(each)]);
  const distances = readings.map((each, question) =>
    counted(each.slice(LEARNED).map((reading) => classOf(reading, learned[question] as readonly number[]))),
  );
  const own = sold.chances.map(() => new Array<number>(WORDS.length).fill(0));
  const bets: Record<'words' | 'distances', ConformalBets> = { words: NO_BETS, distances: NO_BETS };
  const logs = { stated: 0, 'stated, with a margin': 0 };
  const seenAt: Record<Test, number | null> = {
    ...{ words: null, stated: null, 'stated, with a margin': null, distances: null },
  };
  const bar = -Math.log(alpha);
  for (let probe = 0; probe < probes; probe += 1) {
    const question = probe % answers.length;
    const chances = noisy(shifted[question] as readonly number[], jitter, random);
    const word = wordOf(chances, random);
    const place = WORDS.indexOf(word);
    const counts = own[question] as number[];
    const said = (stated[question] as readonly number[])[place] as number;
    const all = counts.reduce((sum, count) => sum + count, 0);
    const bet = ((counts[place] as number) + 1.5 * said + 1.5 / WORDS.length) / (all + 3);
    logs.stated += Math.log(bet / said);
    logs['stated, with a margin'] += Math.log(bet / said) - MARGIN;
    counts[place] = (counts[place] as number) + 1;
    const strangeness = strangenessOf(answers[question] as (typeof answers)[number], word);
    bets.words = ranked(bets.words, words[question] as number[], strangeness, random);
    const distance = classOf(chances, learned[question] as readonly number[]);
    bets.distances = ranked(bets.distances, distances[question] as number[], distance, random);
    for (const test of TESTS) {
      const log = test === 'words' || test === 'distances' ? Math.log(bets[test].peak) : logs[test];
      if (log >= bar) seenAt[test] ??= probe + 1;
    }
    if (TESTS.every((test) => seenAt[test] !== null)) break;
  }
  return seenAt;
}

function ranked(bets: ConformalBets, counts: number[], at: number, random: Random): ConformalBets {
  const next = withPValue(bets, conformalPValue(counts, at, random()));
  counts[at] = (counts[at] ?? 0) + 1;
  return next;
}

/** Chances whose logarithms have noise of this deviation. */
function noisy(chances: readonly number[], deviation: number, random: Random): readonly number[] {
  if (deviation === 0) return chances;
  const weights = chances.map((chance) => chance * Math.exp(deviation * drawNormal(random)));
  const sum = weights.reduce((all, weight) => all + weight, 0);
  return weights.map((weight) => weight / sum);
}

function meanOf(readings: readonly (readonly number[])[]): readonly number[] {
  return WORDS.map(
    (_, word) => readings.reduce((sum, reading) => sum + (reading[word] ?? 0), 0) / readings.length,
  );
}

const CLASSES = 200;

/** Half of the summed differences, in steps of half a point. */
function classOf(reading: readonly number[], usual: readonly number[]): number {
  const distance = reading.reduce((sum, chance, word) => sum + Math.abs(chance - (usual[word] ?? 0)), 0) / 2;
  return Math.min(CLASSES - 1, Math.floor(distance * CLASSES));
}

function counted(classes: readonly number[]): number[] {
  const counts = new Array<number>(CLASSES).fill(0);
  for (const each of classes) counts[each] = (counts[each] as number) + 1;
  return counts;
}

void runBench('log-probabilities', main);
