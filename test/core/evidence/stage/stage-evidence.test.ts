import fc from 'fast-check';
import { mergePacked, pack, unpack } from '../../../../src/core/evidence/latency-sketch';
import { decodeNumbers, encodeNumbers } from '../../../../src/core/evidence/number-list';
import {
  noStageEvidence,
  rateRows,
  type StageEvidence,
} from '../../../../src/core/evidence/stage/stage-evidence';
import { withWindow } from '../../../../src/core/evidence/stage/stage-window';
import { seededRandom } from '../../../../src/core/rehearsal/rehearsal';
import { histogramCount, histogramOf, mergeHistograms } from '../../../../src/core/statistics/histogram';
import {
  aCell,
  afterWindows,
  aStage,
  evidenceOf,
  judged,
  metricOf,
} from '../../../support/migrations/gate-evidence';
import { drawLatencies } from '../../../support/statistics-draws';

const JUDGED = { burnIn: false, shareApplied: true };

it('refuses evidence of another epoch', () => {
  const window = { ...evidenceOf([aCell('legacy', { requests: 1 })]), epoch: 9 };
  expect(() => withWindow(noStageEvidence(4), window, JUDGED)).toThrow(
    'expected evidence of epoch 4, got epoch 9',
  );
});

it.each([
  ['requests', { requests: -3 }],
  ['more failures than requests', { requests: 2, failures: 5 }],
] as const)('refuses counters that went backwards: %s', (_, said) => {
  expect(() => withWindow(noStageEvidence(4), evidenceOf([aCell('candidate', said)]), JUDGED)).toThrow(
    'expected counters that only grow',
  );
});

it('counts only live requests', () => {
  const probe = { ...aCell('candidate', { requests: 50, failures: 50 }), kind: 'probe' as const };
  expect(rateRows(afterWindows([evidenceOf([probe])])).segments[0]?.evidence.rates).toEqual([0, 0, 0, 0]);
});

it('stays under 16 KB with its verdict, with twelve strata, sticky keys and many windows, and loses no count', () => {
  const random = seededRandom(1);
  let stage = noStageEvidence(4);
  for (let window = 0; window < 30; window += 1) {
    const cells = Array.from({ length: 6 }, (_, model) =>
      (['plain', 'stream'] as const).flatMap((shape) =>
        (['legacy', 'candidate'] as const).map((arm) =>
          aCell(arm, {
            requests: 400,
            shape,
            model: `vendor-large-model-${model}`,
            latencies: drawLatencies(400, 900, 0.8, random),
            ...(shape === 'stream' ? { gaps: drawLatencies(2_000, 30, 0.4, random) } : {}),
          }),
        ),
      ),
    ).flat();
    const buckets = Array.from({ length: 256 }, (_, bucket) => [bucket, 18, window % 2] as const);
    stage = withWindow(stage, evidenceOf(cells, { legacy: buckets, candidate: buckets }), JUDGED);
    expect(JSON.stringify(stage).length).toBeLessThanOrEqual(10_500);
  }
  const counts = stage.measures.map((measure, index) =>
    stage.judged.segments.reduce((sum, { evidence }) => {
      const packed = evidence.latencies[index]?.[0] ?? '';
      return sum + histogramCount(unpack(packed, { step: stage.step, edge: measure.edge }));
    }, 0),
  );
  expect(new Set(counts)).toEqual(new Set([12_000, 60_000]));
  const verdict = judged(aStage('rolling'), stage);
  expect(verdict.requests).toEqual({ legacy: 144_000, candidate: 144_000 });
  expect(JSON.stringify(stage).length + JSON.stringify(verdict).length).toBeLessThan(16_384);
});

