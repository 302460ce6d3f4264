import fc from 'fast-check';
import { failureCount, mergeEvidence, noEvidence, sumCells } from '../../../src/core/evidence/evidence';
import { bucketOf, histogramCount, histogramOf, quantile } from '../../../src/core/statistics/histogram';
import type { SeenAnswer } from '../../../src/gateway/evidence/answer-tally';
import type { Observation } from '../../../src/gateway/evidence/evidence-cell';
import { EvidenceStore, UnknownCursor } from '../../../src/gateway/evidence/evidence-store';
import { observation } from '../../support/gateways/gateway-fixture';

const INCARNATION = 'inc-1';
const KEPT: SeenAnswer = { judgement: 'kept', end: 'stop', model: null, fingerprint: null };

function store(): EvidenceStore {
  return new EvidenceStore(INCARNATION);
}

function attempts(evidence: ReturnType<EvidenceStore['read']>['evidence']): number {
  return evidence.cells.reduce((sum, cell) => sum + cell.attempts, 0);
}

describe('evidence', () => {
  it('of nothing is empty, under any epoch', () => {
    expect(store().read(3).evidence).toEqual(noEvidence(3));
  });

  it('tells how many requests to the candidate failed in a row', () => {
    const it = store();
    const streak = () => it.read(1).candidateFailureStreak;
    it.record(observation({ outcome: 'status_5xx' }));
    it.record(observation({ outcome: 'reset' }));
    it.record(observation({ outcome: 'shed' }));
    // What was never sent, callers who went away and mirrored requests say nothing, and legacy's answers are legacy's.
    it.record(observation({ outcome: 'aborted' }));
    it.record(observation({ kind: 'shadow' }));
    it.record(observation({ side: 'legacy' }));
    expect(streak()).toBe(2);
    it.record(observation({}));
    expect(streak()).toBe(0);
    expect(it.read(2).candidateFailureStreak).toBe(0);
  });

  it('counts what live answers took, by arm and key, and those of which it is not known', () => {
    const it = store();
    for (let index = 0; index < 64; index += 1) {
      it.record(observation({ side: 'legacy', bucket: 1, tokensOut: 100, costUsd: 0.0001 }));
    }
    const { cursor } = it.read(1);
    it.record(observation({ bucket: 7, tokensOut: 300, costUsd: 0.0003 }));
    it.record(observation({ bucket: 7, tokensOut: 50, costUsd: null }));
    it.record(observation({ tokensIn: 0, tokensOut: 0, costUsd: null }));
    // Of what failed, and of copies, nothing is counted.
    it.record(observation({ outcome: 'status_5xx', tokensOut: 9 }));
    it.record(observation({ kind: 'shadow', tokensOut: 9 }));
    const { evidence } = it.read(1, cursor);
    expect(evidence.spending).toEqual([
      {
        measure: 'cost',
        legacy: { values: histogramOf([]), unknown: 0, buckets: [] },
        candidate: { values: histogramOf([300]), unknown: 2, buckets: [[7, 1, 1, 1]] },
      },
      {
        measure: 'outputTokens',
        legacy: { values: histogramOf([]), unknown: 0, buckets: [] },
        candidate: { values: histogramOf([50, 300]), unknown: 1, buckets: [[7, 2, 1, 1]] },
      },
    ]);
    const others = new EvidenceStore('other');
    others.merge({ evidence, candidateFailureStreak: 0, candidateSucceeded: true });
    expect(others.read(1).evidence.spending).toEqual(evidence.spending);
    const twice = mergeEvidence([evidence, evidence], 1).spending;
    expect(twice?.[1]?.candidate).toMatchObject({ unknown: 2, buckets: [[7, 4, 2, 2]] });
    expect(it.read(1, it.read(1).cursor).evidence.spending).toBeUndefined();
  });

  it('counts each outcome, token, cost and time where it belongs', () => {
    const it = store();
    it.record(observation({ totalMs: 120 }));
    it.record(observation({ outcome: 'status_5xx', totalMs: 40, retry: true, costUsd: null }));
    it.record(observation({ outcome: 'aborted', totalMs: 900 }));
    const [cell, ...others] = it.read(1).evidence.cells;
    expect(others).toEqual([]);
    expect(cell).toMatchObject({
      side: 'candidate',
      attempts: 3,
      successes: 1,
      aborted: 1,
      retries: 1,
      failures: { status_5xx: 1 },
      tokensIn: 30,
      costLog: { count: 2 },
    });
    expect(cell?.totalMs).toEqual(histogramOf([120, 40, 900]));
  });

  it('keeps streams and plain answers, arms and kinds apart', () => {
    const it = store();
    it.record(observation());
    it.record(observation({ shape: 'stream' }));
    it.record(observation({ side: 'legacy' }));
    it.record(observation({ kind: 'failover' }));
    expect(it.read(1).evidence.cells).toHaveLength(4);
  });

  it('lets a stream without a first token wait at least as long as it did', () => {
    const it = store();
    it.record(observation({ shape: 'stream', firstTokenMs: 200, interTokenMs: [10, 20] }));
    it.record(observation({ shape: 'stream', outcome: 'timeout', totalMs: 60_000 }));
    const [cell] = it.read(1).evidence.cells;
    expect(cell?.firstTokenMs).toEqual(histogramOf([200, 60_000]));
    expect(cell?.interTokenMs).toEqual(histogramOf([10, 20]));
    expect(histogramCount(cell?.totalMs ?? { zero: 0, buckets: [] })).toBe(0);
  });

  it('counts what was shed as a failure, but not as a fast answer', () => {
    const it = store();
    it.record(observation({ outcome: 'shed', totalMs: 0 }));
    const [cell] = it.read(1).evidence.cells;
    expect(cell).toMatchObject({ attempts: 1, failures: { shed: 1 }, totalMs: { zero: 0, buckets: [] } });
  });

  it('counts live requests in the bucket of their key, on their side', () => {
    const it = store();
    it.record(observation({ bucket: 255 }));
    it.record(observation({ bucket: 255, outcome: 'reset' }));
    it.record(observation({ bucket: 0, side: 'legacy' }));
    it.record(observation({ bucket: 7, kind: 'failover' }));
    expect(it.read(1).evidence.buckets).toEqual({
      legacy: [[0, 1, 0, 0, 0, 0, 0]],
      candidate: [[255, 2, 1, 0, 0, 0, 0]],
    });
  });

  it('counts by bucket what is slower than the median and the p95 of legacy in its stratum', () => {
    const it = store();
    for (let ms = 1; ms <= 100; ms += 1) it.record(observation({ side: 'legacy', bucket: 1, totalMs: ms }));
    const before = it.read(1).cursor;
    for (const totalMs of [20, 50, 2_000]) it.record(observation({ bucket: 9, totalMs }));
    it.record(observation({ bucket: 9, totalMs: 5_000, model: 'another' }));
    it.record(observation({ bucket: 9, outcome: 'shed', totalMs: 5_000 }));
    expect(it.read(1, before).evidence.buckets.candidate).toEqual([[9, 4, 0, 2, 1, 0, 0]]);
  });

  it('counts answers by what was found of them, in their cell and in the bucket of their key', () => {
    const it = store();
    for (const judgement of ['kept', 'unchecked', 'cut', 'cut', 'tool_schema'] as const) {
      it.record(observation({ bucket: 9, answer: { ...KEPT, judgement } }));
    }
    it.record(observation({ bucket: 9, answer: null }));
    it.record(observation({ bucket: 9, kind: 'shadow', answer: { ...KEPT, judgement: 'empty' } }));
    const { cells, buckets } = it.read(1).evidence;
    expect(cells.find(({ kind }) => kind === 'live')?.answers).toEqual({
      checked: 4,
      unchecked: 1,
      breaches: { cut: 2, tool_schema: 1 },
      ends: { stop: 5 },
    });
    expect(cells.find(({ kind }) => kind === 'shadow')?.answers?.breaches).toEqual({ empty: 1 });
    expect(buckets.candidate).toEqual([[9, 6, 0, 0, 0, 4, 3]]);
  });

  it('counts a judgement that comes late under its own epoch, and gives it to who has read the request', () => {
    const it = store();
    it.record(observation({ bucket: 9 }));
    const { cursor } = it.read(1);
    it.record(observation({ epoch: 2, bucket: 9 }));
    const { epoch, side, kind, shape, model, bucket } = observation({ bucket: 9 });
    const answer = { ...KEPT, judgement: 'json_schema' } as const;
    it.recordAnswer({ epoch, side, kind, shape, model, bucket, answer });
    const { cells, buckets } = it.read(1, cursor).evidence;
    expect(cells[0]).toMatchObject({ attempts: 0, answers: { checked: 1, breaches: { json_schema: 1 } } });
    expect(buckets.candidate).toEqual([[9, 0, 0, 0, 0, 1, 1]]);
    expect(it.read(2).evidence.cells[0]?.answers).toMatchObject({ checked: 0, breaches: {} });
  });

  it('counts the models that answers name, and how often the fingerprint was another one', () => {
    const it = store();
    const names = ['m-1', 'm-1', 'm-2', 'not a name', `m${'x'.repeat(200)}`];
    names.forEach((model, index) => {
      it.record(observation({ answer: { ...KEPT, model, fingerprint: index < 2 ? 'fp_1' : 'fp_2' } }));
    });
    it.record(observation({ side: 'legacy', answer: { ...KEPT, model: 'm-9', fingerprint: 'fp_9' } }));
    const { cells } = it.read(1).evidence;
    const cell = cells.find(({ side }) => side === 'candidate');
    expect(cell?.echoed).toEqual([
      { model: 'm-1', count: 2 },
      { model: 'other', count: 2 },
      { model: 'm-2', count: 1 },
    ]);
    expect(cell?.fingerprintChanges).toBe(1);
    expect(cells.find(({ side }) => side === 'legacy')?.fingerprintChanges).toBe(0);
  });

  it('survives values that are no times at all', () => {
    const it = store();
    for (const totalMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300, 1e-300]) {
      it.record(observation({ totalMs }));
    }
    const [cell] = it.read(1).evidence.cells;
    expect(histogramCount(cell?.totalMs ?? { zero: 0, buckets: [] })).toBe(6);
  });

  it('pools models beyond the tenth stratum and names them', () => {
    const it = store();
    for (let index = 0; index < 14; index += 1) it.record(observation({ model: `m-${index}` }));
    it.record(observation({ model: 'm-3' }));
    const { cells, pooled } = it.read(1).evidence;
    expect(cells.map(({ model }) => model)).toHaveLength(11);
    expect(cells.find(({ model }) => model === 'other')?.attempts).toBe(4);
    expect(pooled).toEqual(['m-10', 'm-11', 'm-12', 'm-13']);
  });

  it('of the last four epochs is kept; a straggler of an older one is dropped', () => {
    const it = store();
    for (const epoch of [1, 2, 3, 4, 5]) it.record(observation({ epoch }));
    it.record(observation({ epoch: 1 }));
    expect([1, 2, 3, 4, 5].map((epoch) => attempts(it.read(epoch).evidence))).toEqual([0, 1, 1, 1, 1]);
  });
});

