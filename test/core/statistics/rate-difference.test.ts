import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { rateAbove, rateBelow, rateInterval } from '../../../src/core/statistics/beta-binomial';
import { growthUntil, smallestReaching } from '../../../src/core/statistics/expected-requests';
import {
  differenceExceeds,
  differenceWithin,
  priorAbove,
  type TwoRates,
} from '../../../src/core/statistics/rate-difference';
import { drawEvents, mostFalseDecisions } from '../../support/statistics-draws';

const ALPHA = 0.05;
const THRESHOLD = -Math.log(ALPHA);

function rates(legacy: [number, number], candidate: [number, number]): TwoRates {
  return {
    legacy: { events: legacy[0], requests: legacy[1] },
    candidate: { events: candidate[0], requests: candidate[1] },
  };
}

/** Runs in which a judge promotes at some of 25 looks, with the candidate's rate exactly at the margin. */
function falsePromotions(judge: (rates: TwoRates) => number, base: number, runs: number): number {
  let promoted = 0;
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let [legacy, candidate] = [0, 0];
    for (let look = 1; look <= 25; look += 1) {
      legacy += drawEvents(100, base, random);
      candidate += drawEvents(100, base + 0.02, random);
      if (judge(rates([legacy, 100 * look], [candidate, 100 * look])) < THRESHOLD) continue;
      promoted += 1;
      break;
    }
  }
  return promoted;
}

describe('the absolute margin', () => {
  const judge = differenceWithin(0.02);

  it.each([0, 0.002, 0.02])('promotes falsely at most at its alpha over a base rate of %d', (base) => {
    expect(falsePromotions(judge, base, 80)).toBeLessThanOrEqual(mostFalseDecisions(80, ALPHA));
  });

  it.each<[string, number, (rates: TwoRates) => number]>([
    ['the margin is doubled', 0.002, differenceWithin(0.04)],
    ['legacy is taken at the upper end of its interval', 0.02, atUpperEnd],
    ['arms are swapped', 0.002, ({ legacy, candidate }) => judge({ legacy: candidate, candidate: legacy })],
  ])('would be seen to be wrong if %s', (_, base, mutant) => {
    expect(falsePromotions(mutant, base, 80)).toBeGreaterThan(mostFalseDecisions(80, ALPHA));
  });

  it('can pass when neither arm errs', () => {
    expect(differenceWithin(0.01)(rates([0, 450], [0, 450]))).toBeGreaterThan(THRESHOLD);
    expect(judge(rates([0, 3_600], [0, 400]))).toBeGreaterThan(THRESHOLD);
    expect(judge(rates([0, 450], [0, 50]))).toBeLessThan(THRESHOLD);
  });

  it('promotes an equal candidate with 0.2% errors well within 3,000 requests', () => {
    expect(differenceWithin(0.01)(rates([2, 1_000], [2, 1_000]))).toBeGreaterThan(THRESHOLD);
  });

  it('does not pass a candidate that errs more than the margin, whatever legacy does', () => {
    expect(judge(rates([0, 5_000], [200, 5_000]))).toBeLessThan(0);
    expect(judge(rates([2_500, 5_000], [3_000, 5_000]))).toBeLessThan(0);
    expect(judge(rates([5_000, 5_000], [5_000, 5_000]))).toBeLessThanOrEqual(THRESHOLD);
  });

  it('says nothing without requests', () => {
    expect(judge(rates([0, 0], [0, 0]))).toBeCloseTo(0, 12);
  });

  it('says how much more data is expected to decide', () => {
    const at = (factor: number) => judge(rates([3 * factor, 2_700 * factor], [1 * factor, 300 * factor]));
    const growth = growthUntil(THRESHOLD, at);
    expect(growth).toBeGreaterThan(1);
    expect(at(growth ?? 0)).toBeGreaterThanOrEqual(THRESHOLD);
    expect(at((growth ?? 0) / 1.02)).toBeLessThan(THRESHOLD);
    expect(
      growthUntil(THRESHOLD, (factor) => judge(rates([0, 100 * factor], [5 * factor, 100 * factor]))),
    ).toBeNull();
    expect(growthUntil(0, () => 1)).toBe(1);
  });

  it('says which margin a sample could have passed', () => {
    const seen = rates([1, 500], [1, 500]);
    const margin = smallestReaching(THRESHOLD, (size) => differenceWithin(size)(seen), 0.001, 0.5);
    expect(margin).toBeGreaterThan(0.01);
    expect(margin).toBeLessThan(0.03);
  });

  it.each([-0.01, 0, 1, 2, Number.NaN])('refuses a margin of %d', (margin) => {
    expect(() => differenceWithin(margin)).toThrow(RangeError);
  });
});

