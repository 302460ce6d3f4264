import { NO_COUNTS, type Resolution, sketchQuantile, unpack } from '../../evidence/latency-sketch';
import { POOLED_SHAPES, type PooledLatencies } from '../../evidence/pooled-latencies';
import { type LatencyMeasure, POOLED_MODEL, resolutionOf } from '../../evidence/stage/latency-measures';
import { measuresAtFirst, type StageEvidence, strataAtFirst } from '../../evidence/stage/stage-evidence';
import type { LatencyQuantile, StagePlan } from '../../plan/plan';
import { type DetectorState, mapSegments } from '../../statistics/change-detector';
import { histogramAt } from '../../statistics/cumulative-counts';
import { EMPTY_HISTOGRAM, type Histogram, histogramCount, mergeHistograms } from '../../statistics/histogram';
import { type ArmSamples, type CumulatedArms, cumulateArms } from '../../statistics/quantile-ratio';
import { scaleSamples } from '../../statistics/scaled-samples';
import { orderWeight, POOL_WEIGHT } from '../alpha-spending';
import { designEffectOf } from '../stage-rates';
import type { Baseline } from '../verdict';

const P95 = 0.95;

/** The quantile by which a stage judges latencies; plans of earlier versions do not name it. */
export function judgedQuantile({ gates: { latency } }: Pick<StagePlan, 'gates'>): LatencyQuantile {
  return latency.quantile ?? P95;
}

/** A latency as it is judged: one stratum, or the small ones of a shape together. */
export interface LatencyGroup {
  readonly what: LatencyMeasure['what'];
  readonly shape: LatencyMeasure['shape'];
  /** The model, or `other` for what is pooled. */
  readonly model: string;
  /** Whether it stands for models that are too small to be judged by themselves. */
  readonly pooled: boolean;
  /** Part of the stage's requests. */
  readonly part: number;
  /** Its part of what alpha leaves for latencies, and for far tails; fixed since it was first seen. */
  readonly weights: { readonly latency: number; readonly tail: number };
  readonly resolution: Resolution;
  /** By how much counts are divided because latencies of one key go together. */
  readonly designEffect: number;
  /** As it was counted. */
  readonly state: DetectorState<ArmSamples>;
  /** The same from each start on, at what a count is worth. */
  readonly arms: CumulatedArms;
  /** Everything, at what a count is worth. */
  readonly samples: ArmSamples;
}

/** Strata below this part of the requests are pooled by shape: by themselves they would decide nothing for long. */
export const SMALL_PART = 0.05;

/** The latencies of a stage: a stratum each, small ones pooled by shape, never over shapes. */
export function latencyGroups(evidence: StageEvidence): LatencyGroup[] {
  const read = evidence.measures.map((measure, index) => stratum(evidence, measure, index));
  const requests = read
    .filter(({ what }) => what !== 'between tokens')
    .reduce((sum, { count }) => sum + count, 0);
  const partOf = ({ shape, model }: LatencyMeasure) => {
    const first = read.find(
      (one) => one.what !== 'between tokens' && one.shape === shape && one.model === model,
    );
    return requests === 0 ? 0 : (first?.count ?? 0) / requests;
  };
  const groups: UncountedGroup[] = [];
  for (const what of ['total', 'first token', 'between tokens'] as const) {
    const measures = evidence.measures.flatMap((measure, index) =>
      measure.what === what
        ? [
            {
              measure,
              state: read[index]?.state ?? NO_STATE,
              part: partOf(measure),
              weights: weightsOf(evidence, index),
            },
          ]
        : [],
    );
    const isSmall = ({ measure, part }: { measure: LatencyMeasure; part: number }) =>
      measure.model === POOLED_MODEL || part < SMALL_PART;
    const small = measures.filter(isSmall);
    for (const { measure, state, part, weights } of measures.filter(
      (one) => !isSmall(one) || small.length === 1,
    )) {
      if (part === 0) continue;
      const resolution = resolutionOf(measure, evidence.step);
      const pooled = measure.model === POOLED_MODEL;
      const own = pooled ? POOL_WEIGHTS : weights;
      groups.push({ ...identity(measure), pooled, part, weights: own, resolution, state });
    }
    const part = small.reduce((total, one) => total + one.part, 0);
    const [first] = small;
    if (small.length < 2 || first === undefined || part === 0) continue;
    const edges = small.flatMap(({ measure }) => (measure.edge === null ? [] : [measure.edge]));
    groups.push({
      what,
      shape: first.measure.shape,
      model: POOLED_MODEL,
      pooled: true,
      part,
      weights: POOL_WEIGHTS,
      resolution: { step: evidence.step, edge: edges.length === 0 ? null : Math.max(...edges) },
      state: small.map((one) => one.state).reduce(mergeStates),
    });
  }
  const designEffect = designEffectOf(evidence.slowKeys ?? null);
  return groups
    .map((group) => countedGroup(group, designEffect))
    .filter(({ samples }) => countOf(samples) > 0)
    .map((group, _, all) => independentGaps(group, all));
}

