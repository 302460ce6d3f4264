import { type Evidence, mergeEvidence, sumCells } from '../../../src/core/evidence/evidence';
import {
  latencyShape,
  rehearse,
  seededRandom,
  type TrafficModel,
} from '../../../src/core/rehearsal/rehearsal';
import { histogramCount, quantile } from '../../../src/core/statistics/histogram';

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
    const rate = (arm: 'legacy' | 'candidate') => {
      const cell = sumCells(after, (other) => other.side === arm);
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

describe('traffic as it is', () => {
  const calm = { level: 1, failureRate: 0, volume: 1 };
  const of = (evidence: Evidence, arm: 'legacy' | 'candidate') =>
    sumCells(evidence, (cell) => cell.side === arm);
  const plainMedian = (evidence: Evidence) => {
    const plain = sumCells(evidence, ({ side, shape }) => side === 'legacy' && shape === 'plain');
    return quantile(plain?.totalMs ?? { zero: 0, buckets: [] }, 0.5) ?? 0;
  };

  it('sends everything to legacy while leases have lapsed', () => {
    const conditions = (window: number) => ({ ...calm, lapsed: window === 1 });
    const [before, lapsed] = draw({ ...MODEL, conditions }, 2) as [Evidence, Evidence];
    expect(of(before, 'candidate')?.attempts).toBeGreaterThan(300);
    expect(of(lapsed, 'candidate')).toBeNull();
    expect(of(lapsed, 'legacy')?.attempts).toBe(2_000);
  });

  it('takes three times as long for long prompts', () => {
    const [none, all] = draw({ ...MODEL, conditions: (window) => ({ ...calm, long: window }) }, 2);
    const ratio = plainMedian(all as Evidence) / plainMedian(none as Evidence);
    expect(ratio).toBeGreaterThan(2.8);
    expect(ratio).toBeLessThan(3.2);
  });

  it('sends failed requests again with their key, so that they stay in their arm', () => {
    const keys = { keys: 500, skew: 0, failingKeys: 0.02, failingRate: 1, episodes: 0 };
    const failures = (retried: number) => {
      const all = mergeEvidence(draw({ ...MODEL, keys, retried }, 3), 7);
      return all.buckets.legacy.concat(all.buckets.candidate).reduce((sum, [, , failed]) => sum + failed, 0);
    };
    expect(failures(0.8)).toBeGreaterThan(2 * failures(0));
  });

  it('gives each model its part of the requests', () => {
    const all = mergeEvidence(draw({ ...MODEL, models: [0.7, 0.2, 0.1] }, 3), 7);
    const parts = ['rehearsed', 'rehearsed-2', 'rehearsed-3'].map(
      (name) => (sumCells(all, ({ model }) => model === name)?.attempts ?? 0) / 6_000,
    );
    expect(parts.map((part) => Math.round(part * 20) / 20)).toEqual([0.7, 0.2, 0.1]);
  });
});
