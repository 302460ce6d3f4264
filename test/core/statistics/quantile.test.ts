import fc from 'fast-check';
import { latencyShape, type Random, seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { rateAbove, rateBelow } from '../../../src/core/statistics/beta-binomial';
import {
  appendWindow,
  type DetectorState,
  detectorWeights,
  NO_WINDOWS,
} from '../../../src/core/statistics/change-detector';
import { GAMMA, type Histogram, histogramOf, mergeHistograms } from '../../../src/core/statistics/histogram';
import { logSumExp } from '../../../src/core/statistics/log-space';
import {
  countsAbove,
  countsNotBelow,
  quantileAboveBound,
  quantileBelowBound,
  quantileInterval,
  quantileRatioInterval,
} from '../../../src/core/statistics/quantile-bound';
import {
  type ArmSamples,
  cumulateArms,
  detectQuantileExceeds,
  detectQuantilesExceed,
  type QuantileMargin,
  quantileExceeds,
  quantileWithin,
} from '../../../src/core/statistics/quantile-ratio';
import { scaleSamples } from '../../../src/core/statistics/scaled-samples';
import { drawLatencies, mostFalseDecisions } from '../../support/statistics-draws';

const ALPHA = 0.05;
const EMPTY: Histogram = { zero: 0, buckets: [] };

describe('the quantile process', () => {
  it.each([
    ['p95 harm at the margin', 0.95, 0.5, 1.5, 0.1, quantileExceeds],
    ['p50 harm at the margin', 0.5, 0.5, 1.5, 0.5, quantileExceeds],
    ['p95 non-inferiority at the margin', 0.95, 0.2, 1.2, 0.5, quantileWithin],
    ['p50 non-inferiority at the margin', 0.5, 0.1, 1.1, 0.5, quantileWithin],
  ] as const)(
    'is wrong at most at its alpha however often it is looked at: %s',
    (_, p, margin, factor, share, judge) => {
      const runs = 80;
      const rejected = rejections(runs, factor, share, (samples) => judge({ p, margin }, samples));
      expect(rejected).toBeLessThanOrEqual(mostFalseDecisions(runs, ALPHA));
    },
  );

  it.each([
    [
      'the margin is forgotten',
      1.5,
      (samples: ArmSamples) => quantileExceeds({ p: 0.5, margin: 0.2 }, samples),
    ],
    [
      'the ratio is turned round',
      1.5,
      (samples: ArmSamples) => quantileWithin({ p: 0.5, margin: 1.25 }, samples),
    ],
    ['x is taken where it suits, not where it hurts', 1.5, (samples: ArmSamples) => atLegacyMedian(samples)],
  ])('would be seen to be wrong if %s', (_, factor, mutant) => {
    expect(rejections(80, factor, 0.5, mutant)).toBeGreaterThan(mostFalseDecisions(80, ALPHA));
  });

  it('decides for harm when p95 doubles and for promotion when nothing differs', () => {
    const random = seededRandom(4);
    const legacy = drawLatencies(4_000, 1_000, 0.6, random);
    const doubled = drawLatencies(500, 2_000, 0.6, random);
    const same = drawLatencies(4_000, 1_000, 0.6, random);
    expect(quantileExceeds({ p: 0.95, margin: 0.5 }, { legacy, candidate: doubled })).toBeGreaterThan(
      Math.log(200),
    );
    expect(quantileExceeds({ p: 0.95, margin: 0.5 }, { legacy, candidate: same })).toBeLessThan(0);
    expect(quantileWithin({ p: 0.95, margin: 0.2 }, { legacy, candidate: same })).toBeGreaterThan(
      Math.log(20),
    );
    expect(quantileWithin({ p: 0.95, margin: 0.2 }, { legacy, candidate: doubled })).toBeLessThan(0);
  });

  it('finds no harm in a difference below the absolute margin, whatever its ratio', () => {
    const [random, few] = [seededRandom(21), seededRandom(22)];
    const samples = {
      legacy: drawLatencies(4_000, 0.02, 0.5, random),
      candidate: drawLatencies(4_000, 0.1, 0.5, few),
    };
    const claim = { p: 0.95, margin: 1 };
    expect(quantileExceeds(claim, samples)).toBeGreaterThan(Math.log(1_000));
    expect(quantileExceeds({ ...claim, least: 2 }, samples)).toBeLessThan(0);
    expect(quantileWithin({ ...claim, least: 2 }, samples)).toBeGreaterThan(Math.log(20));
  });

  it('is as sharp with an absolute margin that the relative one exceeds', () => {
    const samples = drawArms(4_000, 2, 0.5, seededRandom(23));
    const claim = { p: 0.95, margin: 0.5 };
    expect(quantileExceeds({ ...claim, least: 10 }, samples)).toBeCloseTo(quantileExceeds(claim, samples), 0);
    expect(quantileExceeds({ ...claim, least: 10 }, samples)).toBeGreaterThan(Math.log(1_000));
  });

  it('says nothing without data in either arm', () => {
    const some = histogramOf([1, 2, 3]);
    for (const samples of [
      { legacy: EMPTY, candidate: EMPTY },
      { legacy: some, candidate: EMPTY },
      { legacy: EMPTY, candidate: some },
    ]) {
      expect(quantileExceeds({ p: 0.95, margin: 0.5 }, samples)).toBeLessThanOrEqual(0);
      expect(quantileWithin({ p: 0.95, margin: 0.2 }, samples)).toBeLessThanOrEqual(0);
    }
  });

  it.each([
    ['three times as slow for half of the requests, at a fifth instead of a tenth', 0.5, 3, 0.2, false],
    ['four times as slow for 5% of the requests, at a fifth instead of a tenth', 0.05, 4, 0.2, false],
    ['four times as slow for 5% of the requests, at half instead of a tenth', 0.05, 4, 0.5, true],
  ] as const)('takes a share that moves along with the level for harm where it moves far: %s', (...said) => {
    const [, part, level, share, isHarm] = said;
    const shape = latencyShape(1_000, 3_000);
    const arm = (usual: number, slow: number) =>
      mergeHistograms([sized(shape, (1 - part) * usual, 1), sized(shape, part * slow, level)]);
    const samples = { legacy: arm(0.9, 1 - share), candidate: arm(0.1, share) };
    const logHarm = quantileExceeds({ p: 0.95, margin: 0.5, share: 0.1 }, samples);
    expect(logHarm > -Math.log(ALPHA)).toBe(isHarm);
  });

  it('does not depend on the order in which histograms are merged', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.double({ min: 0, max: 1e5, noNaN: true })), { minLength: 2 }),
        (parts) => {
          const histograms = parts.map(histogramOf);
          const forwards = mergeHistograms(histograms);
          const backwards = [...histograms].reverse().reduce((sum, next) => mergeHistograms([next, sum]));
          expect(backwards).toEqual(forwards);
          expect(forwards).toEqual(histogramOf(parts.flat()));
        },
      ),
    );
  });

  it.each([
    [
      'a negative margin',
      () => quantileExceeds({ p: 0.95, margin: -0.1 }, { legacy: EMPTY, candidate: EMPTY }),
    ],
    [
      'a margin that is no number',
      () => quantileWithin({ p: 0.95, margin: Number.NaN }, { legacy: EMPTY, candidate: EMPTY }),
    ],
    ['a quantile of 1', () => quantileExceeds({ p: 1, margin: 0.5 }, { legacy: EMPTY, candidate: EMPTY })],
    ['a factor of 0', () => scaleSamples({ legacy: EMPTY, candidate: EMPTY }, 0)],
    ['an interval at alpha 2', () => quantileInterval(EMPTY, 0.5, 2)],
  ])('refuses %s', (_, call) => {
    expect(call).toThrow(RangeError);
  });
});