describe('cursors', () => {
  it('give what came after them, and may be read again without loss', () => {
    const it = store();
    it.record(observation({ totalMs: 5 }));
    const first = it.read(1);
    it.record(observation({ totalMs: 700 }));
    const second = it.read(1, first.cursor);
    expect(attempts(second.evidence)).toBe(1);
    expect(second.evidence.cells[0]?.totalMs).toEqual(histogramOf([700]));
    it.record(observation());
    expect(attempts(it.read(1, first.cursor).evidence)).toBe(2);
    expect(attempts(it.read(1, second.cursor).evidence)).toBe(1);
  });

  it('of another incarnation are answered with all that this one has seen', () => {
    const it = store();
    it.record(observation());
    expect(attempts(it.read(1, 'inc-0:1:4').evidence)).toBe(1);
  });

  it('that were never given out, or belong to another epoch, are refused', () => {
    const it = store();
    const { cursor } = it.read(1);
    expect(() => it.read(1, `${INCARNATION}:1:99`)).toThrow(UnknownCursor);
    expect(() => it.read(2, cursor)).toThrow(UnknownCursor);
  });

  it('are forgotten when 32 others were used since, and kept for as long as they are used', () => {
    const it = store();
    const used = it.read(1).cursor;
    const unused = it.read(1).cursor;
    for (let index = 0; index < 40; index += 1) it.read(1, used);
    expect(it.read(1, used).cursor).not.toBe(used);
    expect(() => it.read(1, unused)).toThrow(UnknownCursor);
  });
});

