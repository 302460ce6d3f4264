import { NO_COUNTS, type Resolution, sketchQuantile, unpack } from '../evidence/latency-sketch';
import { POOLED_SHAPES, type PooledLatencies } from '../evidence/pooled-latencies';
import {
  type LatencyMeasure,
  measuresAtFirst,
  POOLED_MODEL,
  resolutionOf,
  type StageEvidence,
  strataAtFirst,
} from '../evidence/stage-evidence';
import { type LatencyQuantile, type StagePlan, stageKind } from '../plan/plan';
import type { Side } from '../routing/routing';
import { type DetectorState, detectSince, lateStarts, mapSegments } from '../statistics/change-detector';
import { countAtOrBelow, histogramAt } from '../statistics/cumulative-counts';
import { smallestReaching } from '../statistics/expected-requests';
import {
  bucketOf,
  EMPTY_HISTOGRAM,
  GAMMA,
  type Histogram,
  histogramCount,
  mergeHistograms,
} from '../statistics/histogram';
import {
  countsNotBelow,
  quantileAboveBound,
  quantileBelowBound,
  quantileRatioIntervalOf,
} from '../statistics/quantile-bound';
import {
  type ArmSamples,
  type CumulatedArms,
  cumulateArms,
  detectQuantileExceeds,
  type QuantileMargin,
  quantileExceedsSince,
  quantileWithinAll,
} from '../statistics/quantile-ratio';
import { scaleSamples } from '../statistics/scaled-samples';
import { orderWeight, POOL_WEIGHT, TOGETHER_WEIGHT } from './alpha-spending';
import {
  eValueOf,
  evidenceText,
  goalReached,
  lateWindows,
  metricVerdict,
  millisecondsText,
  moreRequestsOf,
  moreText,
  percentText,
  SEEMING,
  shownHarm,
  worseText,
} from './gate-metric';
import {
  alphaText,
  clusterText,
  designEffectOf,
  guardrailAlpha,
  INTERVAL_ALPHA,
  isHandedOver,
  type Judged,
} from './stage-rates';
import type { Baseline, MetricVerdict } from './verdict';

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
const SMALL_PART = 0.05;

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
function samplesSince({ legacy, candidate, scale }: CumulatedArms, start: number): ArmSamples {
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

/**
 * p95 of each latency: harm and, where the plan has a margin, promotion. Models are watched one by one, but the goal is
 * their answers of one shape together: the arms have the same mix, and ten goals would take ten times the traffic.
 */
export function judgeLatencies(
  judged: Judged,
  groups: readonly LatencyGroup[],
  shapes: readonly LatencyGroup[],
): MetricVerdict[] {
  const several = new Set(groups.map(({ model }) => model)).size > 1;
  const subject = (group: LatencyGroup) => subjectOf(judged, group, several);
  if (stageKind(judged.stage) === 'complete') {
    return groups.map((group) => judgeAlone(judged, group, subject(group)));
  }
  const together = shapes.filter(({ model }) => model === ALL_MODELS);
  const strata = groups.map((group) => {
    const sharesGoal = together.some(({ what }) => what === group.what);
    return judgeAgainst(judged, group, subject(group), sharesGoal);
  });
  return [
    ...together.map((group) => judgeTogether(judged, group)),
    ...worthListing(strata, together.length > 0 ? 1 : 2),
  ];
}

/**
 * Of several latencies that are only watched a verdict lists those nearest to harm, one of them where all models together
 * are listed as well; all of them are judged.
 */
function worthListing(strata: readonly MetricVerdict[], most: number): MetricVerdict[] {
  const isQuiet = ({ outcome }: MetricVerdict) => outcome === 'not applicable';
  const nearest = strata
    .filter(isQuiet)
    .toSorted((a, b) => (b.eValue ?? 0) - (a.eValue ?? 0))
    .slice(0, most);
  return strata.filter((metric) => !isQuiet(metric) || nearest.includes(metric));
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

const ALL_MODELS = 'all models';

const P99 = 0.99;

/** The latencies whose far tail is a guardrail of its own: what hangs for one request of thirty is beyond p95. */
function tailGroups({ gates: { latency } }: StagePlan, groups: readonly LatencyGroup[]): LatencyGroup[] {
  return latency.tailIncrease === undefined ? [] : groups.filter(({ what }) => what !== 'between tokens');
}

/** p99 of each latency against legacy's: harm only. Nothing is said while all is well. */
export function judgeTails(judged: Judged, groups: readonly LatencyGroup[]): MetricVerdict[] {
  const { stage } = judged;
  const { tailIncrease = 0, ignoreBelowMs: least = 0 } = stage.gates.latency;
  if (stageKind(stage) === 'complete') return [];
  const several = new Set(groups.map(({ model }) => model)).size > 1;
  return tailGroups(stage, groups).flatMap((group) => {
    const { samples, resolution, state, arms, weights } = group;
    const alpha = guardrailAlpha(stage, 'tail', weights.tail);
    const margin = onCells(tailIncrease, resolution.step, Math.ceil);
    const logHarm = detectQuantileExceeds({ p: P99, margin, least, share: stage.share }, state, arms);
    if (logHarm < -Math.log(alpha)) return [];
    const legacy = sketchQuantile(samples.legacy, P99, resolution);
    const candidate = sketchQuantile(samples.candidate, P99, resolution);
    const { metric, text } = named('p99', judged, group, several);
    const against =
      legacy === null || candidate === null
        ? `candidate ${text} is worse`
        : `candidate ${text} ${millisecondsText(candidate)} against ${millisecondsText(legacy)}: ${worseText(candidate / legacy - 1)}`;
    return [
      metricVerdict({
        metric,
        unit: 'ms',
        role: 'guardrail',
        n: countedAnswers(group),
        legacy,
        candidate,
        margin: tailIncrease,
        ...shownHarm(logHarm, alpha),
        sentence: `${against}, allowed ${percentText(tailIncrease)}, ${evidenceText(logHarm, alpha)} (${alphaText(judged, alpha)})`,
      }),
    ];
  });
}

export const LATENCY_NAMES = {
  total: 'of plain answers',
  'first token': 'to first token',
  'between tokens': 'between tokens',
} as const;

interface Subject {
  readonly metric: string;
  readonly text: string;
}

function subjectOf(judged: Judged, group: LatencyGroup, several: boolean): Subject {
  return named(`p${100 * judgedQuantile(judged.stage)}`, judged, group, several);
}

function named(
  quantile: string,
  { evidence: { pooled: names } }: Judged,
  { what, model, pooled }: LatencyGroup,
  several: boolean,
): Subject {
  const name = `${quantile} ${LATENCY_NAMES[what]}`;
  if (!several) return { metric: name, text: name };
  const others = names.length === 0 ? 'small models' : names.slice(0, 3).join(', ');
  const named = names.length > 3 ? `${others} and ${names.length - 3} more` : others;
  return pooled
    ? { metric: `${name}, ${POOLED_MODEL}`, text: `${name} (pooled: ${named})` }
    : { metric: `${name}, ${model}`, text: `${name} (${model})` };
}

function gatesOf({ stage }: Judged, { what }: LatencyGroup) {
  const { latency, interToken } = stage.gates;
  return what === 'between tokens' ? { ...interToken, promotionIncrease: null } : latency;
}

function judgeAgainst(
  judged: Judged,
  group: LatencyGroup,
  { metric, text }: Subject,
  sharesGoal: boolean,
): MetricVerdict {
  const { stage } = judged;
  const { samples, resolution } = group;
  const alpha = guardrailAlpha(stage, 'latency', (1 - TOGETHER_WEIGHT) * group.weights.latency);
  const gate = gatesOf(judged, group);
  const p = judgedQuantile(stage);
  const n = { legacy: histogramCount(samples.legacy), candidate: histogramCount(samples.candidate) };
  const legacy = sketchQuantile(samples.legacy, p, resolution);
  const candidate = sketchQuantile(samples.candidate, p, resolution);
  const goal = gate.promotionIncrease !== null && group.part >= SMALL_PART;
  const base = {
    metric,
    unit: 'ms',
    role: goal && !sharesGoal ? 'guardrail and goal' : 'guardrail',
    n: countedAnswers(group),
    legacy,
    candidate,
    margin: gate.promotionIncrease,
  } as const;
  const missing = n.candidate === 0 ? 'the candidate' : n.legacy === 0 || legacy === null ? 'legacy' : null;
  if (missing !== null || legacy === null) {
    const outcome = goal || group.part >= SMALL_PART ? 'not evaluated' : 'not applicable';
    return metricVerdict({ ...base, outcome, sentence: `${text}: no answers of ${missing} to compare yet` });
  }
  const { low, high } = quantileRatioIntervalOf(group.arms, p, INTERVAL_ALPHA);
  // A candidate below the body of legacy's latencies is at least as fast as that body.
  const shown = candidate ?? GAMMA ** ((resolution.edge ?? 0) * resolution.step);
  const against = `candidate ${text} ${millisecondsText(shown)} against ${millisecondsText(legacy)}: ${worseText(shown / legacy - 1)}${sharesGoal ? '' : clusterText(group.designEffect, 'latencies')}`;
  const numbers = { ...base, estimate: shown / legacy - 1, interval: [low - 1, high - 1] } as const;
  const logHarm = detectQuantileExceeds(harmClaim(stage, gate, p, resolution.step), group.state, group.arms);
  const watched = `allowed ${percentText(gate.rollbackIncrease)}, ${evidenceText(logHarm, alpha)}`;
  if (logHarm >= -Math.log(alpha)) {
    return metricVerdict({
      ...numbers,
      ...shownHarm(logHarm, alpha),
      sentence: `${against}, ${watched} (${alphaText(judged, alpha)})`,
    });
  }
  if (!goal || gate.promotionIncrease === null) {
    const why =
      gate.promotionIncrease === null ? 'watched for harm only' : 'too few to be a goal, watched for harm';
    return metricVerdict({
      ...numbers,
      outcome: 'not applicable',
      eValue: eValueOf(logHarm),
      threshold: 1 / alpha,
      sentence: `${against}, ${why}: ${watched}`,
    });
  }
  if (!sharesGoal) return goalVerdict(judged, group, { ...numbers, sentence: against });
  const seems = quantileExceedsSince(
    harmClaim(stage, { ...gate, rollbackIncrease: gate.promotionIncrease }, p, resolution.step),
    group.arms,
    0,
  );
  const beyond = seems >= SEEMING;
  return metricVerdict({
    ...numbers,
    outcome: beyond ? 'inconclusive' : 'not applicable',
    eValue: eValueOf(logHarm),
    threshold: 1 / alpha,
    sentence: `${against}, ${beyond ? `beyond the margin of ${percentText(gate.promotionIncrease)} as it seems` : 'part of the goal of all models'}: ${watched}`,
  });
}

/** What would be harm in a latency. */
export function harmClaim(
  { share }: Pick<StagePlan, 'share'>,
  {
    rollbackIncrease,
    ignoreBelowMs = 0,
  }: Pick<StagePlan['gates']['latency'], 'rollbackIncrease' | 'ignoreBelowMs'>,
  p: LatencyQuantile,
  step: number,
): QuantileMargin {
  return { p, margin: onCells(rollbackIncrease, step, Math.ceil), least: ignoreBelowMs, share };
}

/** The goal of all models together. */
function judgeTogether(judged: Judged, group: LatencyGroup): MetricVerdict {
  const { samples, resolution } = group;
  const p = judgedQuantile(judged.stage);
  const text = `p${100 * p} ${LATENCY_NAMES[group.what]}`;
  const [legacy, candidate] = [samples.legacy, samples.candidate].map((one) =>
    sketchQuantile(one, p, resolution),
  ) as [number | null, number | null];
  const margin = judged.stage.gates.latency.promotionIncrease;
  const base = {
    metric: text,
    unit: 'ms',
    role: 'goal',
    n: countedAnswers(group),
    legacy,
    candidate,
    margin,
  } as const;
  if (legacy === null || candidate === null) {
    const missing = candidate === null ? 'the candidate' : 'legacy';
    return metricVerdict({
      ...base,
      outcome: margin === null ? 'not applicable' : 'not evaluated',
      sentence: `${text}: no answers of ${missing} to compare yet`,
    });
  }
  const { low, high } = quantileRatioIntervalOf(group.arms, p, INTERVAL_ALPHA);
  const sentence = `candidate ${text} ${millisecondsText(candidate)} against ${millisecondsText(legacy)}: ${worseText(candidate / legacy - 1)}${clusterText(group.designEffect, 'latencies')}`;
  const numbers = {
    ...base,
    estimate: candidate / legacy - 1,
    interval: [low - 1, high - 1] as const,
    sentence,
  };
  return margin === null
    ? metricVerdict({ ...numbers, outcome: 'not applicable', sentence: `${sentence}, not judged` })
    : goalVerdict(judged, group, numbers);
}

type MetricNumbers = Omit<Parameters<typeof metricVerdict>[0], 'outcome'>;

/** Whether a latency is within the margin for a promotion; the sentence given says what was measured. */
function goalVerdict(judged: Judged, group: LatencyGroup, numbers: MetricNumbers): MetricVerdict {
  const { stage, rates } = judged;
  const { arms, resolution } = group;
  const { ignoreBelowMs = 0, promotionIncrease } = stage.gates.latency;
  const increase = promotionIncrease ?? 0;
  const p = judgedQuantile(stage);
  const margin = onCells(increase, resolution.step, Math.floor);
  const target = -Math.log(stage.alpha.promotion);
  const evidenceAt = (by: number) =>
    margin > 0
      ? quantileWithinAll({ p, margin, least: ignoreBelowMs }, { ...arms, scale: by * arms.scale })
      : 0;
  const logWithin = evidenceAt(1);
  const factor =
    logWithin >= target || margin === 0 || !judged.foresees
      ? null
      : smallestReaching(target, evidenceAt, 1, 256);
  const { legacy: asked, candidate: moved } = rates.counted;
  const moreRequests = moreRequestsOf(factor, asked.requests + moved.requests);
  const lately = slowerLately(judged, group, {
    p,
    margin: Math.max(margin, GAMMA - 1),
    least: ignoreBelowMs,
    share: stage.share,
  });
  return metricVerdict({
    ...numbers,
    ...goalReached(logWithin, stage.alpha.promotion, moreRequests, lately !== null),
    sentence: `${numbers.sentence}, margin ${percentText(increase)}, ${evidenceText(logWithin, stage.alpha.promotion)}${lately ?? moreText(moreRequests)}`,
  });
}

/** In words, that latency towards the end of the soak is beyond the margin; null while it does not seem so. */
function slowerLately(
  { stage }: Judged,
  { state, arms, resolution }: LatencyGroup,
  claim: QuantileMargin,
): string | null {
  const starts = lateStarts(state, lateWindows(stage));
  for (const start of starts) {
    if (quantileExceedsSince(claim, arms, start) < SEEMING) continue;
    const late = samplesSince(arms, start);
    const read = (side: Side) => millisecondsText(sketchQuantile(late[side], claim.p, resolution) ?? 0);
    return `; towards the end ${read('candidate')} against ${read('legacy')}, beyond the margin`;
  }
  return null;
}

function judgeAlone(judged: Judged, group: LatencyGroup, { metric, text }: Subject): MetricVerdict {
  const { stage, baseline, rates } = judged;
  const alpha = guardrailAlpha(stage, 'latency', group.weights.latency);
  const { resolution, state, samples, arms } = group;
  const gate = gatesOf(judged, group);
  const p = judgedQuantile(stage);
  const n = { legacy: 0, candidate: countedAnswers(group).candidate };
  const frozen = frozenQuantile(baseline, group, p);
  const candidate = sketchQuantile(samples.candidate, p, resolution);
  const goal = gate.promotionIncrease !== null && group.part >= SMALL_PART && frozen !== null;
  const base = {
    metric,
    unit: 'ms',
    role: goal ? 'guardrail and goal' : 'guardrail',
    n,
    legacy: frozen,
    candidate,
    margin: gate.promotionIncrease,
  } as const;
  if (frozen === null) {
    const sentence = `${text}: no control arm, and no bound from an earlier stage`;
    return metricVerdict({ ...base, outcome: 'not applicable', sentence });
  }
  if (candidate === null) {
    return metricVerdict({
      ...base,
      outcome: goal ? 'not evaluated' : 'not applicable',
      sentence: `${text}: no answers of the candidate yet`,
    });
  }
  const against = `candidate ${text} ${millisecondsText(candidate)} against ${millisecondsText(frozen)} of legacy before: ${worseText(candidate / frozen - 1)}`;
  const numbers = { ...base, estimate: candidate / frozen - 1 };
  if (isHandedOver(stage)) {
    const sentence = `${against}, all traffic is at the candidate, shown only`;
    return metricVerdict({ ...numbers, role: 'report', outcome: 'not applicable', sentence });
  }
  const before = baseline?.before === undefined ? null : sinceBefore(group, baseline.before);
  const least = gate.ignoreBelowMs ?? 0;
  const allowed = (increase: number) => frozen + Math.max(frozen * increase, gate.ignoreBelowMs ?? 0);
  const harmBound = boundOn(allowed(gate.rollbackIncrease), resolution.step);
  const above = quantileAboveBound(p);
  const logHarm =
    before !== null
      ? detectQuantileExceeds(
          { p, margin: onCells(gate.rollbackIncrease, before.step, Math.ceil), least },
          state,
          before.arms,
        )
      : detectSince(state, (start) => {
          const trials = arms.candidate.totals[start] ?? 0;
          const within = countAtOrBelow(arms.candidate, start, bucketOf(harmBound));
          return above(arms.scale * (trials - within), arms.scale * trials);
        });
  if (logHarm >= -Math.log(alpha) || !goal || gate.promotionIncrease === null) {
    const harm = logHarm >= -Math.log(alpha);
    return metricVerdict({
      ...numbers,
      outcome: harm ? 'fail' : 'not applicable',
      harm,
      eValue: eValueOf(logHarm),
      threshold: 1 / alpha,
      sentence: `${against}, ${harm ? '' : 'watched for harm only: '}allowed ${percentText(gate.rollbackIncrease)}, ${evidenceText(logHarm, alpha)}${harm ? ` (${alphaText(judged, alpha)})` : ''}`,
    });
  }
  const { successes, trials } = countsNotBelow(allowed(gate.promotionIncrease), samples.candidate);
  const below = quantileBelowBound(p);
  const cells = before === null ? 0 : onCells(gate.promotionIncrease, before.step, Math.floor);
  const logWithin =
    before === null
      ? below(successes, trials)
      : cells > 0
        ? quantileWithinAll({ p, margin: cells, least }, before.arms)
        : 0;
  const target = -Math.log(stage.alpha.promotion);
  const factor =
    logWithin >= target || !judged.foresees || before !== null
      ? null
      : smallestReaching(target, (by) => below(successes * by, trials * by), 1, 256);
  const moreRequests = moreRequestsOf(factor, rates.counted.candidate.requests);
  return metricVerdict({
    ...numbers,
    ...goalReached(logWithin, stage.alpha.promotion, moreRequests),
    sentence: `${against}, margin ${percentText(gate.promotionIncrease)}, ${evidenceText(logWithin, stage.alpha.promotion)}${moreText(moreRequests)}`,
  });
}

/**
 * The candidate's answers since each start beside all that legacy gave in the stage before; null where legacy gave none
 * of that kind there. Legacy's are in the last segment, so that they are counted from every start on.
 */
function sinceBefore(
  { what, shape, model, state, arms, resolution }: LatencyGroup,
  before: StageEvidence,
): { readonly arms: CumulatedArms; readonly step: number } | null {
  const then = latencyGroups(before).find(
    (one) => one.what === what && one.shape === shape && one.model === model,
  );
  if (then === undefined) return null;
  const legacy = mergeHistograms(then.state.segments.map(({ evidence }) => evidence.legacy));
  const last = state.segments.length - 1;
  const segments = state.segments.map(({ evidence: { candidate } }, index) => ({
    legacy: index === last ? legacy : EMPTY_HISTOGRAM,
    candidate,
  }));
  const scale = Math.min(arms.scale, then.arms.scale);
  return { arms: cumulateArms(segments, scale), step: Math.max(resolution.step, then.resolution.step) };
}

function frozenQuantile(
  baseline: Baseline | null,
  { what, model }: LatencyGroup,
  p: LatencyQuantile,
): number | null {
  const own = baseline?.latencies?.find((one) => one.what === what && one.model === model);
  if (p === 0.5) return own?.p50Ms ?? null;
  if (own !== undefined || baseline === null || baseline.latencies !== undefined) return own?.p95Ms ?? null;
  if (what === 'between tokens') return null;
  return what === 'total' ? baseline.plainP95Ms : baseline.firstTokenP95Ms;
}

/** A margin on whole cells, so that counts at both ends are exact: rounded up for harm, down for promotion. */
export function onCells(margin: number, step: number, round: (cells: number) => number): number {
  return GAMMA ** (round(Math.log(1 + margin) / Math.log(GAMMA) / step) * step) - 1;
}

/** The upper end of the cell in which a bound lies. */
function boundOn(bound: number, step: number): number {
  const buckets = Math.log(bound) / Math.log(GAMMA);
  return GAMMA ** (Math.ceil(buckets / step) * step - 0.5);
}

/** p95 of one arm's answers of one shape over all models, for reading. */
export function pooledP95(
  groups: readonly LatencyGroup[],
  what: LatencyMeasure['what'],
  side: 'legacy' | 'candidate',
): number | null {
  const picked = groups.filter((group) => group.what === what);
  const [first] = picked;
  if (first === undefined) return null;
  const merged: Histogram = mergeHistograms(picked.map(({ samples }) => samples[side]));
  const value = sketchQuantile(merged, P95, { ...first.resolution, edge: null });
  return value === null || value === 0 ? null : value;
}