describe('the detector on quantiles', () => {
  it('is the process itself on a single window, but for its weight', () => {
    const random = seededRandom(8);
    const samples = drawArms(3_000, 2, 0.3, random);
    const state = appendWindow(NO_WINDOWS as DetectorState<ArmSamples>, samples, mergeSamples);
    const weight = 0.6 + 0.4 / 201;
    expect(detectQuantileExceeds({ p: 0.95, margin: 0.5 }, state)).toBeCloseTo(
      quantileExceeds({ p: 0.95, margin: 0.5 }, samples) + Math.log(weight),
      4,
    );
  });

  it('sees latency that rises late, where the process from the start does not', () => {
    const random = seededRandom(9);
    let state: DetectorState<ArmSamples> = NO_WINDOWS;
    for (let window = 0; window < 60; window += 1) {
      state = appendWindow(state, drawArms(400, window < 50 ? 1 : 2, 0.1, random), mergeSamples);
    }
    const all = state.segments.map((segment) => segment.evidence).reduce(mergeSamples);
    expect(detectQuantileExceeds({ p: 0.95, margin: 0.5, share: 0.1 }, state)).toBeGreaterThan(
      -Math.log(0.00625),
    );
    expect(quantileExceeds({ p: 0.95, margin: 0.5 }, all)).toBeLessThan(0);
  });

  it('sees no difference between arms that are the same while the level of both moves', () => {
    const fast = drawLatencies(40_000, 100, 0.5, seededRandom(1));
    const slow = drawLatencies(1_500, 300, 0.5, seededRandom(2));
    let state: DetectorState<ArmSamples> = NO_WINDOWS;
    for (const both of [fast, slow]) {
      state = appendWindow(state, { legacy: both, candidate: both }, mergeSamples);
    }
    const claim = { p: 0.95, margin: 0.5 };
    expect(detectQuantileExceeds(claim, state)).toBeLessThanOrEqual(0);
    expect(meanBeforeMinimum(claim, state)).toBeGreaterThan(Math.log(1_000));
  });

  it('is wrong at most at its alpha at the margin', () => {
    const runs = 80;
    let rejected = 0;
    for (let run = 0; run < runs; run += 1) {
      const random = seededRandom(run);
      let state: DetectorState<ArmSamples> = NO_WINDOWS;
      for (let window = 0; window < 30; window += 1) {
        state = appendWindow(state, drawArms(100, 1.5, 0.5, random), mergeSamples);
        if (detectQuantileExceeds({ p: 0.5, margin: 0.5 }, state) < -Math.log(ALPHA)) continue;
        rejected += 1;
        break;
      }
    }
    expect(rejected).toBeLessThanOrEqual(mostFalseDecisions(runs, ALPHA));
  });
});

