import { sketchQuantile, unpack } from '../evidence/latency-sketch';
import { MICRO_USD } from '../evidence/spending-counts';
import type { StageSpending } from '../evidence/stage/stage-spending';
import { stageKind } from '../plan/plan';
import {
  SPENDING_MEASURES,
  SPENDING_PART,
  type SpendingGate,
  type SpendingMeasure,
} from '../plan/spending-gate';
import { type DetectorState, lateStarts, mapSegments } from '../statistics/change-detector';
import { mergeHistograms } from '../statistics/histogram';
import { quantileRatioIntervalOf } from '../statistics/quantile-bound';
import {
  type ArmSamples,
  type CumulatedArms,
  cumulateArms,
  detectQuantileExceeds,
  quantileExceedsSince,
  quantileWithinAll,
} from '../statistics/quantile-ratio';
import {
  eValueOf,
  evidenceText,
  goalReached,
  lateWindows,
  metricVerdict,
  percentText,
  SEEMING,
  shownHarm,
} from './gate-metric';
import { onCells } from './latency/latency-margin';
import { clusterText, designEffectOf, INTERVAL_ALPHA, type JudgingFacts } from './stage-rates';
import type { MetricVerdict } from './verdict';

/**
 * Cost and output tokens per request, where the plan judges them: a quantile of each over all models together, by the
 * processes that judge latencies. A request is drawn for an arm whatever its model, so both arms have the same mix.
 */
export function judgeSpending(judged: JudgingFacts): MetricVerdict[] {
  return SPENDING_MEASURES.flatMap((measure) => {
    const gate = judged.stage.gates[measure];
    return gate === undefined ? [] : [judgeMeasure(judged, SUBJECTS[measure], gate)];
  });
}

interface Subject {
  readonly measure: SpendingMeasure;
  readonly text: string;
  readonly unit: 'usd' | 'tokens';
  /** What one unit of a count is worth in the unit that is shown. */
  readonly shown: number;
  readonly more: string;
  readonly less: string;
  readonly show: (value: number) => string;
}

const SUBJECTS: Readonly<Record<SpendingMeasure, Subject>> = {
  cost: {
    measure: 'cost',
    text: 'cost per request',
    unit: 'usd',
    shown: 1 / MICRO_USD,
    more: 'more expensive',
    less: 'cheaper',
    show: (value) => `$${Number(value.toPrecision(3))}`,
  },
  outputTokens: {
    measure: 'outputTokens',
    text: 'output tokens per request',
    unit: 'tokens',
    shown: 1,
    more: 'more',
    less: 'fewer',
    show: (value) => Math.round(value).toLocaleString('en-US'),
  },
};

/** One arm may know at least this part of what the other knows of its answers, or they are not compared. */
const KNOWN_ALIKE = 0.8;

function judgeMeasure(judged: JudgingFacts, subject: Subject, gate: SpendingGate): MetricVerdict {
  const { stage, evidence } = judged;
  const { quantile: p, rollbackIncrease, promotionIncrease, ignoreBelowTokens = 0 } = gate;
  const name = `p${100 * p} ${subject.text}`;
  const held = evidence.spending?.find(({ measure }) => measure === subject.measure);
  const seen = held === undefined ? null : samplesOf(held);
  const n = held?.known ?? { legacy: 0, candidate: 0 };
  const read = (arm: keyof ArmSamples) => {
    const value = seen === null ? null : sketchQuantile(seen.all[arm], p, seen.resolution);
    return value === null ? null : value * subject.shown;
  };
  const [legacy, candidate] = [read('legacy'), read('candidate')];
  const base = {
    metric: name,
    unit: subject.unit,
    role: promotionIncrease === null ? 'guardrail' : 'guardrail and goal',
    n,
    legacy,
    candidate,
    margin: promotionIncrease ?? rollbackIncrease,
  } as const;
  if (stageKind(stage) !== 'split') {
    const sentence = `${name} of the candidate: ${candidate === null ? 'not known yet' : subject.show(candidate)}; there is no control arm, so it is shown only`;
    return metricVerdict({ ...base, role: 'report', outcome: 'not applicable', margin: null, sentence });
  }
  const missing = missingText(subject, held, legacy);
  if (held === undefined || seen === null || legacy === null || missing !== null) {
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence: `${name}: ${missing}` });
  }
  const { state, arms, step, designEffect } = seen;
  // Below the body of legacy's values it is at least as low as that body.
  const increase = candidate === null ? -1 : candidate / legacy - 1;
  const { low, high } = quantileRatioIntervalOf(arms, p, INTERVAL_ALPHA);
  const compared =
    candidate === null
      ? `candidate ${name} below the body of legacy's, whose p${100 * p} is ${subject.show(legacy)}`
      : `candidate ${name} ${subject.show(candidate)} against ${subject.show(legacy)}: ${increaseText(increase, subject)}`;
  const against = `${compared}${clusterText(designEffect, 'they')}`;
  const numbers = {
    ...base,
    estimate: candidate === null ? null : increase,
    interval: [low - 1, high - 1],
  } as const;
  const claim = { p, least: ignoreBelowTokens, share: stage.share };
  const alpha = spendingAlpha(judged);
  const harm = { ...claim, margin: onCells(rollbackIncrease, step, Math.ceil) };
  const logHarm = detectQuantileExceeds(harm, state, arms);
  if (logHarm >= -Math.log(alpha)) {
    return metricVerdict({
      ...numbers,
      margin: rollbackIncrease,
      ...shownHarm(logHarm, alpha),
      sentence: `${against}, allowed ${percentText(rollbackIncrease)}, ${evidenceText(logHarm, alpha)}`,
    });
  }
  if (promotionIncrease === null) {
    return metricVerdict({
      ...numbers,
      outcome: logHarm >= SEEMING ? 'inconclusive' : 'pass',
      eValue: eValueOf(logHarm),
      threshold: 1 / alpha,
      sentence: `${against}, watched for harm only: allowed ${percentText(rollbackIncrease)}, ${evidenceText(logHarm, alpha)}`,
    });
  }
  const margin = onCells(promotionIncrease, step, Math.floor);
  const logWithin = margin > 0 ? quantileWithinAll({ ...claim, margin }, arms) : 0;
  const late = margin > 0 && seemsBeyond({ ...claim, margin }, judged, state, arms);
  return metricVerdict({
    ...numbers,
    ...goalReached(logWithin, stage.alpha.promotion, null, late || logHarm >= SEEMING),
    sentence: `${against}, margin ${percentText(promotionIncrease)}, ${evidenceText(logWithin, stage.alpha.promotion)}${late ? '; apparently beyond the margin towards the end' : ''}`,
  });
}

