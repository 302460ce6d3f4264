import fc from 'fast-check';
import {
  type AnswerCounts,
  breachCount,
  type EchoedModel,
  type Evidence,
  type EvidenceCell,
  emptyCell,
  evidenceProblem,
  failureCount,
  mergeEvidence,
  noEvidence,
  sumCells,
} from '../../../src/core/evidence/evidence';
import { histogramCount, histogramOf } from '../../../src/core/statistics/histogram';

const EPOCH = 4;
const count = fc.nat(1_000);
const answers: fc.Arbitrary<AnswerCounts | undefined> = fc.option(
  fc.record({
    checked: count,
    unchecked: count,
    breaches: fc.dictionary(fc.constantFrom('empty' as const, 'cut' as const, 'tool_schema' as const), count),
    ends: fc.dictionary(fc.constantFrom('stop' as const, 'length' as const), count),
  }),
  { nil: undefined },
);
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
    answers,
  })
  .map(({ times, cost, failures, attempts, answers, ...identity }) => ({
    ...emptyCell(identity),
    attempts,
    ...(answers === undefined ? {} : { answers, echoed: [{ model: 'a', count: 2 }], fingerprintChanges: 1 }),
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

function plainCell(counts: Partial<EvidenceCell>): Evidence {
  const identity = { side: 'candidate', kind: 'live', shape: 'plain', model: 'a' } as const;
  return { ...noEvidence(EPOCH), cells: [{ ...emptyCell(identity), ...counts }] };
}

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
          (one: EvidenceCell) => (one.answers === undefined ? 0 : breachCount(one.answers)),
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

  it('sums answers by class and end, and echoed models up to eight', () => {
    const echoed = (from: number): EchoedModel[] =>
      Array.from({ length: 6 }, (_, index) => ({ model: `m${from + index}`, count: 10 + from + index }));
    const one = plainCell({
      answers: { checked: 10, unchecked: 1, breaches: { empty: 2 }, ends: { stop: 11 } },
      echoed: echoed(0),
      fingerprintChanges: 1,
    });
    const other = plainCell({
      answers: { checked: 5, unchecked: 0, breaches: { empty: 1, cut: 1 }, ends: { length: 1, stop: 4 } },
      echoed: echoed(5),
      fingerprintChanges: 2,
    });
    const merged = merge(one, other).cells[0];
    expect(merged?.answers).toEqual({
      checked: 15,
      unchecked: 1,
      breaches: { empty: 3, cut: 1 },
      ends: { stop: 15, length: 1 },
    });
    expect(merged?.echoed?.map(({ model }) => model)).toEqual([
      ...['m5', 'm10', 'm9', 'm8', 'm7', 'm6', 'm4', 'm3'],
      'other',
    ]);
    expect(merged?.echoed?.at(-1)).toEqual({ model: 'other', count: 10 + 11 + 12 });
    expect(merged?.fingerprintChanges).toBe(3);
  });

  it('counts the answers of a gateway that did not look at them as unchecked beside those of one that did', () => {
    const older = plainCell({ successes: 7 });
    const newer = plainCell({
      successes: 3,
      answers: { checked: 3, unchecked: 0, breaches: {}, ends: { stop: 3 } },
    });
    expect(merge(older, newer).cells[0]?.answers).toMatchObject({ checked: 3, unchecked: 7 });
    expect(merge(older, older).cells[0]).not.toHaveProperty('answers');
  });

  it('sums the answers of buckets only where all counted them', () => {
    const of = (...bucket: Evidence['buckets']['legacy'][number]): Evidence => ({
      ...noEvidence(EPOCH),
      buckets: { legacy: [bucket], candidate: [] },
    });
    const full = of(7, 4, 1, 2, 1, 4, 1);
    expect(merge(full, full).buckets.legacy).toEqual([[7, 8, 2, 4, 2, 8, 2]]);
    expect(merge(full, of(7, 4, 1, 2, 1)).buckets.legacy).toEqual([[7, 8, 2, 4, 2]]);
    expect(merge(full, of(7, 4, 1)).buckets.legacy).toEqual([[7, 8, 2]]);
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

describe('evidence that cannot be used', () => {
  const problem = (answers: AnswerCounts) =>
    evidenceProblem(
      { incarnation: 'i', cursor: '', evidence: plainCell({ attempts: 3, successes: 3, answers }) },
      EPOCH,
    );
  const good: AnswerCounts = { checked: 3, unchecked: 0, breaches: { cut: 1 }, ends: { length: 1, stop: 2 } };

  it('is not that of answers whose breaches are among the checked, however many requests are beside them', () => {
    expect(problem(good)).toBeNull();
    expect(problem({ ...good, checked: 30 })).toBeNull();
  });

  it.each<[string, AnswerCounts]>([
    ['checked', { ...good, checked: -1, breaches: {} }],
    ['unchecked', { ...good, unchecked: -1 }],
    ['breaches', { ...good, breaches: { empty: -1 } }],
    ['ends', { ...good, ends: { stop: -1 } }],
  ])('is that of %s that went backwards', (_, answers) => {
    expect(problem(answers)).toBe('its counters went backwards (candidate plain)');
  });

  it('is that of more breaches than answers', () => {
    expect(problem({ ...good, breaches: { cut: 2, empty: 2 } })).toBe(
      'it has more breaches than answers that were checked (candidate plain)',
    );
  });
});
