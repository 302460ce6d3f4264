/** Multi-head latent attention (DeepSeek-V2 and later): keys and values share one compressed vector. */
export interface LatentAttention {
  readonly kind: 'mla';
  readonly heads: number;
  readonly queryRank: number;
  readonly keyValueRank: number;
  readonly queryKeyNopeDim: number;
  readonly queryKeyRopeDim: number;
  readonly valueDim: number;
}

/** Multi-head attention, or grouped-query attention when there are fewer key-value heads than heads. */
export interface GroupedAttention {
  readonly kind: 'grouped';
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  /** Which projections carry a bias vector. */
  readonly bias: 'none' | 'qkv' | 'qkvo';
  /** Qwen3 normalises queries and keys by head. */
  readonly queryKeyNorm: boolean;
}

/** Experts of a mixture-of-experts layer. */
export interface Experts {
  readonly routed: number;
  readonly perToken: number;
  readonly shared: number;
  readonly intermediateSize: number;
  /** DeepSeek-V3 keeps an FP32 bias per expert for load balancing. */
  readonly correctionBias: boolean;
}

/** What is needed of a decoder-only transformer to count its parameters and its key-value cache. */
export interface ModelArchitecture {
  readonly name: string;
  readonly modelType: string;
  readonly hiddenSize: number;
  readonly layers: number;
  /** Layers with a dense feed-forward network; the rest have experts. */
  readonly denseLayers: number;
  /** Width of the dense feed-forward network; 0 when no layer has one. */
  readonly intermediateSize: number;
  readonly vocabularySize: number;
  readonly attention: LatentAttention | GroupedAttention;
  readonly experts: Experts | null;
  readonly tiedEmbeddings: boolean;
  /** Multi-token-prediction layers, stored after the main ones and not used for plain decoding. */
  readonly predictionLayers: number;
  /** Longest context of the configuration, in tokens; null when it does not say. */
  readonly maxContext: number | null;
  /** Block of the FP8 weight scales in the published checkpoint; null when it is not block-scaled FP8. */
  readonly fp8Block: readonly [number, number] | null;
}

/** `MHA`, `GQA`, `MQA` or `MLA`. */
export function attentionName(attention: ModelArchitecture['attention']): string {
  if (attention.kind === 'mla') return 'MLA';
  if (attention.keyValueHeads === attention.heads) return 'MHA';
  return attention.keyValueHeads === 1 ? 'MQA' : 'GQA';
}