/** A pool of each of three latencies, of which two have a far tail that is judged. */
const POOL_WEIGHTS = { latency: POOL_WEIGHT / 3, tail: POOL_WEIGHT / 2 } as const;

/** Each measure has the weight of its place among all; its far tail that of its stratum. */
function weightsOf(evidence: StageEvidence, index: number): LatencyGroup['weights'] {
  const stratum = evidence.measures.slice(0, index).filter(({ what }) => what !== 'between tokens').length;
  return {
    latency: orderWeight(index, measuresAtFirst(evidence)),
    tail: orderWeight(stratum, strataAtFirst(evidence)),
  };
}

type UncountedGroup = Omit<LatencyGroup, 'arms' | 'samples' | 'designEffect'>;

function countedGroup(group: UncountedGroup, designEffect: number): LatencyGroup {
  const arms = cumulateArms(
    group.state.segments.map((segment) => segment.evidence),
    1 / designEffect,
  );
  return { ...group, designEffect, arms, samples: samplesSince(arms, 0) };
}

/** What came from a start on, at what a count is worth. */
export function samplesSince({ legacy, candidate, scale }: CumulatedArms, start: number): ArmSamples {
  const samples = { legacy: histogramAt(legacy, start), candidate: histogramAt(candidate, start) };
  return scale === 1 ? samples : scaleSamples(samples, scale);
}

const NO_SAMPLES: ArmSamples = { legacy: EMPTY_HISTOGRAM, candidate: EMPTY_HISTOGRAM };
const NO_STATE: DetectorState<ArmSamples> = { windows: 0, segments: [] };

function stratum(evidence: StageEvidence, measure: LatencyMeasure, index: number) {
  const resolution = resolutionOf(measure, evidence.step);
  const state: DetectorState<ArmSamples> = {
    windows: evidence.judged.windows,
    segments: evidence.judged.segments.map(({ from, evidence: { latencies } }) => {
      const packed = latencies[index];
      const samples =
        packed === undefined
          ? NO_SAMPLES
          : { legacy: unpack(packed[0], resolution), candidate: unpack(packed[1], resolution) };
      return { from, evidence: samples };
    }),
  };
  const count = state.segments.reduce((total, segment) => total + countOf(segment.evidence), 0);
  return { ...measure, state, count };
}

function identity({ what, shape, model }: LatencyMeasure) {
  return { what, shape, model };
}

function countOf({ legacy, candidate }: ArmSamples): number {
  return histogramCount(legacy) + histogramCount(candidate);
}

/** How many answers a group rests on, before they are divided by the design effect. */
export function countedAnswers({ samples, designEffect }: LatencyGroup): {
  legacy: number;
  candidate: number;
} {
  return {
    legacy: Math.round(histogramCount(samples.legacy) * designEffect),
    candidate: Math.round(histogramCount(samples.candidate) * designEffect),
  };
}