/** Why nothing is compared; null where both arms know enough. */
function missingText(
  { measure }: Subject,
  held: StageSpending | undefined,
  legacy: number | null,
): string | null {
  const why =
    measure === 'cost'
      ? 'providers report usage, and `prices` in the configuration names the model'
      : 'providers report usage';
  if (held === undefined || held.known.legacy + held.known.candidate === 0) {
    return `not known for any answer yet; it is known where ${why}`;
  }
  const { known, unknown } = held;
  if (known.candidate === 0) return `not known for any answer of the candidate yet; it is known where ${why}`;
  if (known.legacy === 0) return `not known for any answer of legacy yet; it is known where ${why}`;
  const part = (arm: 'legacy' | 'candidate') => known[arm] / (known[arm] + unknown[arm]);
  const [less, more] = [part('legacy'), part('candidate')].sort((a, b) => a - b) as [number, number];
  if (less < KNOWN_ALIKE * more) {
    return `known for ${percentText(part('candidate'))} of the candidate's answers and for ${percentText(part('legacy'))} of legacy's, which is too unequal to compare`;
  }
  return legacy === null || legacy === 0 ? "legacy's is 0, so nothing can be compared with it" : null;
}

interface SpendingSamples {
  readonly step: number;
  readonly resolution: { readonly step: number; readonly edge: number | null };
  readonly designEffect: number;
  readonly state: DetectorState<ArmSamples>;
  /** At what a count is worth. */
  readonly arms: CumulatedArms;
  readonly all: ArmSamples;
}

function samplesOf({ sketch, keys }: StageSpending): SpendingSamples {
  const { step } = sketch;
  const resolution = { step, edge: sketch.edges[0] ?? null };
  const state = mapSegments(sketch.state, ([counts]) => ({
    legacy: unpack(counts?.[0] ?? '', resolution),
    candidate: unpack(counts?.[1] ?? '', resolution),
  }));
  const segments = state.segments.map(({ evidence }) => evidence);
  const designEffect = designEffectOf(keys);
  const sum = (arm: keyof ArmSamples) => mergeHistograms(segments.map((samples) => samples[arm]));
  return {
    step,
    resolution,
    designEffect,
    state,
    arms: cumulateArms(segments, 1 / designEffect),
    all: { legacy: sum('legacy'), candidate: sum('candidate') },
  };
}

/** Whether what came towards the end of the soak seems to be beyond the margin. */
function seemsBeyond(
  claim: Parameters<typeof quantileExceedsSince>[0],
  { stage }: JudgingFacts,
  state: DetectorState<ArmSamples>,
  arms: CumulatedArms,
): boolean {
  return lateStarts(state, lateWindows(stage)).some(
    (start) => quantileExceedsSince(claim, arms, start) >= SEEMING,
  );
}

function increaseText(part: number, { more, less }: Subject): string {
  if (Math.abs(part) < 0.005) return 'the same';
  return part > 0 ? `${percentText(part)} ${more}` : `${percentText(-part)} ${less}`;
}

/** Each measure's part of the stage's chance of a false rollback, fixed by the plan. */
function spendingAlpha({ stage: { alpha, gates } }: JudgingFacts): number {
  const judged = SPENDING_MEASURES.filter((measure) => gates[measure] !== undefined).length;
  return (alpha.spending ?? alpha.rollback * SPENDING_PART) / judged;
}
