import fc from 'fast-check';
import type { FailureClass } from '../../../src/core/evidence/evidence';
import { EvidenceStore } from '../../../src/gateway/evidence/evidence-store';
import { RouteCounts } from '../../../src/gateway/processes/route-counts';
import { observation } from '../../support/gateways/gateway-fixture';

const outcomes = ['success', 'aborted', 'refused', 'timeout', 'status_5xx', 'rejected', 'shed'] as const;

const seen = fc
  .record({
    epoch: fc.constantFrom(1, 2),
    side: fc.constantFrom('legacy' as const, 'candidate' as const),
    kind: fc.constantFrom('live' as const, 'shadow' as const, 'failover' as const),
    shape: fc.constantFrom('plain' as const, 'stream' as const),
    model: fc.constantFrom(...Array.from({ length: 8 }, (_, index) => `model-${index}`)),
    outcome: fc.constantFrom<'success' | 'aborted' | 'refused' | FailureClass>(...outcomes),
    retry: fc.boolean(),
    totalMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
    firstTokenMs: fc.option(fc.double({ min: 0, max: 1e5, noNaN: true })),
    interTokenMs: fc.array(fc.double({ min: 0, max: 1e4, noNaN: true }), { maxLength: 4 }),
    tokensIn: fc.nat(1_000),
    tokensCached: fc.nat(100),
    tokensOut: fc.nat(1_000),
    costUsd: fc.option(fc.double({ min: 1e-6, max: 10, noNaN: true })),
    bucket: fc.option(fc.nat(255)),
    answer: fc.option(
      fc.record({
        judgement: fc.constantFrom(
          'kept' as const,
          'unchecked' as const,
          'cut' as const,
          'tool_schema' as const,
        ),
        end: fc.constantFrom('stop' as const, 'length' as const, null),
        model: fc.constantFrom('m-1', 'm-2', null),
        fingerprint: fc.constantFrom('fp_1', 'fp_2', null),
      }),
    ),
    /** The answer is judged after its request has been counted. */
    isLate: fc.boolean(),
  })
  .map(({ isLate, ...part }) => ({ seen: observation(part), isLate }));

type Counted = { readonly seen: ReturnType<typeof observation>; readonly isLate: boolean };

function count(to: Pick<EvidenceStore, 'record' | 'recordAnswer'>, { seen: one, isLate }: Counted): void {
  to.record(isLate ? { ...one, answer: null } : one);
  if (isLate && one.answer !== null) to.recordAnswer({ ...one, answer: one.answer });
}

/** As it arrives over the channel, and without what the order of adding changes in the last digits. */
function rounded(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, inner) =>
      typeof inner === 'number' ? Number(inner.toPrecision(9)) : inner,
    ),
  );
}

it('loses and doubles nothing of the evidence on its way to the primary process', () => {
  fc.assert(
    fc.property(fc.array(fc.array(seen, { maxLength: 12 }), { maxLength: 8 }), (batches) => {
      const direct = new EvidenceStore('same');
      const added = new EvidenceStore('same');
      const counts = new RouteCounts(() => {});
      for (const batch of batches) {
        for (const one of batch) {
          for (const to of [direct, counts]) count(to, one);
        }
        const counted = counts.take(1, { legacy: 0, candidate: 0 });
        for (const addition of JSON.parse(JSON.stringify(counted?.evidence ?? []))) added.merge(addition);
      }
      for (const epoch of [1, 2]) {
        expect(rounded(added.read(epoch))).toEqual(rounded(direct.read(epoch)));
      }
    }),
    { numRuns: 60 },
  );
});

it('says each draw once, and from 0 in a new epoch', () => {
  const counts = new RouteCounts(() => {});
  counts.observe('ann', 0.2, 'unused');
  counts.observe(null, 0.7, 'shared');
  const first = counts.take(1, { legacy: 1, candidate: 1 });
  expect(first?.draws).toMatchObject({ epoch: 1, assigned: { legacy: 1, candidate: 1 }, low: 1, total: 2 });
  expect(first?.draws).toMatchObject({ keys: [expect.any(Number)], openings: { keyed: 0, shared: 1 } });
  expect(counts.take(1, { legacy: 1, candidate: 1 })).toBeNull();
  counts.observe('ann', 0.2, 'unused');
  expect(counts.take(1, { legacy: 1, candidate: 2 })?.draws.assigned).toEqual({ legacy: 0, candidate: 1 });
  counts.beginEpoch();
  counts.observe('ann', 0.2, 'unused');
  expect(counts.take(2, { legacy: 1, candidate: 0 })?.draws.assigned).toEqual({ legacy: 1, candidate: 0 });
});