describe('all models together', () => {
  const window = (models: number, seed = 1) => {
    const random = seededRandom(seed);
    return evidenceOf(
      Array.from({ length: models }, (_, model) =>
        (['plain', 'stream'] as const).flatMap((shape) =>
          (['legacy', 'candidate'] as const).map((arm) => {
            const requests = arm === 'legacy' ? 300 : 40;
            const values = drawLatencies(requests, 300 + 100 * model, 0.5, random);
            return aCell(arm, { requests, shape, model: `model-${model}`, latencies: values });
          }),
        ),
      ).flat(),
    );
  };
  const counted = ({ together }: StageEvidence) =>
    together === undefined
      ? null
      : [0, 1].map((index) =>
          [0, 1].map((arm) =>
            together.state.segments.reduce((sum, { evidence }) => {
              const packed = evidence[index]?.[arm] ?? '';
              const resolution = { step: together.step, edge: together.edges[index] ?? null };
              return sum + histogramCount(unpack(packed, resolution));
            }, 0),
          ),
        );

  it('are not kept while there is one of each shape', () => {
    expect(afterWindows([window(1), window(1)]).together).toBeUndefined();
  });

  it('are kept finer than each by itself, with more starts, and without losing a count', () => {
    const stage = afterWindows(Array.from({ length: 30 }, (_, index) => window(5, index)));
    const all = [5 * 30 * 300, 5 * 30 * 40];
    expect(counted(stage)).toEqual([all, all]);
    expect(stage.together?.step).toBeLessThan(stage.step);
    expect(stage.together?.state.segments.length).toBeGreaterThan(stage.judged.segments.length);
    expect(JSON.stringify(stage.together).length).toBeLessThanOrEqual(2_600);
  });

  it.each([
    ['a second model comes', afterWindows([window(1), window(1)]), 2],
    ['evidence of an older release has several', withoutTogether(afterWindows([window(5), window(5)])), 10],
  ])('begin with what strata have counted where %s', (_, before, windowsOfOneModel) => {
    const all = [(windowsOfOneModel + 5) * 300, (windowsOfOneModel + 5) * 40];
    expect(counted(withWindow(before, window(5), JUDGED))).toEqual([all, all]);
  });

  it('say in evidence of an older release what its strata say', () => {
    const stage = afterWindows([window(5), window(5, 2)]);
    const [today, older] = [stage, withoutTogether(stage)].map((each) =>
      metricOf(judged(aStage('canary'), each), 'p95 of all answers'),
    );
    expect(older?.n).toEqual(today?.n);
    expect(older?.eValue).toBeCloseTo(today?.eValue ?? 0, 1);
  });
});

function withoutTogether({ together: _, ...stage }: StageEvidence): StageEvidence {
  return stage;
}

it('reads evidence of an older release on, whose windows held the rates themselves', () => {
  const window = evidenceOf([
    aCell('legacy', { requests: 90, failures: 1 }),
    aCell('candidate', { requests: 10 }),
  ]);
  const { rates: _rates, ...stage } = afterWindows([window, window]);
  const judgedBefore = {
    ...stage.judged,
    segments: stage.judged.segments.map(({ from, evidence }) => ({
      from,
      evidence: { ...evidence, rates: [90, 1, 10, 0] as const },
    })),
  };
  const on = withWindow({ ...stage, judged: judgedBefore }, window, JUDGED);
  expect(judged(aStage('rolling'), on).requests).toEqual({ legacy: 270, candidate: 30 });
});

it('gives the same again when a window is run twice from the same state', () => {
  const before = afterWindows([evidenceOf([aCell('legacy', { requests: 10 })])]);
  const window = evidenceOf([aCell('candidate', { requests: 3, failures: 1 })]);
  expect(withWindow(before, window, JUDGED)).toEqual(withWindow(before, window, JUDGED));
});

describe('packed counts', () => {
  it('keep every count exact at the bounds of their cells, merged or not', () => {
    const values = fc.array(fc.double({ min: 0.01, max: 1e6, noNaN: true }), { maxLength: 60 });
    fc.assert(
      fc.property(
        values,
        values,
        fc.constantFrom(1, 2, 6),
        fc.option(fc.integer({ min: -20, max: 200 })),
        (a, b, step, edge) => {
          const resolution = { step, edge };
          const all = mergeHistograms([histogramOf(a), histogramOf(b)]);
          const merged = mergePacked(
            pack(histogramOf(a), resolution),
            pack(histogramOf(b), resolution),
            resolution,
          );
          const read = unpack(merged, resolution);
          const below = (cells: readonly (readonly [number, number])[], bucket: number) =>
            cells.reduce((sum, [at, count]) => sum + (at <= bucket ? count : 0), 0);
          for (let cell = Math.max(edge ?? -400, -400); cell < 1_500 / step; cell += 7) {
            expect(below(read.buckets, cell * step)).toBe(below(all.buckets, cell * step));
          }
          expect(histogramCount(read)).toBe(histogramCount(all));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeInteger().map((value) => Math.trunc(value / 4))), (numbers) => {
        expect(decodeNumbers(encodeNumbers(numbers))).toEqual(numbers.map((value) => value + 0));
      }),
    );
    expect(() => decodeNumbers('A?')).toThrow('expected base64 digits, got "?"');
    expect(() => decodeNumbers('g')).toThrow('expected the last number to be complete');
    expect(() => encodeNumbers([0.5])).toThrow('expected a whole number, got 0.5');
  });
});