describe('the process of several samples together', () => {
  it('adds up what each says, but for what the constant weighs', () => {
    const claim = { p: 0.95, margin: 0.5, share: 0.1 };
    const shapes = [11, 12].map((seed) => drawArms(2_000, 2, 0.1, seededRandom(seed)));
    const alone = shapes.reduce((sum, samples) => sum + quantileExceeds(claim, samples), 0);
    const together = togetherOf(claim, [shapes]);
    expect(together).toBeCloseTo(alone + 2 * Math.log(0.95) + Math.log(0.6 + 0.4 / 201), 1);
  });

  it('loses little to a sample that says nothing, and none to one that has no values', () => {
    const claim = { p: 0.95, margin: 0.5, share: 0.1 };
    const slow = drawArms(2_000, 2.5, 0.1, seededRandom(13));
    const same = drawArms(40_000, 1, 0.1, seededRandom(14));
    const none = { legacy: EMPTY, candidate: EMPTY };
    const alone = togetherOf(claim, [[slow]]);
    expect(togetherOf(claim, [[slow, none]])).toBeCloseTo(alone, 9);
    expect(togetherOf(claim, [[slow, { ...none, legacy: same.legacy }]])).toBeCloseTo(
      alone + Math.log(0.05),
      4,
    );
    expect(togetherOf(claim, [[slow, same]])).toBeGreaterThan(alone - 3.1);
  });

  it.each([
    ['independent samples multiply', togetherOf, 30, false],
    ['one sample is counted eight times, which is wrong', eightTimesTheSame, 30, true],
    ['the margin is forgotten, which is wrong', withoutMargin, 30, true],
  ] as const)('is wrong at most at its alpha at the margin of both: %s', (_, judge, windows, wrong) => {
    const claim = { p: 0.5, margin: 0.5, share: 0.5 };
    const runs = 80;
    let rejected = 0;
    for (let run = 0; run < runs; run += 1) {
      const random = seededRandom(run);
      const seen: ArmSamples[][] = [];
      for (let window = 0; window < windows; window += 1) {
        seen.push([drawArms(60, 1.5, 0.5, random), drawArms(60, 1.5, 0.5, random)]);
        if (judge(claim, seen) < -Math.log(ALPHA)) continue;
        rejected += 1;
        break;
      }
    }
    expect(rejected > mostFalseDecisions(runs, ALPHA)).toBe(wrong);
  });

  it.each([
    ['the arms have the same mix of models', 0.3, false],
    ['the candidate gets more of the slow one, which draws at random never do', 0.7, true],
  ])('takes models of other levels together, as long as %s', (_, slowPart, wrong) => {
    const random = seededRandom(15);
    const mixed = (count: number, part: number) =>
      mergeHistograms([
        drawLatencies(Math.round(count * part), 3_000, 0.4, random),
        drawLatencies(Math.round(count * (1 - part)), 200, 0.4, random),
      ]);
    const samples = { legacy: mixed(9_000, 0.02), candidate: mixed(1_000, wrong ? slowPart : 0.02) };
    const found = togetherOf({ p: 0.95, margin: 0.5, share: 0.1 }, [[samples]]);
    expect(found >= -Math.log(0.003)).toBe(wrong);
  });
});

