import type { TrainingPlan, TrainingSettings } from './training-plan';
import { smallerMicroBatch } from './training-plan';

/** Bytes that one way of training takes. */
export interface MemoryNeed {
  /** Weights, gradients and both moments, in FP32, for as long as a step runs. */
  readonly stateBytes: number;
  /** What comes and goes within a micro-batch: working copies, activations, scores, logits. An estimate. */
  readonly temporaryBytes: number;
}

/** Whether a plan fits, and how. */
export interface MemoryFit {
  readonly settings: TrainingSettings;
  readonly need: MemoryNeed;
  readonly availableBytes: number | null;
  /** What had to be changed of the plan, a sentence each. */
  readonly changes: readonly string[];
}

/** Thrown for a plan that fits in no way. */
export class PlanTooLarge extends Error {
  override readonly name = 'PlanTooLarge';
}

/**
 * The first way that fits: as planned, then with smaller micro-batches, then with recomputation. The recipe stays: states
 * dominate, and they are FP32 in every recipe. Throws `PlanTooLarge`.
 */
export function fitPlan(
  plan: TrainingPlan,
  availableBytes: number | null,
  needOf: (settings: TrainingSettings) => MemoryNeed,
): MemoryFit {
  let smallest = 0;
  for (const settings of waysOf(plan)) {
    const need = needOf(settings);
    smallest = need.stateBytes + need.temporaryBytes;
    if (availableBytes !== null && smallest > availableBytes) continue;
    return { settings, need, availableBytes, changes: changesOf(plan, settings) };
  }
  throw new PlanTooLarge(
    `the plan does not fit: with one sequence at a time and recomputation it needs ${gibibytes(smallest)}, ` +
      `and ${gibibytes(availableBytes ?? 0)} may be used. Lower sequenceTokens, or train on a larger device`,
  );
}

function* waysOf({ recipe, batch, microBatch, recompute }: TrainingPlan): Generator<TrainingSettings> {
  for (const again of recompute ? [true] : [false, true]) {
    for (let size: number | null = microBatch; size !== null; size = smallerMicroBatch(batch, size)) {
      yield { recipe, microBatch: size, recompute: again };
    }
  }
}

function changesOf(plan: TrainingPlan, { microBatch, recompute }: TrainingSettings): string[] {
  return [
    ...(microBatch === plan.microBatch
      ? []
      : [
          `micro-batch ${microBatch} instead of ${plan.microBatch}, accumulated ${plan.batch / microBatch} times`,
        ]),
    ...(recompute === plan.recompute ? [] : ['activations are computed twice instead of kept']),
  ];
}

/** Bytes as people read them. */
export function gibibytes(bytes: number): string {
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
