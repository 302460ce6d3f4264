import type { ModelArchitecture } from './model-architecture';

/** How many bytes a parameter takes in training before activations. */
export interface TrainingRecipe {
  readonly name: string;
  readonly bytesPerParameter: number;
  /** Bytes each rank keeps whole; the rest is divided by the data-parallel degree. */
  readonly replicatedBytes: number;
  readonly parts: string;
}

/** Recipes of the literature; ZeRO is Rajbhandari et al. (2020), the last is DeepSeek-V3's technical report. */
export const TRAINING_RECIPES: readonly TrainingRecipe[] = [
  {
    name: 'BF16 mixed, Adam',
    bytesPerParameter: 16,
    replicatedBytes: 16,
    parts: '2 weights + 2 gradients + 12 FP32 master and moments',
  },
  { name: 'ZeRO stage 1', bytesPerParameter: 16, replicatedBytes: 4, parts: '4 + 12/d' },
  { name: 'ZeRO stage 2', bytesPerParameter: 16, replicatedBytes: 2, parts: '2 + 14/d' },
  { name: 'ZeRO stage 3', bytesPerParameter: 16, replicatedBytes: 0, parts: '16/d' },
  {
    name: 'Megatron, FP32 gradients',
    bytesPerParameter: 18,
    replicatedBytes: 18,
    parts: '2 weights + 4 gradients + 12',
  },
  {
    name: 'Megatron, distributed optimizer',
    bytesPerParameter: 18,
    replicatedBytes: 6,
    parts: '6 + 12/d',
  },
  {
    name: 'DeepSeek-V3 (FP8 working copy)',
    bytesPerParameter: 13,
    replicatedBytes: 13,
    parts: '4 master + 4 gradients + 4 BF16 moments + 1 FP8 copy (14 with a BF16 copy)',
  },
];

/** Bytes of weights, gradients and optimizer state over all ranks, and on each rank, without activations. */
export function trainingState(
  parameters: number,
  recipe: TrainingRecipe,
  dataParallel: number,
): { totalBytes: number; bytesPerRank: number } {
  const shared = recipe.bytesPerParameter - recipe.replicatedBytes;
  const bytesPerParameterAndRank = recipe.replicatedBytes + shared / dataParallel;
  return {
    totalBytes: parameters * recipe.bytesPerParameter,
    bytesPerRank: parameters * bytesPerParameterAndRank,
  };
}

/**
 * BF16 activations kept for the backward pass of one micro-batch, with a fused attention kernel (no score matrix)
 * and all layers on one rank. With full recomputation only each layer's input is kept.
 * An estimate: kernels differ in what they keep.
 */
export function activationBytes(
  model: ModelArchitecture,
  batch: { sequenceTokens: number; microBatch: number; recompute: 'none' | 'full' },
): number {
  const tokens = batch.sequenceTokens * batch.microBatch;
  const { hiddenSize, layers } = model;
  if (batch.recompute === 'full') return 2 * tokens * hiddenSize * layers;
  const dense = model.denseLayers * 3 * model.intermediateSize;
  const { experts } = model;
  const sparse =
    experts === null
      ? 0
      : (layers - model.denseLayers) *
        (3 * (experts.perToken + experts.shared) * experts.intermediateSize + experts.perToken * hiddenSize);
  // Inputs of both norms and of both blocks, then what attention and the feed-forward network keep.
  return 2 * tokens * (layers * (4 * hiddenSize + attentionWidth(model)) + dense + sparse);
}

function attentionWidth({ attention }: ModelArchitecture): number {
  if (attention.kind === 'mla') {
    const { heads, queryKeyNopeDim, queryKeyRopeDim, valueDim, queryRank, keyValueRank } = attention;
    const queryKey = queryKeyNopeDim + queryKeyRopeDim;
    return queryRank + keyValueRank + queryKeyRopeDim + heads * (2 * queryKey + 2 * valueDim);
  }
  return 2 * (attention.heads + attention.keyValueHeads) * attention.headDim;
}