/** Windows of several samples each, judged as one. */
function togetherOf(claim: QuantileMargin, windows: readonly (readonly ArmSamples[])[]): number {
  const samples = (windows[0] ?? []).map((_, index) => windows.map((window) => window[index] as ArmSamples));
  const states = samples.map((each) =>
    each.reduce<DetectorState<ArmSamples>>(
      (state, window) => appendWindow(state, window, mergeSamples),
      NO_WINDOWS,
    ),
  );
  const parts = states.map((state) => ({
    claim,
    arms: cumulateArms(state.segments.map((segment) => segment.evidence)),
  }));
  return detectQuantilesExceed(parts, states[0] ?? NO_WINDOWS);
}

/** The wrong product: a sample is not independent of itself. */
function eightTimesTheSame(claim: QuantileMargin, windows: readonly (readonly ArmSamples[])[]): number {
  return togetherOf(
    claim,
    windows.map(([first]) => Array.from({ length: 8 }, () => first as ArmSamples)),
  );
}

function withoutMargin(claim: QuantileMargin, windows: readonly (readonly ArmSamples[])[]): number {
  return togetherOf({ ...claim, margin: 0.2 }, windows);
}

describe('quantiles against fixed bounds', () => {
  it('find the quantile above a bound that it exceeds, and below one that it does not reach', () => {
    const histogram = drawLatencies(3_000, 1_000, 0.5, seededRandom(3));
    const above = (bound: number) => {
      const { successes, trials } = countsAbove(bound, histogram);
      return quantileAboveBound(0.95)(successes, trials);
    };
    const below = (bound: number) => {
      const { successes, trials } = countsNotBelow(bound, histogram);
      return quantileBelowBound(0.95)(successes, trials);
    };
    expect(above(1_500)).toBeGreaterThan(Math.log(20));
    expect(above(3_500)).toBeLessThan(0);
    expect(below(3_500)).toBeGreaterThan(Math.log(20));
    expect(below(1_500)).toBeLessThan(0);
  });

  it('hold the true quantile in their intervals', () => {
    let missed = 0;
    const truth = 1_000 * Math.exp(0.5 * 1.6448536);
    for (let run = 0; run < 150; run += 1) {
      const random = seededRandom(run);
      let histogram = EMPTY;
      for (let window = 0; window < 15; window += 1) {
        histogram = mergeHistograms([histogram, drawLatencies(100, 1_000, 0.5, random)]);
        const { low, high } = quantileInterval(histogram, 0.95, ALPHA);
        if (low <= truth && truth <= high) continue;
        missed += 1;
        break;
      }
    }
    expect(missed).toBeLessThanOrEqual(mostFalseDecisions(150, ALPHA));
  });

  it('bound the ratio of the arms', () => {
    const random = seededRandom(6);
    const samples = drawArms(20_000, 1.3, 0.5, random);
    const { low, high } = quantileRatioInterval(samples, 0.95, ALPHA);
    expect(low).toBeGreaterThan(1.1);
    expect(low).toBeLessThan(1.3);
    expect(high).toBeGreaterThan(1.3);
    expect(high).toBeLessThan(1.5);
    expect(quantileRatioInterval({ legacy: EMPTY, candidate: EMPTY }, 0.95, ALPHA)).toEqual({
      low: 0,
      high: Number.POSITIVE_INFINITY,
    });
  });

  it('have less evidence in deflated samples', () => {
    const samples = drawArms(3_000, 2, 0.3, seededRandom(8));
    const claim = { p: 0.95, margin: 0.5 };
    expect(quantileExceeds(claim, scaleSamples(samples, 0.1))).toBeLessThan(
      quantileExceeds(claim, samples) / 2,
    );
  });
});

