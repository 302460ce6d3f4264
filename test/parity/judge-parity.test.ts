import {
  briefReport,
  DECISIONS,
  type MeasureName,
  type ParityProgress,
  type StratumTally,
} from '../../src/core/assessment/parity-report';
import { PARITY_MARGINS } from '../../src/core/plan/schema/parity-schema';
import { seededRandom } from '../../src/core/rehearsal/rehearsal';
import { binomialTail, proportionInterval } from '../../src/core/statistics/clopper-pearson';
import type { PromptComparison, Score } from '../../src/parity/compare-answers';
import { judgeParity } from '../../src/parity/judge-parity';
import { withPrompt } from '../../src/parity/parity-tally';

const DEMAND = { minimumPrompts: 30, margins: PARITY_MARGINS, stopped: null };

function standing(strata: Readonly<Record<string, StratumTally>>): ParityProgress {
  return { golden: '', strata, done: '', skipped: 0, calls: 0, costUsd: 0, differing: [], answers: '' };
}

/** A prompt of which three answers were drawn: 1 as most are, 0 otherwise. */
function drawn(a: number, b: number, c: number): PromptComparison {
  const alike = (x: number, y: number) => (x === y ? 1 : 0);
  const [ab, ac, bc] = [alike(a, b), alike(a, c), alike(b, c)];
  const apart = ab + ac + bc !== 1 ? null : ab === 1 ? 'candidate' : 'legacy';
  const score: Score = { measure: 'decisions', self: ab, candidate: (ac + bc) / 2, apart };
  return { scores: [score, { ...score, measure: 'refusal' }], called: null, tokens: null };
}

function judged(
  prompts: number,
  strata: number,
  odd: { legacy: number; candidate: number },
  random: () => number,
) {
  const draw = (rate: number) => (random() < rate ? 0 : 1);
  let tallies: Readonly<Record<string, StratumTally>> = {};
  for (let index = 0; index < prompts; index += 1) {
    const answers = drawn(draw(odd.legacy), draw(odd.legacy), draw(odd.candidate));
    tallies = withPrompt(tallies, `s${index % strata}`, answers);
  }
  return judgeParity(standing(tallies), { ...DEMAND, given: prompts });
}

it.each([0.02, 0.1, 0.3])(
  'fails an equal candidate in at most 5%% of runs, legacy odd in %d of answers',
  (rate) => {
    const random = seededRandom(11);
    const runs = Array.from({ length: 400 }, () => judged(60, 5, { legacy: rate, candidate: rate }, random));
    const failed = runs.filter(({ outcome }) => outcome === 'fail').length;
    // Three standard deviations above 5% of 400.
    expect(failed).toBeLessThanOrEqual(33);
  },
);

it('passes a candidate that loses the margin in at most 5% of runs', () => {
  const random = seededRandom(12);
  // Odd in 10% where legacy never is: the loss is the margin.
  const runs = Array.from({ length: 400 }, () => judged(120, 4, { legacy: 0, candidate: 0.1 }, random));
  expect(runs.filter(({ outcome }) => outcome === 'pass').length).toBeLessThanOrEqual(33);
});

it('passes most equal candidates and fails most that lose three margins', () => {
  const random = seededRandom(13);
  const count = (odd: { legacy: number; candidate: number }, outcome: string) =>
    Array.from({ length: 100 }, () => judged(120, 4, odd, random)).filter((each) => each.outcome === outcome)
      .length;
  expect(count({ legacy: 0.01, candidate: 0.01 }, 'pass')).toBeGreaterThan(80);
  expect(count({ legacy: 0.01, candidate: 0.3 }, 'fail')).toBeGreaterThan(95);
});

it('says how many more prompts would decide', () => {
  const random = seededRandom(15);
  const { outcome, sentence } = judged(40, 1, { legacy: 0.05, candidate: 0.05 }, random);
  expect({ outcome, sentence }).toEqual({
    outcome: 'inconclusive',
    sentence: expect.stringMatching(/not shown to be within the margin; about \d+ more prompts would decide/),
  });
});

