import type { MemoryNeed } from '../core/training/memory-fit';
import type { RecipeName } from '../core/training/recipe';
import type { TrainingSettings } from '../core/training/training-plan';
import type { ModelArchitecture } from './model-architecture';
import { countParameters, tensorsOf } from './parameters';
import { activationBytes } from './training-memory';

/** FP32 weights, gradients and two moments: of every recipe, on one device. */
const STATE_BYTES_PER_PARAMETER = 16;

/**
 * What `cutover train` takes on one device. States are exact; the rest is an estimate, whose factors were measured on CPUs
 * (docs/training.md), where XLA computes BF16 in FP32: a GPU needs less. Attention keeps its scores (no fused kernel).
 */
export function fineTuneMemory(
  model: ModelArchitecture,
  batch: { readonly sequenceTokens: number } & TrainingSettings,
): MemoryNeed {
  const parameters = countParameters(tensorsOf(model)).main;
  const { sequenceTokens, microBatch, recompute, recipe } = batch;
  const tokens = sequenceTokens * microBatch;
  const activations = (how: 'none' | 'full') =>
    activationBytes(model, { sequenceTokens, microBatch, recompute: how });
  // Computed again, only inputs of layers stay, and what one layer needs.
  const layers = recompute ? 1 : model.layers;
  const kept = recompute ? activations('full') + activations('none') / model.layers : activations('none');
  const scores = layers * model.attention.heads * microBatch * sequenceTokens ** 2;
  // FP32 logits, their softmax and their gradient.
  const logits = 3 * 4 * tokens * model.vocabularySize;
  const copies = COPIES_BYTES[recipe] * parameters;
  return {
    stateBytes: parameters * STATE_BYTES_PER_PARAMETER,
    temporaryBytes: Math.ceil(copies + ACTIVATIONS_FACTOR * kept + BYTES_PER_SCORE * scores + logits),
  };
}

/** Per parameter: the gradients of a micro-batch before they are added, and weights on their way to FP8. */
const COPIES_BYTES: Readonly<Record<RecipeName, number>> = {
  bf16: 4,
  'fp8-delayed': 8,
  'fp8-current': 8,
  'fp8-block': 10,
};
/** Of activations in BF16 what is kept in fact: conversions, and both sides of each. */
const ACTIVATIONS_FACTOR = 2.3;
/** FP32 before and after the softmax, and its gradient. */
const BYTES_PER_SCORE = 12;
