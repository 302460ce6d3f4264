import fc from 'fast-check';
import {
  type Evidence,
  type EvidenceCell,
  emptyCell,
  failureCount,
  mergeEvidence,
  noEvidence,
  sumCells,
} from '../../../src/core/evidence/evidence';
import { histogramCount, histogramOf } from '../../../src/core/statistics/histogram';

const EPOCH = 4;
const count = fc.nat(1_000);
/** Whole numbers: sums of fractions depend on their order in the last bit, sums of counts do not. */
const cell: fc.Arbitrary<EvidenceCell> = fc
  .record({
    side: fc.constantFrom('legacy' as const, 'candidate' as const),
    kind: fc.constantFrom('live' as const, 'probe' as const),
    shape: fc.constantFrom('stream' as const, 'plain' as const),
    model: fc.constantFrom('a', 'b', '__proto__', 'constructor'),
    attempts: count,
    failures: fc.dictionary(fc.constantFrom('connect' as const, 'timeout' as const, 'shed' as const), count),
    times: fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 8 }),
    cost: count,
  })
  .map(({ times, cost, failures, attempts, ...identity }) => ({
    ...emptyCell(identity),
    attempts,
    failures,
    totalMs: histogramOf(times),
    costLog: { count: cost, sum: cost, sumOfSquares: cost },
    costUsd: cost,
  }));
const buckets = fc.uniqueArray(fc.tuple(fc.nat(255), count, count), {
  selector: ([bucket]) => bucket,
  maxLength: 5,
});
const evidence: fc.Arbitrary<Evidence> = fc.record({
  epoch: fc.constant(EPOCH),
  cells: fc.uniqueArray(cell, {
    selector: (one) => JSON.stringify([one.side, one.kind, one.shape, one.model]),
    maxLength: 6,
  }),
  buckets: fc.record({ legacy: buckets, candidate: buckets }),
  pooled: fc.uniqueArray(fc.constantFrom('x', 'y', 'z')),
});

const merge = (...parts: readonly Evidence[]) => mergeEvidence(parts, EPOCH);

describe('merging evidence', () => {
  it('gives the same in any order', () => {
    fc.assert(
      fc.property(evidence, evidence, (a, b) => {
        expect(merge(a, b)).toEqual(merge(b, a));
      }),
    );
  });

  it('gives the same however it is grouped', () => {
    fc.assert(
      fc.property(evidence, evidence, evidence, (a, b, c) => {
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
        expect(merge(a, b, c)).toEqual(merge(merge(a, b), c));
      }),
    );
  });

  it('is not changed by nothing', () => {
    fc.assert(
      fc.property(evidence, (a) => {
        expect(merge(a, noEvidence(EPOCH))).toEqual(merge(a));
        expect(merge(merge(a))).toEqual(merge(a));
      }),
    );
  });

  it('loses no request and invents none', () => {
    fc.assert(
      fc.property(fc.array(evidence, { maxLength: 4 }), (parts) => {
        const merged = mergeEvidence(parts, EPOCH);
        const total = (read: (one: EvidenceCell) => number, of: readonly Evidence[]) =>
          of.flatMap(({ cells }) => cells).reduce((sum, one) => sum + read(one), 0);
        for (const read of [
          (one: EvidenceCell) => one.attempts,
          failureCount,
          (one: EvidenceCell) => histogramCount(one.totalMs),
          (one: EvidenceCell) => one.costLog.sum,
        ]) {
          expect(total(read, [merged])).toBe(total(read, parts));
        }
      }),
    );
  });

  it('survives JSON and leaves its parts as they were', () => {
    fc.assert(
      fc.property(evidence, evidence, (a, b) => {
        const before = JSON.stringify([a, b]);
        const merged = merge(a, b);
        expect(JSON.parse(JSON.stringify(merged))).toEqual(merged);
        expect(JSON.stringify([a, b])).toBe(before);
      }),
    );
  });

  it('sums buckets by number, sorted', () => {
    const one: Evidence = { ...noEvidence(EPOCH), buckets: { legacy: [[7, 1, 0]], candidate: [] } };
    const other: Evidence = {
      ...noEvidence(EPOCH),
      buckets: {
        legacy: [
          [3, 5, 1],
          [7, 2, 2],
        ],
        candidate: [],
      },
    };
    expect(merge(one, other).buckets.legacy).toEqual([
      [3, 5, 1],
      [7, 3, 2],
    ]);
  });

  it('refuses evidence of another epoch', () => {
    expect(() => mergeEvidence([noEvidence(3)], EPOCH)).toThrow('expected evidence of epoch 4, got epoch 3');
  });
});

describe('summing cells', () => {
  const live = { side: 'candidate', kind: 'live', shape: 'plain', model: 'a' } as const;

  it('adds what is picked and nothing else', () => {
    const cells = [
      { ...emptyCell(live), attempts: 3 },
      { ...emptyCell({ ...live, model: 'b' }), attempts: 4 },
      { ...emptyCell({ ...live, kind: 'probe' }), attempts: 100 },
    ];
    const sum = sumCells({ ...noEvidence(EPOCH), cells }, ({ kind }) => kind === 'live');
    expect(sum?.attempts).toBe(7);
  });

  it('tells nothing from zero', () => {
    expect(sumCells(noEvidence(EPOCH), () => true)).toBeNull();
  });
});