it('has nothing to say without a prompt that could be compared', () => {
  expect(judgeParity(standing({}), { ...DEMAND, given: 3 })).toMatchObject({
    outcome: 'inconclusive',
    sentence: 'none of 3 golden prompts could be compared: legacy itself did not answer',
  });
});

it('knows the exact interval of a proportion', () => {
  // Clopper and Pearson's own example of 1934 for 10 trials, and the rule of three.
  expect(proportionInterval(3, 10, 0.05)).toMatchObject({
    low: expect.closeTo(0.06674, 4),
    high: expect.closeTo(0.65245, 4),
  });
  expect(proportionInterval(0, 30, 0.1)).toEqual({ low: 0, high: expect.closeTo(1 - 0.05 ** (1 / 30), 6) });
  expect(proportionInterval(30, 30, 0.1)).toEqual({ low: expect.closeTo(0.05 ** (1 / 30), 6), high: 1 });
  expect(binomialTail(2, 3, 1 / 3)).toBeCloseTo(7 / 27);
  expect(binomialTail(0, 0, 1 / 3)).toBe(1);
});

it('keeps the largest report small enough for a history', () => {
  const measures = [
    ...DECISIONS,
    'decisions',
    'tool arguments',
    'json fields',
    'similarity',
    'length',
    'embedding',
  ];
  let tallies: Readonly<Record<string, StratumTally>> = {};
  for (let index = 0; index < 400; index += 1) {
    const scores = measures.map(
      (measure): Score => ({
        measure: measure as MeasureName,
        self: 0.987654,
        candidate: 0.1234567,
        apart: 'candidate',
      }),
    );
    const called = { first: true, second: true, candidate: false };
    tallies = withPrompt(tallies, `a stratum with a very long name, number ${index % 20}`, {
      scores,
      called,
      tokens: null,
    });
  }
  const differing = Array.from({ length: 20 }, (_, index) => ({
    id: `prompt-${index}`.repeat(6),
    what: 'json, '.repeat(9),
  }));
  const stopped = 'stopped: candidate cannot be used (connect)';
  const whole = judgeParity(
    { ...standing(tallies), differing, skipped: 9 },
    { ...DEMAND, given: 500, stopped },
  );
  expect(whole.outcome).toBe('fail');
  expect(whole.strata).toHaveLength(20);
  expect(JSON.stringify(briefReport(whole)).length).toBeLessThan(8_000);
});

describe('the formulas', () => {
  const RUNS = 2_000;
  const part = (seed: number, holds: (random: () => number) => boolean): number => {
    const random = seededRandom(seed);
    return Array.from({ length: RUNS }, () => holds(random)).filter(Boolean).length / RUNS;
  };
  /** Of so many prompts with one answer apart, those where it is the candidate's, all three being alike. */
  const apart = (prompts: number, random: () => number) =>
    Array.from({ length: prompts }, random).filter((drawn) => drawn < 1 / 3).length;
  /** Of so many prompts, those that the candidate loses, in a tenth of all. */
  const lost = (prompts: number, random: () => number) =>
    Array.from({ length: prompts }, random).filter((drawn) => drawn < 0.1).length;
  const most = 0.05 + 3 * Math.sqrt((0.05 * 0.95) / RUNS);

  it('hold what they promise', () => {
    expect(part(21, (random) => binomialTail(apart(24, random), 24, 1 / 3) < 0.05)).toBeLessThan(most);
    expect(part(22, (random) => proportionInterval(lost(30, random), 30, 0.05).high <= 0.1)).toBeLessThan(
      most,
    );
  });

  it('would be caught if they were wrong', () => {
    expect(part(21, (random) => binomialTail(apart(24, random), 24, 1 / 4) < 0.05)).toBeGreaterThan(most);
    const wald = (losses: number) => losses / 30 + 1.96 * Math.sqrt(((losses / 30) * (1 - losses / 30)) / 30);
    expect(part(22, (random) => wald(lost(30, random)) <= 0.1)).toBeGreaterThan(most);
  });
});
