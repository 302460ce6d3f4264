import fc from 'fast-check';
import {
  EMPTY_HISTOGRAM,
  histogramCount,
  histogramOf,
  mergeHistograms,
  quantile,
} from '../../../src/core/statistics/histogram';

const value = fc.oneof(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), fc.constant(0));
const values = fc.array(value, { maxLength: 200 });

it('keeps every value within half a percent', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), (one) => {
      const held = quantile(histogramOf([one]), 0.5) ?? Number.NaN;
      expect(Math.abs(held / one - 1)).toBeLessThanOrEqual(0.005 + 1e-9);
    }),
  );
});

it('gives quantiles within half a percent of those of the values', () => {
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (all, p) => {
        const sorted = all.toSorted((a, b) => a - b);
        const exact = sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] as number;
        const estimated = quantile(histogramOf(all), p) ?? Number.NaN;
        expect(Math.abs(estimated - exact)).toBeLessThanOrEqual(exact * (0.005 + 1e-9));
      },
    ),
  );
});

it('merges in any order and grouping to the histogram of all values', () => {
  fc.assert(
    fc.property(values, values, values, (a, b, c) => {
      const [one, two, three] = [histogramOf(a), histogramOf(b), histogramOf(c)];
      const all = histogramOf([...a, ...b, ...c]);
      expect(mergeHistograms([one, two, three])).toEqual(all);
      expect(mergeHistograms([three, mergeHistograms([two, one])])).toEqual(all);
      expect(mergeHistograms([all, EMPTY_HISTOGRAM])).toEqual(all);
      expect(histogramCount(all)).toBe(a.length + b.length + c.length);
    }),
  );
});

it('holds pairs above 0, sorted, that JSON keeps', () => {
  fc.assert(
    fc.property(values, (all) => {
      const histogram = histogramOf(all);
      const indices = histogram.buckets.map(([bucket]) => bucket);
      expect(indices).toEqual([...new Set(indices)].sort((a, b) => a - b));
      expect(histogram.buckets.every(([, count]) => count > 0)).toBe(true);
      expect(JSON.parse(JSON.stringify(histogram))).toEqual(histogram);
    }),
  );
});

it('has no quantile of nothing, and counts what is not above 0 as 0', () => {
  expect(quantile(EMPTY_HISTOGRAM, 0.95)).toBeNull();
  expect(quantile(histogramOf([0, -5]), 0.95)).toBe(0);
});
