import { exceedsFixedThreshold, mannWhitneyZ } from '../../bench/naive-gates';
import { seededRandom } from '../../src/core/rehearsal/rehearsal';
import { histogramOf } from '../../src/core/statistics/histogram';
import type { ArmSamples } from '../../src/core/statistics/quantile-ratio';
import { drawLatencies, mostFalseDecisions } from '../support/statistics-draws';

describe('the gates that ours are compared with', () => {
  it('compute the Mann-Whitney z score of a textbook example, ties included', () => {
    // U = 4 + 5 + 5 - ties: legacy 1 2 3 4 5, candidate 2 4 6; U = 0.5+1 + 3+0.5 + 5 = 10 of 15.
    const samples = { legacy: histogramOf([1, 2, 3, 4, 5]), candidate: histogramOf([2, 4, 6]) };
    const variance = (15 / 12) * (9 - (2 * (2 ** 3 - 2)) / (8 * 7));
    expect(mannWhitneyZ(samples)).toBeCloseTo((10 - 7.5) / Math.sqrt(variance), 12);
    expect(mannWhitneyZ({ legacy: histogramOf([]), candidate: histogramOf([1]) })).toBe(0);
  });

  it('raise many false alarms when a Mann-Whitney test is looked at again and again', () => {
    let rejected = 0;
    for (let run = 0; run < 150; run += 1) {
      const random = seededRandom(run);
      let samples: ArmSamples = { legacy: histogramOf([]), candidate: histogramOf([]) };
      for (let look = 0; look < 25; look += 1) {
        samples = {
          legacy: merged(samples.legacy, drawLatencies(30, 1_000, 0.6, random)),
          candidate: merged(samples.candidate, drawLatencies(30, 1_000, 0.6, random)),
        };
        if (mannWhitneyZ(samples) < 1.645) continue;
        rejected += 1;
        break;
      }
    }
    expect(rejected).toBeGreaterThan(mostFalseDecisions(150, 0.05));
  });

  it('compare observed rates with a threshold and nothing else', () => {
    const arms = (legacy: number, candidate: number) => ({
      legacy: { events: legacy, requests: 900 },
      candidate: { events: candidate, requests: 100 },
    });
    expect(exceedsFixedThreshold(arms(9, 2), 1.5)).toBe(true);
    expect(exceedsFixedThreshold(arms(9, 1), 1.5)).toBe(false);
    expect(exceedsFixedThreshold({ ...arms(9, 1), candidate: { events: 0, requests: 0 } }, 1.5)).toBe(false);
  });
});

function merged(a: ArmSamples['legacy'], b: ArmSamples['legacy']): ArmSamples['legacy'] {
  const counts = new Map(a.buckets.map(([bucket, count]) => [bucket, count]));
  for (const [bucket, count] of b.buckets) counts.set(bucket, (counts.get(bucket) ?? 0) + count);
  return { zero: 0, buckets: [...counts].sort((x, y) => x[0] - y[0]) };
}