/** Runs in which a judge reaches 1/alpha at some of 20 looks at a hundred values each. */
function rejections(
  runs: number,
  factor: number,
  share: number,
  judge: (samples: ArmSamples) => number,
): number {
  let rejected = 0;
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let samples: ArmSamples = { legacy: EMPTY, candidate: EMPTY };
    for (let look = 0; look < 20; look += 1) {
      samples = mergeSamples(samples, drawArms(100, factor, share, random));
      if (judge(samples) < -Math.log(ALPHA)) continue;
      rejected += 1;
      break;
    }
  }
  return rejected;
}

/** The claim that the candidate's median is 50% larger, tested at 1.5 x legacy's own median only. */
function atLegacyMedian({ legacy, candidate }: ArmSamples): number {
  const { low, high } = quantileInterval(legacy, 0.5, 0.9);
  const bound = 1.5 * (Number.isFinite(high) ? Math.sqrt(low * high) : 0);
  if (bound === 0) return 0;
  const { successes, trials } = countsAbove(bound / GAMMA ** 2, candidate);
  return quantileAboveBound(0.5)(successes, trials);
}

function drawArms(requests: number, factor: number, share: number, random: Random): ArmSamples {
  const moved = Math.round(requests * share);
  return {
    legacy: drawLatencies(requests - moved, 1_000, 0.6, random),
    candidate: drawLatencies(moved, 1_000 * factor, 0.6, random),
  };
}

function mergeSamples(a: ArmSamples, b: ArmSamples): ArmSamples {
  return {
    legacy: mergeHistograms([a.legacy, b.legacy]),
    candidate: mergeHistograms([a.candidate, b.candidate]),
  };
}

/** The wrong order: every x has a start that rejects it, so the minimum of the means lies far above 1. */
function meanBeforeMinimum({ p, margin }: QuantileMargin, state: DetectorState<ArmSamples>): number {
  const { logWeights } = detectorWeights(state);
  const since = state.segments.map((_, start) =>
    state.segments
      .slice(start)
      .map((segment) => segment.evidence)
      .reduce(mergeSamples),
  );
  const candidateBelow = rateBelow(p, { mean: 0.93, strength: 100 });
  const legacyAbove = rateAbove(p, { mean: 0.96, strength: 300 });
  const atOrBelow = (histogram: Histogram, bound: number) => {
    const { successes, trials } = countsAbove(bound, histogram);
    return [trials - successes, trials] as const;
  };
  const means = Array.from({ length: 1_200 }, (_, step) => {
    const x = 10 * GAMMA ** step;
    return logSumExp(
      since.map(
        ({ legacy, candidate }, start) =>
          (logWeights[start] ?? 0) +
          candidateBelow(...atOrBelow(candidate, x)) +
          legacyAbove(...atOrBelow(legacy, x / (1 + margin))),
      ),
    );
  });
  return Math.min(...means);
}

/** As many values of a shape as a part of 200,000 is, each multiplied by a factor. */
function sized({ buckets }: Histogram, part: number, factor: number): Histogram {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  const shift = Math.round(Math.log(factor) / Math.log(GAMMA));
  const counts = buckets.map(([bucket, count]) => {
    return [bucket + shift, Math.round((200_000 * part * count) / total)] as const;
  });
  return { zero: 0, buckets: counts.filter(([, count]) => count > 0) };
}