/** States of one stage have the same segments. */
function mergeStates(a: DetectorState<ArmSamples>, b: DetectorState<ArmSamples>): DetectorState<ArmSamples> {
  return {
    windows: a.windows,
    segments: a.segments.map(({ from, evidence }, index) => ({
      from,
      evidence: mergeSamples(evidence, b.segments[index]?.evidence ?? NO_SAMPLES),
    })),
  };
}

function mergeSamples(a: ArmSamples, b: ArmSamples): ArmSamples {
  return {
    legacy: mergeHistograms([a.legacy, b.legacy]),
    candidate: mergeHistograms([a.candidate, b.candidate]),
  };
}

/** Gaps come many to a stream and are alike within it: they count as often as there are streams. */
function independentGaps(group: LatencyGroup, groups: readonly LatencyGroup[]): LatencyGroup {
  if (group.what !== 'between tokens') return group;
  const streams = groups.find((other) => other.what === 'first token' && other.model === group.model);
  const gaps = countOf(group.samples);
  if (streams === undefined || gaps === 0) return group;
  const factor = Math.min(1, countOf(streams.samples) / gaps);
  if (factor === 0) return group;
  const arms = { ...group.arms, scale: factor * group.arms.scale };
  return { ...group, arms, samples: samplesSince(arms, 0) };
}

/** The p95 of legacy by latency, and the median where it is judged, which bound a stage without a control arm. */
export function legacyLatencies(
  groups: readonly LatencyGroup[],
  judged: LatencyQuantile,
): NonNullable<Baseline['latencies']> {
  return groups.flatMap(({ what, model, samples, resolution }) => {
    const p95Ms = sketchQuantile(samples.legacy, P95, resolution);
    if (p95Ms === null) return [];
    const p50Ms = judged === 0.5 ? sketchQuantile(samples.legacy, 0.5, resolution) : null;
    const read = { what, model, p95Ms: Number(p95Ms.toPrecision(4)) };
    return [p50Ms === null ? read : { ...read, p50Ms: Number(p50Ms.toPrecision(4)) }];
  });
}

/** The answers of each shape as one group, all models together: plain ones by their whole time, streams by the first token. */
export function answersByShape(groups: readonly LatencyGroup[], evidence: StageEvidence): LatencyGroup[] {
  return POOLED_SHAPES.flatMap(({ what }, index) => {
    const own = groups.filter((group) => group.what === what);
    const [first] = own;
    const kept = evidence.together;
    if (first === undefined || (own.length < 2 && kept === undefined)) return own;
    const group = {
      ...first,
      model: own.length < 2 ? first.model : ALL_MODELS,
      part: own.reduce((total, { part }) => total + part, 0),
      ...(kept === undefined ? mergedStrata(first, own) : pooledState(kept, index)),
    };
    return [countedGroup(group, first.designEffect)];
  });
}

function pooledState({ step, edges, state }: PooledLatencies, index: number) {
  const resolution = { step, edge: edges[index] ?? null };
  return {
    resolution,
    state: mapSegments(state, (counts) => {
      const [legacy, candidate] = counts[index] ?? [NO_COUNTS, NO_COUNTS];
      return { legacy: unpack(legacy, resolution), candidate: unpack(candidate, resolution) };
    }),
  };
}

/** In evidence of older releases: at the resolution of the strata. */
function mergedStrata(first: LatencyGroup, own: readonly LatencyGroup[]) {
  return {
    // Bodies end at other values for each: what is counted at an edge lies there for both arms.
    resolution: { ...first.resolution, edge: null },
    state: own.map(({ state }) => state).reduce(mergeStates),
  };
}

export const ALL_MODELS = 'all models';

/** p95 of one arm's answers of one shape over all models, for reading. */
export function pooledP95(
  groups: readonly LatencyGroup[],
  what: LatencyMeasure['what'],
  arm: 'legacy' | 'candidate',
): number | null {
  const picked = groups.filter((group) => group.what === what);
  const [first] = picked;
  if (first === undefined) return null;
  const merged: Histogram = mergeHistograms(picked.map(({ samples }) => samples[arm]));
  const value = sketchQuantile(merged, P95, { ...first.resolution, edge: null });
  return value === null || value === 0 ? null : value;
}
