import { z } from 'zod';
import { BadInput } from '../core/configuration/bad-input';
import type { Experts, ModelArchitecture } from './model-architecture';

const count = z.int().positive();

const configSchema = z.object({
  model_type: z.string(),
  hidden_size: count,
  num_hidden_layers: count,
  intermediate_size: count.optional(),
  num_attention_heads: count,
  num_key_value_heads: count.optional(),
  head_dim: count.nullish(),
  vocab_size: count,
  max_position_embeddings: count.optional(),
  tie_word_embeddings: z.boolean().optional(),
  attention_bias: z.boolean().optional(),
  q_lora_rank: count.nullish(),
  kv_lora_rank: count.nullish(),
  qk_nope_head_dim: count.optional(),
  qk_rope_head_dim: count.optional(),
  v_head_dim: count.optional(),
  first_k_dense_replace: z.int().nonnegative().optional(),
  n_routed_experts: count.nullish(),
  num_experts: count.optional(),
  num_local_experts: count.optional(),
  num_experts_per_tok: count.nullish(),
  n_shared_experts: z.int().nonnegative().nullish(),
  moe_intermediate_size: count.optional(),
  decoder_sparse_step: count.optional(),
  mlp_only_layers: z.array(z.int().nonnegative()).optional(),
  num_nextn_predict_layers: z.int().nonnegative().nullish(),
  quantization_config: z
    .looseObject({
      quant_method: z.string().optional(),
      weight_block_size: z.tuple([count, count]).nullish(),
    })
    .nullish(),
});

type ModelConfig = z.infer<typeof configSchema>;

/** Model types whose tensors are known to this planner; others are refused rather than guessed. */
const KNOWN_TYPES = ['deepseek_v3', 'llama', 'mistral', 'mixtral', 'qwen2', 'qwen3', 'qwen3_moe'] as const;

type KnownType = (typeof KNOWN_TYPES)[number];

/**
 * The architecture that a Hugging Face `config.json` describes.
 * Throws `BadInput` that names the field for a document that is not one, or for a model type not known.
 */
export function architectureOf(document: unknown, name: string): ModelArchitecture {
  const parsed = configSchema.safeParse(document);
  if (!parsed.success) {
    throw new BadInput(`${name} is not a model configuration: ${z.prettifyError(parsed.error)}`);
  }
  const config = parsed.data;
  const type = KNOWN_TYPES.find((known) => known === config.model_type);
  if (type === undefined) {
    throw new BadInput(
      `${name} has model_type "${config.model_type}", whose layout is not known here (known: ${KNOWN_TYPES.join(', ')}); ` +
        'give a safetensors file or index instead: its tensors are counted exactly',
    );
  }
  const experts = expertsOf(config, type, name);
  return {
    name,
    modelType: type,
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    denseLayers: experts === null ? config.num_hidden_layers : denseLayersOf(config, type),
    intermediateSize: type === 'mixtral' ? 0 : needed(config.intermediate_size, 'intermediate_size', name),
    vocabularySize: config.vocab_size,
    attention: attentionOf(config, type, name),
    experts,
    tiedEmbeddings: config.tie_word_embeddings ?? false,
    predictionLayers: config.num_nextn_predict_layers ?? 0,
    maxContext: config.max_position_embeddings ?? null,
    fp8Block: config.quantization_config?.weight_block_size ?? null,
  };
}

function attentionOf(config: ModelConfig, type: KnownType, name: string): ModelArchitecture['attention'] {
  if (type === 'deepseek_v3') {
    return {
      kind: 'mla',
      heads: config.num_attention_heads,
      queryRank: needed(config.q_lora_rank, 'q_lora_rank', name),
      keyValueRank: needed(config.kv_lora_rank, 'kv_lora_rank', name),
      queryKeyNopeDim: needed(config.qk_nope_head_dim, 'qk_nope_head_dim', name),
      queryKeyRopeDim: needed(config.qk_rope_head_dim, 'qk_rope_head_dim', name),
      valueDim: needed(config.v_head_dim, 'v_head_dim', name),
    };
  }
  const bias = type === 'qwen2' ? 'qkv' : config.attention_bias === true ? 'qkvo' : 'none';
  return {
    kind: 'grouped',
    heads: config.num_attention_heads,
    keyValueHeads: config.num_key_value_heads ?? config.num_attention_heads,
    headDim: config.head_dim ?? config.hidden_size / config.num_attention_heads,
    bias,
    queryKeyNorm: type === 'qwen3' || type === 'qwen3_moe',
  };
}

function expertsOf(config: ModelConfig, type: KnownType, name: string): Experts | null {
  const perToken = () => needed(config.num_experts_per_tok, 'num_experts_per_tok', name);
  switch (type) {
    case 'deepseek_v3':
      return {
        routed: needed(config.n_routed_experts, 'n_routed_experts', name),
        perToken: perToken(),
        shared: config.n_shared_experts ?? 0,
        intermediateSize: needed(config.moe_intermediate_size, 'moe_intermediate_size', name),
        correctionBias: true,
      };
    case 'mixtral':
      return {
        routed: needed(config.num_local_experts, 'num_local_experts', name),
        perToken: perToken(),
        shared: 0,
        intermediateSize: needed(config.intermediate_size, 'intermediate_size', name),
        correctionBias: false,
      };
    case 'qwen3_moe':
      return {
        routed: needed(config.num_experts, 'num_experts', name),
        perToken: perToken(),
        shared: 0,
        intermediateSize: needed(config.moe_intermediate_size, 'moe_intermediate_size', name),
        correctionBias: false,
      };
    default:
      return null;
  }
}

function denseLayersOf(config: ModelConfig, type: KnownType): number {
  if (type === 'deepseek_v3') return Math.min(config.first_k_dense_replace ?? 0, config.num_hidden_layers);
  if (type === 'mixtral') return 0;
  const step = config.decoder_sparse_step ?? 1;
  const dense = new Set(config.mlp_only_layers ?? []);
  let layers = 0;
  for (let layer = 0; layer < config.num_hidden_layers; layer += 1) {
    if (dense.has(layer) || (layer + 1) % step !== 0) layers += 1;
  }
  return layers;
}

function needed(value: number | null | undefined, field: string, name: string): number {
  if (value === null || value === undefined) {
    throw new BadInput(`${name} lacks "${field}", which its model_type needs`);
  }
  return value;
}
