import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import {
  type GridCounts,
  meanAbove,
  meanBelow,
  meanFallsShort,
  meanInterval,
  meanKeepsUp,
  meanOf,
  type TwoMeans,
} from '../../../src/core/statistics/mean-difference';
import { mostFalseDecisions } from '../../support/statistics-draws';

const STEPS = 20;
const ALPHA = 0.05;
const ENOUGH = -Math.log(ALPHA);

const nothing = (): number[] => new Array(STEPS + 1).fill(0);

/** Ends of the grid: how many lie at 0 and at 1. */
function booleans(falses: number, trues: number): number[] {
  const grid = nothing();
  [grid[0], grid[STEPS]] = [falses, trues];
  return grid;
}

/** The expected value of something over all samples of so many draws from a distribution on the grid. */
function expectation(chances: GridCounts, draws: number, of: (counts: GridCounts) => number): number {
  const grid = nothing();
  const steps = chances.flatMap((chance, step) => (chance > 0 ? [step] : []));
  const add = (left: number, chance: number): number => {
    if (left === 0) return chance * of(grid);
    return steps.reduce((sum, step) => {
      grid[step] = (grid[step] ?? 0) + 1;
      const part = add(left - 1, chance * (chances[step] ?? 0));
      grid[step] = (grid[step] ?? 0) - 1;
      return sum + part;
    }, 0);
  };
  return add(draws, 1);
}

describe('evidence about a mean', () => {
  /** Half of them at 0, the rest at 0.5 and 1: a mean of 0.4. */
  const threeValues = nothing();
  [threeValues[0], threeValues[10], threeValues[STEPS]] = [0.45, 0.3, 0.25];

  it.each([
    ['booleans', booleans(0.6, 0.4)],
    ['three values', threeValues],
  ])('is worth 1 on average where the mean is the bound, and less where it is below: %s', (_, chances) => {
    expect(meanOf(chances)).toBeCloseTo(0.4, 10);
    const worth = (bound: number) => expectation(chances, 8, (counts) => Math.exp(meanAbove(counts, bound)));
    expect(worth(0.4)).toBeCloseTo(1, 10);
    expect(worth(0.5)).toBeLessThan(1);
    expect(worth(0.35)).toBeGreaterThan(1);
    const below = (bound: number) => expectation(chances, 8, (counts) => Math.exp(meanBelow(counts, bound)));
    expect(below(0.4)).toBeCloseTo(1, 10);
    expect(below(0.3)).toBeLessThan(1);
  });

  it('would be worth more than 1 by the best bet in hindsight in place of the mean over bets', () => {
    const best = expectation(booleans(0.6, 0.4), 8, (counts) => {
      const [falses = 0, trues = 0] = [counts[0], counts[STEPS]];
      return Math.max(
        ...Array.from({ length: 16 }, (_, index) => 2 ** (-(index + 1) / 2)).map(
          (bet) => (1 - bet) ** falses * (1 - bet + bet / 0.4) ** trues,
        ),
      );
    });
    expect(best).toBeGreaterThan(1.2);
  });

  it('is the likelihood ratio of the rate process for values that are 0 or 1', () => {
    const [falses, trues, bound] = [37, 21, 0.3];
    const ratios = Array.from({ length: 16 }, (_, index) => {
      const rate = bound + 2 ** (-(index + 1) / 2) * (1 - bound);
      return (rate / bound) ** trues * ((1 - rate) / (1 - bound)) ** falses;
    });
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / 16;
    expect(meanAbove(booleans(falses, trues), bound)).toBeCloseTo(Math.log(mean), 10);
  });

  it('says nothing without values, and nothing about bounds that every mean keeps', () => {
    expect(meanAbove(nothing(), 0.5)).toBeCloseTo(0, 12);
    expect(meanAbove(booleans(0, 90), 1)).toBe(0);
    expect(meanBelow(booleans(90, 0), 0)).toBe(0);
  });

  it('gives an interval around the mean that narrows', () => {
    const few = meanInterval(booleans(40, 60), ALPHA);
    const many = meanInterval(booleans(4_000, 6_000), ALPHA);
    expect(few.low).toBeLessThan(0.6);
    expect(few.high).toBeGreaterThan(0.6);
    expect(many.high - many.low).toBeLessThan((few.high - few.low) / 5);
    expect(meanInterval(nothing(), ALPHA)).toEqual({ low: 0, high: 1 });
  });
});

