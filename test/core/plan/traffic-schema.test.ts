import { InvalidDocument } from '../../../src/core/configuration/schema-parts';
import { ASSUMED_TRAFFIC } from '../../../src/core/plan/traffic';
import { readTraffic } from '../../../src/core/plan/traffic-schema';
import { GAMMA, histogramCount, quantile } from '../../../src/core/statistics/histogram';
import { aCell, evidenceOf } from '../../support/migrations/gate-evidence';

const read = (value: unknown) => readTraffic(value, 'traffic.json');

function problem(value: unknown): string {
  try {
    read(value);
  } catch (error) {
    if (error instanceof InvalidDocument)
      return error.problems.map(({ path, message }) => `${path}: ${message}`).join();
    throw error;
  }
  return 'none';
}

it('reads what a person writes, and assumes the rest', () => {
  const traffic = read({ requestsPerDay: 300, failureRate: 0.02, totalMs: { p50Ms: 500, p95Ms: 900 } });
  expect(traffic).toMatchObject({
    requestsPerDay: 300,
    failureRate: 0.02,
    streamShare: ASSUMED_TRAFFIC.streamShare,
  });
  expect(quantile(traffic.totalMs, 0.5)).toBeCloseTo(500, -1);
});

it("reads an assess report's rate, errors, streams and histograms", () => {
  const histogram = {
    zero: 0,
    buckets: [
      [700, 10],
      [690, 90],
    ],
  };
  const traffic = read({
    usage: {
      window: { days: 4 },
      totals: { calls: 1_000, failed: 10 },
      features: [{ feature: 'streaming', calls: 250 }],
      latencyMs: { histogram },
      firstTokenMs: null,
    },
  });
  expect(traffic).toMatchObject({ requestsPerDay: 250, failureRate: 0.01, streamShare: 0.25 });
  expect(traffic.totalMs.buckets).toEqual([
    [690, 90],
    [700, 10],
  ]);
  expect(traffic.firstTokenMs).toBe(ASSUMED_TRAFFIC.firstTokenMs);
});

it('assumes what an assess report does not know', () => {
  const nothing = { latencyMs: null, firstTokenMs: null, features: [{ feature: 'streaming', calls: null }] };
  const traffic = read({ usage: { window: { days: 4 }, totals: { calls: null, failed: null }, ...nothing } });
  const { requestsPerDay, failureRate, streamShare, totalMs } = ASSUMED_TRAFFIC;
  expect(traffic).toMatchObject({ requestsPerDay, failureRate, streamShare, totalMs });
});

it("reads a gateway's evidence: legacy's arm, and latencies only of enough answers", () => {
  const latencies = { zero: 0, buckets: [[600, 400] as const] };
  const evidence = evidenceOf([
    aCell('legacy', { requests: 400, failures: 4, latencies }),
    aCell('legacy', { requests: 40, shape: 'stream', latencies: { zero: 0, buckets: [[500, 40]] } }),
    aCell('candidate', { requests: 100, failures: 50 }),
  ]);
  for (const value of [evidence, { incarnation: 'i', cursor: 'c', evidence }]) {
    const traffic = read(value);
    expect(traffic.failureRate).toBeCloseTo(4 / 440, 9);
    expect(traffic.streamShare).toBeCloseTo(40 / 440, 9);
    expect(histogramCount(traffic.totalMs)).toBe(400);
    expect(traffic.firstTokenMs).toBe(ASSUMED_TRAFFIC.firstTokenMs);
  }
});

it.each([
  [
    'histograms of another gamma',
    { totalMs: { gamma: 1.02, buckets: [[1, 1]] } },
    /expected a histogram of gamma 1\.01005/,
  ],
  [
    'counters that go backwards',
    { totalMs: { gamma: GAMMA, buckets: [[1, -1]] } },
    /counters only grow.*got -1/,
  ],
  [
    'evidence with negative counters',
    { epoch: 1, cells: [{ ...aCell('legacy', { requests: 1 }), attempts: -2 }] },
    /cells\[0\]\.attempts: .*counters only grow.*got -2/,
  ],
  ['a rate of one', { failureRate: 1 }, /failureRate: expected a rate below 1, got 1/],
  ['no requests', { requestsPerDay: 0 }, /requestsPerDay: expected a number above 0, got 0/],
  ['a p95 below the median', { totalMs: { p50Ms: 9, p95Ms: 3 } }, /totalMs: expected p95Ms above p50Ms/],
  ['an unknown field', { requestPerDay: 3 }, /requestPerDay: unknown field/],
  ['a text', 'lots', /expected an object, got "lots"/],
])('refuses %s', (_name, value, sentence) => {
  expect(problem(value)).toMatch(sentence);
});

it('reads the kind of traffic, and the part of each model', () => {
  const traffic = read({ kind: 'as it is', models: { large: 0.7, small: 0.3 } });
  expect(traffic).toMatchObject({ kind: 'as it is', models: [0.7, 0.3] });
});

it.each([
  [{ kind: 'sunny' }, /^kind: expected one of days, weekend, .*as it is, got "sunny"$/],
  [{ kind: 3 }, /^kind: expected one of days, .*, got 3$/],
  [
    { models: { large: 0.7, small: 0.2 } },
    'models: expected parts of the requests that add up to 1, got 0.9',
  ],
  [
    { models: { large: 1.2 } },
    'models.large: expected a part of the requests above 0 and at most 1, got 1.2',
  ],
  [
    { models: { large: 0, small: 1 } },
    'models.large: expected a part of the requests above 0 and at most 1, got 0',
  ],
  [{ models: {} }, 'models: expected parts of the requests that add up to 1, got 0'],
  [{ streamShare: 40 }, 'streamShare: expected a part of the requests from 0 to 1, got 40'],
  [{ streamShare: -0.1 }, 'streamShare: expected a part of the requests from 0 to 1, got -0.1'],
  [{ failureRate: 2 }, 'failureRate: expected a rate below 1, got 2'],
  [{ requestsPerDay: 0 }, 'requestsPerDay: expected a number above 0, got 0'],
  [{ requestsPerDay: 'many' }, 'requestsPerDay: expected a number, got "many"'],
])('names what is wrong in %j', (value, expected) => {
  expect(problem(value)).toMatch(expected);
});
