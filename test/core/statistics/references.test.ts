import { rateAbove, rateBelow, rateDiffers } from '../../../src/core/statistics/beta-binomial';
import { GAMMA, histogramOf } from '../../../src/core/statistics/histogram';
import { logBeta, logBetaTails } from '../../../src/core/statistics/incomplete-beta';
import { quantileExceeds, quantileWithin } from '../../../src/core/statistics/quantile-ratio';
import references from './references.json';

type Pairs = [number, number][];

describe('the statistics agree with published implementations', () => {
  test.each(references.tails)('beta tails at x $x, a $a, b $b with mpmath', ({ x, a, b, ...expected }) => {
    const { lower, upper } = logBetaTails(x, a, b);
    expect(relativeError(logBeta(a, b), expected.logBeta)).toBeLessThan(1e-13);
    expect(relativeError(lower, expected.lower)).toBeLessThan(1e-8);
    expect(relativeError(upper, expected.upper)).toBeLessThan(1e-8);
  });

  test.each(references.rates)('evidence of $successes of $trials at $bound with mpmath', (reference) => {
    const { successes, trials, bound, prior } = reference;
    expect(rateAbove(bound, prior)(successes, trials)).toBeCloseTo(reference.above, 8);
    expect(rateBelow(bound, prior)(successes, trials)).toBeCloseTo(reference.below, 8);
  });

  test.each(references.confseq)('evidence of $successes of $trials at $bound with confseq', (reference) => {
    const { successes, trials, bound, prior } = reference;
    const process = reference.oneSided ? rateAbove(bound, prior) : rateDiffers(bound, prior);
    expect(process(successes, trials)).toBeCloseTo(reference.logEvidence, 6);
  });

  test.each(references.quantiles)('p$p $direction margin $margin with mpmath, cell by cell', (reference) => {
    const samples = {
      legacy: { zero: 0, buckets: reference.legacy as Pairs },
      candidate: { zero: 0, buckets: reference.candidate as Pairs },
    };
    const judge = reference.direction === 'exceeds' ? quantileExceeds : quantileWithin;
    expect(judge(reference, samples)).toBeCloseTo(reference.logEvidence, 6);
  });

  it('counts histograms by the same buckets as the reference script', () => {
    expect(GAMMA).toBe(1.005 / 0.995);
    expect(histogramOf([1000]).buckets[0]?.[0]).toBe(Math.ceil(Math.log(1000) / Math.log(1.005 / 0.995)));
  });
});

function relativeError(actual: number, expected: number): number {
  return Math.abs(actual - expected) / Math.max(1e-9, Math.abs(expected));
}
