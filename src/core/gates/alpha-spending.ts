import type { GuardrailWeights, PlanAlpha, StageAlpha } from '../plan/plan';

/** How a stage's chance of a false rollback is divided where a plan does not say: of all weights together. */
export const GUARDRAIL_WEIGHTS = {
  errors: 0.4,
  latency: 0.26,
  tail: 0.08,
  leavers: 0.06,
  floor: 0.08,
  answers: 0.12,
} as const satisfies GuardrailWeights;

/** What stages of plans without weights are judged by: those of releases before there were any. */
export const FORMER_WEIGHTS: GuardrailWeights = {
  errors: 0.5,
  latency: 0.225,
  tail: 0.1,
  leavers: 0.075,
  floor: 0.1,
};

/** Each weight as its part of all of them, so that they add up to 1 whatever a plan names. */
export function asParts(weights: Required<GuardrailWeights>): Required<GuardrailWeights> {
  const sum = Object.values(weights).reduce((total, each) => total + each, 0);
  const part = (weight: number) => (Math.abs(sum - 1) < ROUNDING ? weight : weight / sum);
  return {
    errors: part(weights.errors),
    latency: part(weights.latency),
    tail: part(weights.tail),
    leavers: part(weights.leavers),
    floor: part(weights.floor),
    answers: part(weights.answers),
  };
}

const ROUNDING = 1e-9;

/**
 * The chances of a wrong decision of the `entry`-th entry (from 1) into any stage that moves traffic, here into the
 * stage of this index. Every entry begins with fresh evidence, so each may spend a part of its own, fixed beforehand
 * by its number: the parts of all entries, however many, add up to at most the plan's alpha.
 */
export function alphaAtEntry(plan: PlanAlpha, entry: number, stageIndex: number): StageAlpha {
  // Stages are entered one after the other: what is above the stage's own number are repetitions.
  const repetitions = Math.max(0, entry - stageIndex);
  const rollback = plan.rollback * rollbackPart(entry);
  const { outcomes, spending } = plan;
  return {
    rollback: rollback * (1 - (outcomes ?? 0) - (spending ?? 0)),
    ...(outcomes === undefined ? {} : { outcomes: rollback * outcomes }),
    ...(spending === undefined ? {} : { spending: rollback * spending }),
    promotion: plan.promotion * promotionPart(repetitions),
    weights: plan.weights,
  };
}

/**
 * What of an entry's alpha one share of a ramp may spend. Each share begins with fresh evidence: the stage's own, which is
 * applied for longest, has a half of the chance of a false rollback, and the steps before it share the other half.
 */
export function alphaAtStep(
  alpha: StageAlpha,
  { step, of }: { readonly step: number; readonly of: number },
): StageAlpha {
  if (of < 2) return alpha;
  const part = step === of ? 1 / 2 : 1 / (2 * (of - 1));
  return {
    ...alpha,
    rollback: alpha.rollback * part,
    ...(alpha.outcomes === undefined ? {} : { outcomes: alpha.outcomes * part }),
    ...(alpha.spending === undefined ? {} : { spending: alpha.spending * part }),
  };
}

/** A half, a quarter, an eighth, then slowly less: harm is most likely seen at once. The sum over all entries is 1. */
function rollbackPart(entry: number): number {
  return entry < 3 ? 2 ** -entry : 1 / (4 * (entry - 2) * (entry - 1));
}

/** Nine tenths for the first entry into a stage; the sum over all is 1. */
function promotionPart(repetitions: number): number {
  return repetitions === 0 ? 0.9 : 0.1 / (repetitions * (repetitions + 1));
}

/**
 * The weight of one of several guardrails of a kind (the latencies of models and shapes) by the order in which they
 * were first seen: those of the first judged window, `first` of them, have three quarters, later ones an eighth in
 * all. A weight never changes, so all that is ever judged adds up to at most 1 with `POOL_WEIGHT`.
 */
export function orderWeight(index: number, first: number): number {
  if (index < first) return 0.75 / first;
  const later = index - first + 1;
  return 0.125 / (later * (later + 1));
}

/** The weight of what is pooled because it is small, all shapes together. */
export const POOL_WEIGHT = 0.125;

/** What a process over all answers together has of the weight of latencies; models and shapes by themselves share the rest. */
export const TOGETHER_WEIGHT = 0.7;
