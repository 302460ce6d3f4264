import type { MemoryNeed } from '../core/training/memory-fit';
import type { TrainingSettings } from '../core/training/training-plan';
import type { ModelArchitecture } from './model-architecture';
import { countParameters, tensorsOf } from './parameters';
import { activationBytes } from './training-memory';

/** FP32 weights, gradients and two moments: of every recipe, on one device. */
const STATE_BYTES_PER_PARAMETER = 16;

/** What `cutover train` takes on one device, whose attention keeps its scores (no fused kernel). */
export function fineTuneMemory(
  model: ModelArchitecture,
  batch: { readonly sequenceTokens: number } & TrainingSettings,
): MemoryNeed {
  const parameters = countParameters(tensorsOf(model)).main;
  const { sequenceTokens, microBatch, recompute, recipe } = batch;
  const tokens = sequenceTokens * microBatch;
  const kept = activationBytes(model, { sequenceTokens, microBatch, recompute: recompute ? 'full' : 'none' });
  const heads = model.attention.heads;
  const layersWithScores = recompute ? 1 : model.layers;
  // FP32 scores and their BF16 softmax.
  const scores = layersWithScores * heads * microBatch * sequenceTokens ** 2 * 6;
  // FP32 logits and their gradient.
  const logits = 2 * 4 * tokens * model.vocabularySize;
  // The gradients of one micro-batch before they are added, and working copies of the weights.
  const copies = parameters * (4 + (recipe === 'bf16' ? 2 : 1));
  return {
    stateBytes: parameters * STATE_BYTES_PER_PARAMETER,
    temporaryBytes: Math.ceil(kept + scores + logits + copies),
  };
}
