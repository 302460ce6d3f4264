import type { ModelArchitecture } from './model-architecture';

/** Number format of the key-value cache. */
export type CacheFormat = 'bf16' | 'fp8';

/** Bytes that one token of context holds in the cache, over all layers. */
export function cacheBytesPerToken(model: ModelArchitecture, format: CacheFormat): number {
  const bytes = format === 'bf16' ? 2 : 1;
  const { attention, layers } = model;
  if (attention.kind === 'mla') {
    return (attention.keyValueRank + attention.queryKeyRopeDim) * layers * bytes;
  }
  return 2 * attention.keyValueHeads * attention.headDim * layers * bytes;
}

/** What the cache would take if latent attention were mistaken for multi-head attention. */
export function naiveCacheBytesPerToken(model: ModelArchitecture, format: CacheFormat): number {
  const { attention, layers } = model;
  const headDim = attention.kind === 'mla' ? attention.valueDim : attention.headDim;
  return 2 * attention.heads * headDim * layers * (format === 'bf16' ? 2 : 1);
}

/**
 * Cache bytes a token on each rank of plain tensor parallelism: key-value heads are shared out,
 * a latent cache and heads fewer than ranks are replicated.
 */
export function cacheBytesPerTokenAndRank(
  model: ModelArchitecture,
  format: CacheFormat,
  ranks: number,
): number {
  const whole = cacheBytesPerToken(model, format);
  if (model.attention.kind === 'mla') return whole;
  return whole / Math.min(ranks, model.attention.keyValueHeads);
}
