import type { LogMoments } from '../../../src/core/evidence/evidence';
import { type Random, seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { geometricMeanRatio } from '../../../src/core/statistics/geometric-mean';
import { drawNormal, mostFalseDecisions } from '../../support/statistics-draws';

const NOTHING: LogMoments = { count: 0, sum: 0, sumOfSquares: 0 };

function drawCosts(held: LogMoments, count: number, mean: number, random: Random): LogMoments {
  let { sum, sumOfSquares } = held;
  for (let index = 0; index < count; index += 1) {
    // A heavy right tail even in the logarithm: one request in ten costs about eight times more.
    const logCost = mean + 0.8 * drawNormal(random) + (random() < 0.1 ? 2 : 0);
    sum += logCost;
    sumOfSquares += logCost * logCost;
  }
  return { count: held.count + count, sum, sumOfSquares };
}

describe('the ratio of geometric means', () => {
  it.each([
    ['holds the true ratio at all times in all but alpha of the runs', 1, false],
    ['would be seen to be wrong if the width were that of one look', 0.6, true],
  ])('%s', (_, width, wrong) => {
    let missed = 0;
    for (let run = 0; run < 300; run += 1) {
      const random = seededRandom(run);
      let [legacy, candidate] = [drawCosts(NOTHING, 100, 0, random), drawCosts(NOTHING, 100, 0.2, random)];
      for (let look = 0; look < 60; look += 1) {
        legacy = drawCosts(legacy, 50, 0, random);
        candidate = drawCosts(candidate, 50, 0.2, random);
        const found = geometricMeanRatio(legacy, candidate, 0.05);
        const reach = width * Math.log((found?.interval.high ?? 0) / (found?.ratio ?? 1));
        if (Math.abs(Math.log(found?.ratio ?? 0) - 0.2) <= reach) continue;
        missed += 1;
        break;
      }
    }
    expect(missed > mostFalseDecisions(300, 0.05)).toBe(wrong);
  });

  it('follows the published half-width', () => {
    const moments = { count: 1_000, sum: 0, sumOfSquares: 999 };
    const found = geometricMeanRatio(moments, { ...moments, sum: 100, sumOfSquares: 999 + 10 }, 0.1);
    const n = 2_000;
    // alpha 0.05 a side, as facts give it: rho^2 = (-2 ln 2a + ln(1 - 2 ln 2a)) / N*.
    const rho2 = (-2 * Math.log(0.1) + Math.log(1 - 2 * Math.log(0.1))) / 5_000;
    const half =
      Math.sqrt(2 / 1_000) *
      Math.sqrt(n) *
      Math.sqrt(((2 * (n * rho2 + 1)) / (n ** 2 * rho2)) * Math.log(1 + Math.sqrt(n * rho2 + 1) / 0.1));
    expect(Math.log(found?.ratio ?? 0)).toBeCloseTo(0.1, 12);
    expect(Math.log(found?.interval.high ?? 0)).toBeCloseTo(0.1 + half, 10);
    expect(Math.log(found?.interval.low ?? 0)).toBeCloseTo(0.1 - half, 10);
  });

  it('needs two values an arm and a sensible alpha', () => {
    const some = { count: 5, sum: 1, sumOfSquares: 3 };
    expect(geometricMeanRatio(NOTHING, some, 0.05)).toBeNull();
    expect(geometricMeanRatio(some, { count: 1, sum: 1, sumOfSquares: 1 }, 0.05)).toBeNull();
    expect(() => geometricMeanRatio(some, some, 0)).toThrow(RangeError);
  });
});
