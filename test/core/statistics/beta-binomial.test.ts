import { type Random, seededRandom } from '../../../src/core/rehearsal/rehearsal';
import {
  type BetaPrior,
  type LogEvidence,
  rateAbove,
  rateBelow,
  rateDiffers,
  rateInterval,
} from '../../../src/core/statistics/beta-binomial';
import { logBeta } from '../../../src/core/statistics/incomplete-beta';
import {
  candidateFraction,
  ratioExceeds,
  ratioInterval,
  ratioWithin,
} from '../../../src/core/statistics/rate-ratio';
import { drawEvents, mostFalseDecisions } from '../../support/statistics-draws';

const ALPHA = 0.05;
const RUNS = 600;
const THRESHOLD = -Math.log(ALPHA);

/** How many of many runs an e-process rejects at 5%, looked at 600 times over 1,200 trials at a true rate. */
function falseRejections(judge: LogEvidence, rate: number): number {
  let rejected = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const random: Random = seededRandom(run);
    let successes = 0;
    for (let trials = 2; trials <= 1_200; trials += 2) {
      successes += Number(random() < rate) + Number(random() < rate);
      if (judge(successes, trials) < THRESHOLD) continue;
      rejected += 1;
      break;
    }
  }
  return rejected;
}

describe('the rate process', () => {
  const share = 0.1;
  const atMargin = candidateFraction(share, 1.5);

  it.each([
    ['ratio exceeded', ratioExceeds(1.5, share), atMargin],
    ['ratio within', ratioWithin(1.5, share), atMargin],
    ['rate above', rateAbove(0.03, { mean: 0.06, strength: 50 }), 0.03],
    ['rate below', rateBelow(0.97, { mean: 0.9, strength: 20 }), 0.97],
    ['rate differs', rateDiffers(0.1, { mean: 0.1, strength: 100 }), 0.1],
  ])('is wrong at most at its alpha however often it is looked at: %s', (_, judge, rate) => {
    expect(falseRejections(judge, rate)).toBeLessThanOrEqual(mostFalseDecisions(RUNS, ALPHA));
  });

  const prior: BetaPrior = { mean: candidateFraction(share, 3), strength: 10 };
  const right = rateAbove(atMargin, prior);
  const untruncated = logBeta(prior.mean * 10, (1 - prior.mean) * 10);
  const mutants: [string, LogEvidence][] = [
    ['the margin is forgotten', ratioExceeds(1, share)],
    ['the share is used for theta', rateAbove(share, prior)],
    ['the prior is not normalised', (k, n) => right(k, n) - untruncated / 4],
    ['three successes are counted that were not', (k, n) => right(Math.min(n, k + 3), n)],
    ['failures are forgotten in the likelihood', (k, n) => right(k, n) - (n - k) * Math.log1p(-atMargin)],
    ['e-values are multiplied over looks', (k, n) => right(k, n) * 1.5 + 1],
    ['a fixed-sample z test', (k, n) => zEvidence(k, n, atMargin)],
  ];
  it.each(mutants)('would be seen to be wrong if %s', (_, mutant) => {
    expect(falseRejections(mutant, atMargin)).toBeGreaterThan(mostFalseDecisions(RUNS, ALPHA));
  });

  it('grows with every success and falls with every failure', () => {
    const judge = ratioExceeds(1.5, share);
    for (const [k, n] of [
      [0, 1],
      [5, 30],
      [400, 1_000],
      [20_000, 100_000],
    ] as const) {
      expect(judge(k + 1, n + 1)).toBeGreaterThan(judge(k, n));
      expect(judge(k, n + 1)).toBeLessThan(judge(k, n));
    }
  });

  it('says nothing before the first trial, and stays finite in the far tails', () => {
    const judge = ratioExceeds(1.5, share);
    expect(judge(0, 0)).toBe(0);
    expect(judge(0, 1e6)).toBeLessThan(0);
    expect(judge(1e6, 1e6) / (1e6 * Math.log(1 / atMargin))).toBeCloseTo(1, 3);
    expect(Number.isFinite(judge(0, 1e8))).toBe(true);
  });

  it.each([
    ['a bound of 0', () => rateAbove(0, prior)],
    ['a bound of 1', () => rateAbove(1, prior)],
    ['a bound that is no number', () => rateAbove(Number.NaN, prior)],
    ['a prior without weight', () => rateAbove(0.5, { mean: 0.5, strength: 0 })],
    ['a two-sided prior mean of 2', () => rateDiffers(0.5, { mean: 2, strength: 1 })],
    ['more successes than trials', () => right(3, 2)],
    ['a negative count', () => right(-1, 2)],
    ['a count that is no number', () => right(Number.NaN, 2)],
    ['share 1, where no control arm is left', () => ratioExceeds(1.5, 1)],
    ['a negative ratio', () => ratioExceeds(-1, 0.5)],
    ['alpha 0', () => rateInterval(1, 2, 0)],
    ['alpha 2', () => rateInterval(1, 2, 2)],
  ])('refuses %s', (_, call) => {
    expect(call).toThrow(RangeError);
  });
});

describe('the interval of a rate', () => {
  it('holds the true rate at all times in all but alpha of the runs', () => {
    let missed = 0;
    for (let run = 0; run < 200; run += 1) {
      const random = seededRandom(run);
      let successes = 0;
      for (let trials = 25; trials <= 1_500; trials += 25) {
        successes += drawEvents(25, 0.04, random);
        const { low, high } = rateInterval(successes, trials, ALPHA);
        if (low <= 0.04 && 0.04 <= high) continue;
        missed += 1;
        break;
      }
    }
    expect(missed).toBeLessThanOrEqual(mostFalseDecisions(200, ALPHA));
  });

  it('is everything without data, open to one side without events, and narrows around the estimate', () => {
    expect(rateInterval(0, 0, ALPHA)).toEqual({ low: 0, high: 1 });
    expect(rateInterval(0, 300, ALPHA).low).toBe(0);
    expect(rateInterval(300, 300, ALPHA).high).toBe(1);
    const wide = rateInterval(10, 100, ALPHA);
    const narrow = rateInterval(1_000, 10_000, ALPHA);
    expect(wide.low).toBeLessThan(narrow.low);
    expect(narrow.high).toBeLessThan(wide.high);
    expect(narrow.low).toBeLessThan(0.1);
    expect(narrow.high).toBeGreaterThan(0.1);
  });

  it('agrees with the two-sided process about what is rejected', () => {
    const { low, high } = rateInterval(37, 800, ALPHA);
    for (const bound of [low, high]) {
      expect(rateDiffers(bound, { mean: 0.5, strength: 1 })(37, 800)).toBeCloseTo(-Math.log(ALPHA), 6);
    }
  });

  it('turns into an interval of the risk ratio', () => {
    const { low, high } = ratioInterval(100, 1_000, 0.1, ALPHA);
    expect(low).toBeLessThan(1);
    expect(high).toBeGreaterThan(1);
    expect(ratioInterval(5, 5, 0.1, ALPHA).high).toBe(Number.POSITIVE_INFINITY);
    expect(ratioInterval(0, 0, 0.1, ALPHA)).toEqual({ low: 0, high: Number.POSITIVE_INFINITY });
  });
});

/** What a repeated one-sided z test at 5% would say, on the scale of ln E. */
function zEvidence(successes: number, trials: number, rate: number): number {
  const z = (successes - trials * rate) / Math.sqrt(trials * rate * (1 - rate));
  return trials >= 30 && z > 1.645 ? Number.POSITIVE_INFINITY : 0;
}
