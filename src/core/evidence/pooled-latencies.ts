import type { Arm } from '../routing/routing';
import { appendWindow, type DetectorState, mapSegments, thinned } from '../statistics/change-detector';
import { type Histogram, mergeHistograms } from '../statistics/histogram';
import type { EvidenceCell } from './evidence';
import { edgeOf, mergePacked, NO_COUNTS, type PackedCounts, pack, repack, unpack } from './latency-sketch';

/**
 * Latencies of all models together, with starts of their own: with several models there is room for few starts and
 * coarse cells of each stratum, and what slows all of them down is judged on these.
 */
export interface PooledLatencies {
  /** As in `Resolution`. */
  readonly step: number;
  /** By `POOLED_SHAPES`, as in `Resolution`. */
  readonly edges: readonly (number | null)[];
  readonly state: DetectorState<PooledCounts>;
}

/** Legacy's and the candidate's counts, by `POOLED_SHAPES`. */
type PooledCounts = readonly (readonly [legacy: PackedCounts, candidate: PackedCounts])[];

/** What is pooled: the whole time of plain answers, the first tokens of streams. */
export const POOLED_SHAPES = [
  { what: 'total', shape: 'plain', field: 'totalMs' },
  { what: 'first token', shape: 'stream', field: 'firstTokenMs' },
] as const;

/** A stage's strata, and what they said together before. */
interface Strata {
  readonly step: number;
  readonly measures: readonly { readonly what: string; readonly edge: number | null }[];
  readonly judged: DetectorState<{ readonly latencies: PooledCounts }>;
  readonly together?: PooledLatencies;
}

/** Characters of JSON that they may take. */
const SIZE_LIMIT = 2_600;
/** From the most detail to the least, as in a stage's evidence. */
const DETAIL = [
  { segments: 12, step: 1 },
  { segments: 8, step: 1 },
  { segments: 6, step: 1 },
  { segments: 4, step: 1 },
  { segments: 4, step: 2 },
  { segments: 3, step: 2 },
  { segments: 3, step: 3 },
  { segments: 2, step: 3 },
  { segments: 1, step: 3 },
] as const;

/** What a stage's strata say together after one more window of live cells; `bodyPart` as for its measures. */
export function withPooledWindow(
  stage: Strata,
  cells: readonly EvidenceCell[],
  bodyPart: number,
): PooledLatencies {
  const samples = POOLED_SHAPES.map(({ shape, field }): WindowSamples => {
    const of = (arm: Arm) =>
      mergeHistograms(
        cells.filter((cell) => cell.side === arm && cell.shape === shape).map((cell) => cell[field]),
      );
    return { legacy: of('legacy'), candidate: of('candidate') };
  });
  return withSamples(stage.together ?? pooledStrata(stage), samples, bodyPart, SIZE_LIMIT);
}

/** What both arms gave of one kind in a window. */
type WindowSamples = Readonly<Record<Arm, Histogram>>;

/** The same with the samples of one more window, of each of its kinds, in at most `sizeLimit` characters of JSON. */
export function withSamples(
  held: PooledLatencies,
  samples: readonly WindowSamples[],
  bodyPart: number,
  sizeLimit: number,
): PooledLatencies {
  const { step } = held;
  const edges = samples.map(({ legacy }, index) => {
    const edge = held.edges[index] ?? null;
    return edge ?? edgeOf(mergeHistograms([legacyOf(held, index), legacy]), step, bodyPart);
  });
  const counts = samples.map(({ legacy, candidate }, index) => {
    const resolution = { step, edge: edges[index] ?? null };
    return [pack(legacy, resolution), pack(candidate, resolution)] as const;
  });
  const { state } = repacked(held, step, edges);
  const appended = appendWindow(state, counts, (a, b) => mergeCounts(a, b, step, edges));
  return fitted({ step, edges, state: appended }, sizeLimit);
}

/** All that legacy gave of a shape. */
function legacyOf({ step, edges, state }: PooledLatencies, index: number): Histogram {
  const resolution = { step, edge: edges[index] ?? null };
  return mergeHistograms(
    state.segments.map(({ evidence }) => unpack(evidence[index]?.[0] ?? NO_COUNTS, resolution)),
  );
}

/** What strata counted before they were several, or by an older release. */
function pooledStrata({ measures, judged, step }: Strata): PooledLatencies {
  const edges = POOLED_SHAPES.map(() => null);
  const state = mapSegments(judged, ({ latencies }) =>
    POOLED_SHAPES.map(({ what }) => {
      const pooled = (arm: 0 | 1) =>
        mergeHistograms(
          measures.flatMap((measure, index) =>
            measure.what === what
              ? [unpack(latencies[index]?.[arm] ?? NO_COUNTS, { step, edge: measure.edge })]
              : [],
          ),
        );
      return [pack(pooled(0), { step, edge: null }), pack(pooled(1), { step, edge: null })] as const;
    }),
  );
  return { step, edges, state };
}

function mergeCounts(
  a: PooledCounts,
  b: PooledCounts,
  step: number,
  edges: readonly (number | null)[],
): PooledCounts {
  return edges.map((edge, index) => {
    const [left, right] = [a[index], b[index]];
    const merged = (arm: 0 | 1) =>
      mergePacked(left?.[arm] ?? NO_COUNTS, right?.[arm] ?? NO_COUNTS, { step, edge });
    return [merged(0), merged(1)] as const;
  });
}

function repacked(held: PooledLatencies, step: number, edges: readonly (number | null)[]): PooledLatencies {
  const state = mapSegments(held.state, (counts) =>
    counts.map(([legacy, candidate], index) => {
      const from = { step: held.step, edge: held.edges[index] ?? null };
      const to = { step, edge: edges[index] ?? null };
      return [repack(legacy, from, to), repack(candidate, from, to)] as const;
    }),
  );
  return { step, edges, state };
}

function fitted(pooled: PooledLatencies, sizeLimit: number): PooledLatencies {
  let fit = pooled;
  for (const { segments, step } of DETAIL) {
    if (step < fit.step) continue;
    fit = coarser(fit, step);
    const { edges } = fit;
    fit = { ...fit, state: thinned(fit.state, segments, (a, b) => mergeCounts(a, b, step, edges)) };
    if (JSON.stringify(fit).length <= sizeLimit) return fit;
  }
  return fit;
}

function coarser(held: PooledLatencies, step: number): PooledLatencies {
  if (step === held.step) return held;
  // What was counted as the body stays so: the edge of the coarser cells may not lie below it.
  const edges = held.edges.map((edge) => (edge === null ? null : Math.ceil((edge * held.step) / step)));
  return repacked(held, step, edges);
}