describe('evidence about two means', () => {
  it('is never more than at any mean that legacy may have, and hardly less than at the worst of them', () => {
    const random = seededRandom(3);
    for (let turn = 0; turn < 40; turn += 1) {
      const draw = () => nothing().map(() => Math.floor(random() ** 3 * 60));
      const means: TwoMeans = { legacy: draw(), candidate: draw() };
      const margin = 0.02 + random() * 0.1;
      const at = (q: number) => meanAbove(means.legacy, q) + meanBelow(means.candidate, q - margin);
      const fine = Math.min(...Array.from({ length: 4_000 }, (_, index) => at((index + 1) / 4_000)));
      const found = meanFallsShort(margin, means);
      expect(found).toBeLessThanOrEqual(fine + 1e-9);
      expect(found).toBeGreaterThan(fine - 0.6 - Math.abs(fine) * 0.15);
      const up = (q: number) =>
        meanBelow(means.legacy, q) +
        (q <= margin ? Number.POSITIVE_INFINITY : meanAbove(means.candidate, q - margin));
      const least = Math.min(
        ...Array.from({ length: 4_000 }, (_, index) => up(margin + ((1 - margin) * (index + 1)) / 4_000)),
      );
      expect(meanKeepsUp(margin, means)).toBeLessThanOrEqual(least + 1e-9);
    }
  });

  it.each([
    [0.1, 'a tenth'],
    [0.5, 'half'],
  ])('is wrong at most at alpha however often it is looked at, with %p of the traffic', (share) => {
    const found = falseDecisions({ share, runs: 150, looks: 40, perLook: 120 });
    expect(found.harm).toBeLessThanOrEqual(mostFalseDecisions(150, ALPHA));
    expect(found.promotion).toBeLessThanOrEqual(mostFalseDecisions(150, ALPHA));
  });

  it('would be wrong too often if the mean that legacy shows were its mean', () => {
    const found = falseDecisions({ share: 0.9, runs: 150, looks: 40, perLook: 120 });
    expect(found.plugIn).toBeGreaterThan(mostFalseDecisions(150, ALPHA));
    expect(found.harm).toBeLessThanOrEqual(mostFalseDecisions(150, ALPHA));
  });

  it('finds booleans of 60% against 70% within 2,000 outcomes of the candidate, at a tenth of the traffic', () => {
    const needed = outcomesUntilHarm({ runs: 40, alpha: 0.005 });
    const mean = needed.reduce((sum, count) => sum + count, 0) / needed.length;
    expect(mean).toBeLessThan(1_200);
    expect(Math.max(...needed)).toBeLessThan(3_000);
  });
});

/**
 * Candidates exactly at the margin, where harm is false and so is a promotion. A fifth of the outcomes are numbers with
 * a mean of a half in both arms; booleans differ by 5 points, so that all together differ by 4.
 */
function falseDecisions(said: {
  readonly share: number;
  readonly runs: number;
  readonly looks: number;
  readonly perLook: number;
}): { harm: number; promotion: number; plugIn: number } {
  const margin = 0.8 * 0.05;
  const found = { harm: 0, promotion: 0, plugIn: 0 };
  for (let run = 0; run < said.runs; run += 1) {
    const random = seededRandom(run + 1);
    const [legacy, candidate] = [nothing(), nothing()];
    const alarms = { harm: false, promotion: false, plugIn: false };
    for (let look = 0; look < said.looks; look += 1) {
      for (let draw = 0; draw < said.perLook; draw += 1) {
        const moved = random() < said.share;
        const isNumber = random() < 0.2;
        const [number, boolean] = [random() < 0.5 ? 5 : 15, random() < (moved ? 0.45 : 0.5) ? STEPS : 0];
        const grid = moved ? candidate : legacy;
        const step = isNumber ? number : boolean;
        grid[step] = (grid[step] ?? 0) + 1;
      }
      alarms.harm ||= meanFallsShort(margin, { legacy, candidate }) >= ENOUGH;
      alarms.promotion ||= meanKeepsUp(margin, { legacy, candidate }) >= ENOUGH;
      alarms.plugIn ||= meanBelow(candidate, (meanOf(legacy) ?? 0) - margin) >= ENOUGH;
    }
    found.harm += Number(alarms.harm);
    found.promotion += Number(alarms.promotion);
    found.plugIn += Number(alarms.plugIn);
  }
  return found;
}

/** Outcomes of the candidate until harm beyond 3 points is shown, looked at after every 20. */
function outcomesUntilHarm({ runs, alpha }: { readonly runs: number; readonly alpha: number }): number[] {
  return Array.from({ length: runs }, (_, run) => {
    const random = seededRandom(run + 1);
    const [legacy, candidate] = [nothing(), nothing()];
    for (let count = 0; ; ) {
      const moved = random() < 0.1;
      const grid = moved ? candidate : legacy;
      const step = random() < (moved ? 0.6 : 0.7) ? STEPS : 0;
      grid[step] = (grid[step] ?? 0) + 1;
      if (!moved) continue;
      count += 1;
      if (count % 20 === 0 && meanFallsShort(0.03, { legacy, candidate }) >= -Math.log(alpha)) return count;
    }
  });
}
