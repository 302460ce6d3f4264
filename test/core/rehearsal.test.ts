import { type Evidence, mergeEvidence, sumCells } from '../../src/core/evidence';
import { histogramCount, quantile } from '../../src/core/histogram';
import { latencyShape, rehearse, seededRandom, type TrafficModel } from '../../src/core/rehearsal';

const MODEL: TrafficModel = {
  share: 0.2,
  requestsPerWindow: 2_000,
  streamShare: 0.25,
  totalMs: latencyShape(1_000, 3_000),
  firstTokenMs: latencyShape(300, 600),
  legacy: { failureRate: 0.01, latencyFactor: 1 },
  candidate: (window) => ({ failureRate: window < 3 ? 0.01 : 0.2, latencyFactor: window < 3 ? 1 : 2 }),
  keys: null,
};

function draw(model: TrafficModel, windows: number, seed = 1): Evidence[] {
  const source = rehearse(model, 7, seededRandom(seed));
  return Array.from({ length: windows }, () => source.next().value);
}

describe('rehearsed traffic', () => {
  it('is the same for the same seed and another for another', () => {
    expect(draw(MODEL, 3)).toEqual(draw(MODEL, 3));
    expect(draw(MODEL, 3, 1)).not.toEqual(draw(MODEL, 3, 2));
  });

  it('follows the share, the streams, the failure rates and the latencies of the model', () => {
    const before = mergeEvidence(draw(MODEL, 3), 7);
    const candidate = sumCells(before, (cell) => cell.side === 'candidate');
    const streams = sumCells(before, (cell) => cell.shape === 'stream');
    expect(candidate?.attempts).toBeGreaterThan(1_100);
    expect(candidate?.attempts).toBeLessThan(1_300);
    expect(streams?.attempts).toBeGreaterThan(1_380);
    expect(streams?.attempts).toBeLessThan(1_620);
    expect(histogramCount(streams?.firstTokenMs ?? { zero: 0, buckets: [] })).toBe(streams?.attempts);
    const plain = sumCells(before, (cell) => cell.shape === 'plain' && cell.side === 'legacy');
    expect(quantile(plain?.totalMs ?? { zero: 0, buckets: [] }, 0.5)).toBeGreaterThan(940);
    expect(quantile(plain?.totalMs ?? { zero: 0, buckets: [] }, 0.5)).toBeLessThan(1_060);
    expect(quantile(plain?.totalMs ?? { zero: 0, buckets: [] }, 0.95)).toBeGreaterThan(2_700);
    expect(quantile(plain?.totalMs ?? { zero: 0, buckets: [] }, 0.95)).toBeLessThan(3_300);
  });

  it('changes the candidate when the model says so, and legacy not', () => {
    const after = mergeEvidence(draw(MODEL, 6).slice(3), 7);
    const rate = (side: 'legacy' | 'candidate') => {
      const cell = sumCells(after, (other) => other.side === side);
      return 1 - (cell?.successes ?? 0) / (cell?.attempts ?? 1);
    };
    expect(rate('candidate')).toBeGreaterThan(0.15);
    expect(rate('legacy')).toBeLessThan(0.02);
    const slow = sumCells(after, (cell) => cell.side === 'candidate' && cell.shape === 'plain');
    expect(quantile(slow?.totalMs ?? { zero: 0, buckets: [] }, 0.5)).toBeGreaterThan(1_800);
  });

  it('keeps a key in its arm and bucket, and counts failures by bucket', () => {
    const keys = { keys: 40, skew: 1, failingKeys: 0.1, failingRate: 0.5, episodes: 0.01 };
    const evidence = mergeEvidence(draw({ ...MODEL, keys }, 4), 7);
    const buckets = [...evidence.buckets.legacy, ...evidence.buckets.candidate];
    expect(buckets.length).toBeLessThanOrEqual(40);
    const all = sumCells(evidence, () => true);
    expect(buckets.reduce((sum, [, requests]) => sum + requests, 0)).toBe(all?.attempts);
    expect(buckets.reduce((sum, [, , failures]) => sum + failures, 0)).toBe(all?.failures.status_5xx);
  });

  it.each([
    ['no latencies to draw from', () => draw({ ...MODEL, totalMs: { zero: 0, buckets: [] } }, 1)],
    [
      'no keys',
      () => draw({ ...MODEL, keys: { keys: 0, skew: 1, failingKeys: 0, failingRate: 0, episodes: 0 } }, 1),
    ],
    ['a p95 below the median', () => latencyShape(100, 90)],
  ])('refuses %s', (_, call) => {
    expect(call).toThrow(RangeError);
  });
});
