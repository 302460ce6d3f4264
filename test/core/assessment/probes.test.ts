import { probeKindAfter, probeKindsOf } from '../../../src/core/assessment/probe-rotation';
import { probeSummary, withProbe } from '../../../src/core/assessment/probe-streak';
import { NO_PROBES } from '../../../src/core/gates/verdict';

const ALL = { embeddings: true, features: ['tools', 'jsonSchema', 'longContext'] } as const;

it('probes each feature in turn, the costly long context once in sixty', () => {
  const kinds = Array.from({ length: 240 }, (_, index) => probeKindAfter(ALL, index));
  const count = (kind: string) => kinds.filter((each) => each === kind).length;
  expect(kinds[0]).toBe('longContext');
  expect(count('longContext')).toBe(4);
  for (const kind of ['plain', 'stream', 'embeddings', 'tools', 'jsonSchema']) {
    expect(count(kind)).toBeGreaterThanOrEqual(44);
  }
});

it('probes plain and streamed answers where nothing else is used, plans of older releases included', () => {
  expect(probeKindsOf({ embeddings: false })).toEqual(['plain', 'stream']);
  expect([0, 1, 2].map((index) => probeKindAfter({ embeddings: false, features: [] }, index))).toEqual([
    'plain',
    'stream',
    'plain',
  ]);
  expect(probeKindsOf({ embeddings: true, features: ['embeddings'] })).toEqual([
    'plain',
    'stream',
    'embeddings',
  ]);
});

it('sums a canary test up: count, errors, mean, p50, p95', () => {
  const latencies = Array.from({ length: 100 }, (_, index) => 10 + index);
  const passed = latencies.reduce(
    (streak, latencyMs) => withProbe(streak, { ok: true, latencyMs }),
    NO_PROBES,
  );
  const streak = withProbe(passed, { ok: false, latencyMs: 30_000 });
  expect(streak).toMatchObject({ probes: 101, failures: 1, failedInARow: 1, passedInARow: 0 });
  expect(streak.meanMs).toBeCloseTo(59.5);
  expect(Math.abs((streak.p50Ms ?? 0) / 60 - 1)).toBeLessThan(0.035);
  expect(Math.abs((streak.p95Ms ?? 0) / 105 - 1)).toBeLessThan(0.035);
  expect(probeSummary(streak)).toMatch(/^101 probes, 1 error, mean 60 ms, p50 \d\d ms, p95 10\d ms$/);
  expect(probeSummary(NO_PROBES)).toBe('0 probes, no errors');
});

it('stays small over a fortnight of probes', () => {
  let streak = NO_PROBES;
  for (let index = 0; index < 20_000; index += 1) {
    streak = withProbe(streak, { ok: true, latencyMs: 5 * 1.0005 ** (index % 12_000) });
  }
  expect(JSON.stringify(streak).length).toBeLessThan(1_000);
});
