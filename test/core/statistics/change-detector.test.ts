import fc from 'fast-check';
import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import {
  addCounts,
  appendWindow,
  type DetectorState,
  detect,
  detectorWeights,
  detectRate,
  NO_WINDOWS,
  type RateCounts,
} from '../../../src/core/statistics/change-detector';
import { ratioExceeds } from '../../../src/core/statistics/rate-ratio';
import { drawEvents, mostFalseDecisions } from '../../support/statistics-draws';

const judge = ratioExceeds(1.5, 0.1);
const ALPHA = 0.05;

function watch(windows: readonly RateCounts[]): DetectorState<RateCounts> {
  return windows.reduce<DetectorState<RateCounts>>(
    (state, counts) => appendWindow(state, counts, addCounts),
    NO_WINDOWS,
  );
}

const countsArbitrary = fc
  .tuple(fc.nat({ max: 20 }), fc.nat({ max: 50 }))
  .map(([successes, failures]) => ({ successes, trials: successes + failures }));

describe('the detector of late harm', () => {
  it("sees the same from the stage's start however windows are cut", () => {
    fc.assert(
      fc.property(fc.array(countsArbitrary, { minLength: 1, maxLength: 60 }), fc.nat(), (windows, seed) => {
        const random = seededRandom(seed);
        const coarse: RateCounts[] = [];
        for (const counts of windows) {
          const last = coarse.at(-1);
          if (last !== undefined && random() < 0.5) coarse[coarse.length - 1] = addCounts(last, counts);
          else coarse.push(counts);
        }
        expect(fromStart(watch(coarse))).toBeCloseTo(fromStart(watch(windows)), 9);
      }),
      { numRuns: 100 },
    );
  });

  it('is the weighted mean over every window while all starts live', () => {
    const windows = [1, 0, 3, 2, 5, 4, 6].map((successes) => ({ successes, trials: 12 }));
    let expected = 0;
    windows.forEach((_, start) => {
      const { successes, trials } = windows.slice(start).reduce(addCounts);
      expected += weightOf(start) * Math.exp(judge(successes, trials));
    });
    const idle = 1 - windows.reduce((sum, _, start) => sum + weightOf(start), 0);
    expect(detectRate(watch(windows), judge)).toBeCloseTo(Math.log(expected + idle), 10);
  });

  it('starts at no evidence, and an empty window changes nothing', () => {
    expect(detectRate(NO_WINDOWS, judge)).toBeCloseTo(0, 12);
    expect(detectRate(watch([{ successes: 0, trials: 0 }]), judge)).toBeCloseTo(0, 12);
  });

  it('keeps a bounded state, whose weights never exceed one', () => {
    let state: DetectorState<RateCounts> = NO_WINDOWS;
    for (let window = 0; window < 1_000; window += 1) {
      state = appendWindow(state, { successes: 1, trials: 7 }, addCounts);
      const { logWeights, idle } = detectorWeights(state);
      const sum = logWeights.reduce((total, logWeight) => total + Math.exp(logWeight), idle);
      expect(sum).toBeLessThanOrEqual(1 + 1e-12);
    }
    expect(state.segments.length).toBeLessThan(70);
    expect(state.segments.map((segment) => segment.evidence).reduce(addCounts)).toEqual({
      successes: 1_000,
      trials: 7_000,
    });
  });

  it('sees harm that starts late almost as fast as harm from the start', () => {
    const parity = Array.from({ length: 200 }, () => ({ successes: 1, trials: 10 }));
    const harm = Array.from({ length: 12 }, () => ({ successes: 5, trials: 14 }));
    expect(detectRate(watch([...parity, ...harm]), judge)).toBeGreaterThan(-Math.log(0.025));
    expect(fromStart(watch([...parity, ...harm]))).toBeLessThan(0);
  });

  it.each([
    ['is wrong at most at its alpha at the margin', detectRate, false],
    ['would be seen to be wrong if every start weighed fully', unweighted, true],
    ['would be seen to be wrong if the best start were picked', best, true],
  ] as const)('%s', (_, detector, wrong) => {
    const runs = 300;
    let rejected = 0;
    for (let run = 0; run < runs; run += 1) {
      const random = seededRandom(run);
      let state: DetectorState<RateCounts> = NO_WINDOWS;
      for (let window = 0; window < 120; window += 1) {
        const counts = { successes: drawEvents(15, 0.15 / 1.05, random), trials: 15 };
        state = appendWindow(state, counts, addCounts);
        if (detector(state, judge) < -Math.log(ALPHA)) continue;
        rejected += 1;
        break;
      }
    }
    expect(rejected > mostFalseDecisions(runs, ALPHA)).toBe(wrong);
  });
});

function fromStart(state: DetectorState<RateCounts>): number {
  const { successes, trials } = state.segments.map((segment) => segment.evidence).reduce(addCounts);
  return judge(successes, trials);
}

function weightOf(start: number): number {
  return 80 * (1 / (200 + start) - 1 / (201 + start)) + (start === 0 ? 0.6 : 0);
}

function unweighted(state: DetectorState<RateCounts>): number {
  return detectRate(state, judge) + Math.log(state.windows);
}

function best(state: DetectorState<RateCounts>): number {
  let most = Number.NEGATIVE_INFINITY;
  detect(state, addCounts, ({ successes, trials }) => {
    most = Math.max(most, judge(successes, trials));
    return 0;
  });
  return most;
}