describe('a legacy that was counted before', () => {
  const LEGACY = 2_000;
  const MARGIN = 0.01;
  /** What errors have at complete of the default plan, about. */
  const STRICT = 0.006;

  /** Runs in which a judge decides at some of 40 looks, with the candidate exactly at the margin. */
  function wrong(judge: (rates: TwoRates) => number, runs: number): number {
    let decided = 0;
    for (let run = 0; run < runs; run += 1) {
      const random = seededRandom(run);
      const before = drawEvents(LEGACY, 0.01, random);
      let events = 0;
      for (let look = 1; look <= 40; look += 1) {
        events += drawEvents(500, 0.01 + MARGIN, random);
        if (judge(rates([before, LEGACY], [events, 500 * look])) < -Math.log(STRICT)) continue;
        decided += 1;
        break;
      }
    }
    return decided;
  }

  const exceeds = ({ legacy, candidate }: TwoRates) => differenceExceeds(MARGIN, legacy)(candidate);
  const within = differenceWithin(MARGIN);

  it.each([
    ['harm', exceeds],
    ['a promotion', within],
  ])('is judged for %s wrongly at most at its alpha', (_, judge) => {
    expect(wrong(judge, 60)).toBeLessThanOrEqual(mostFalseDecisions(60, STRICT));
  });

  it.each([
    ['harm', frozenAbove],
    ['a promotion', frozenBelow],
  ])('would be seen to be wrong for %s if its rate were taken as known', (_, judge) => {
    expect(wrong(judge, 200)).toBeGreaterThan(mostFalseDecisions(200, STRICT));
  });

  function frozenAbove({ legacy, candidate }: TwoRates): number {
    const bound = legacy.events / legacy.requests + MARGIN;
    return rateAbove(bound, priorAbove(bound))(candidate.events, candidate.requests);
  }

  function frozenBelow({ legacy, candidate }: TwoRates): number {
    const rate = legacy.events / legacy.requests;
    const mean = rate + MARGIN / 4;
    return rateBelow(rate + MARGIN, { mean, strength: 1 / mean })(candidate.events, candidate.requests);
  }

  it('shows what is beyond the margin, the sooner the more it had counted', () => {
    const candidate = { events: 120, requests: 3_000 };
    const against = (requests: number) =>
      differenceExceeds(MARGIN, { events: requests / 100, requests })(candidate);
    expect(against(20_000)).toBeGreaterThan(THRESHOLD);
    expect(against(20_000)).toBeGreaterThan(against(1_000));
    expect(against(0)).toBeLessThan(0);
    expect(
      differenceExceeds(MARGIN, { events: 200, requests: 20_000 })({ events: 40, requests: 3_000 }),
    ).toBeLessThan(0);
  });

  it('is no evidence while the candidate could fail as often as legacy always might', () => {
    expect(
      differenceExceeds(MARGIN, { events: 0, requests: 0 })({ events: 0, requests: 0 }),
    ).toBeLessThanOrEqual(0);
    expect(
      differenceExceeds(MARGIN, { events: 1_999, requests: 2_000 })({ events: 3_000, requests: 3_000 }),
    ).toBeLessThan(THRESHOLD);
  });
});

/** Takes the worst that legacy might be for what it is. */
function atUpperEnd({ legacy, candidate }: TwoRates): number {
  const bound = rateInterval(legacy.events, legacy.requests, ALPHA).high + 0.02;
  return rateBelow(bound, { mean: bound / 2, strength: 1 / bound })(candidate.events, candidate.requests);
}