const answers: fc.Arbitrary<SeenAnswer> = fc.record({
  judgement: fc.constantFrom('kept', 'unchecked', 'empty', 'tool_schema'),
  end: fc.constantFrom('stop', 'length', null),
  model: fc.constantFrom('a', 'b', null),
  fingerprint: fc.constant(null),
});
const observations = fc.array(
  fc.record({
    side: fc.constantFrom('legacy', 'candidate'),
    kind: fc.constantFrom('live', 'shadow', 'failover'),
    shape: fc.constantFrom('plain', 'stream'),
    model: fc.constantFrom('a', 'b', 'c'),
    outcome: fc.constantFrom('success', 'aborted', 'timeout', 'status_429', 'shed'),
    totalMs: fc.double({ min: 0, max: 100_000, noNaN: true }),
    bucket: fc.option(fc.integer({ min: 0, max: 255 })),
    costUsd: fc.constant(null),
    answer: fc.option(answers),
  }) as fc.Arbitrary<Partial<Observation>>,
  { maxLength: 60 },
);

describe('differences', () => {
  it('between cursors add up to the whole, wherever one reads', () => {
    fc.assert(
      fc.property(fc.array(observations, { maxLength: 6 }), (batches) => {
        const it = store();
        const parts = [];
        let cursor: string | undefined;
        for (const batch of batches) {
          for (const seen of batch) it.record(observation(seen));
          const reading = it.read(1, cursor);
          parts.push(reading.evidence);
          cursor = reading.cursor;
        }
        expect(mergeEvidence(parts, 1)).toEqual(mergeEvidence([it.read(1).evidence], 1));
      }),
    );
  });

  it('of several gateways merge into what one gateway would have seen', () => {
    fc.assert(
      fc.property(fc.array(observations, { minLength: 1, maxLength: 4 }), (shares) => {
        const one = store();
        const parts = shares.map((share) => {
          const own = store();
          for (const seen of share) {
            own.record(observation(seen));
            one.record(observation(seen));
          }
          return own.read(1).evidence;
        });
        expect(mergeEvidence(parts, 1)).toEqual(mergeEvidence([one.read(1).evidence], 1));
      }),
    );
  });
});

describe('a busy route', () => {
  it('has its quantiles within half a percent', () => {
    const it = store();
    const times = Array.from({ length: 10_000 }, (_, index) => 50 + (index % 997));
    for (const totalMs of times) it.record(observation({ totalMs }));
    const cell = sumCells(it.read(1).evidence, ({ side }) => side === 'candidate');
    const sorted = [...times].sort((a, b) => a - b);
    const exact = sorted[Math.floor(0.95 * sorted.length)] as number;
    expect(Math.abs((quantile(cell?.totalMs ?? histogramOf([]), 0.95) ?? 0) / exact - 1)).toBeLessThan(
      0.0051,
    );
    expect(cell === null ? -1 : failureCount(cell)).toBe(0);
    expect(bucketOf(50)).toBeLessThan(bucketOf(1_000));
  });
});
