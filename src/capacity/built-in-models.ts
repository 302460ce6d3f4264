/** Published config.json files, cut to the fields that decide sizes; the names are what `cutover capacity` takes. */
export const BUILT_IN_MODELS: ReadonlyMap<string, object> = new Map<string, object>([
  [
    'deepseek-v3',
    {
      model_type: 'deepseek_v3',
      hidden_size: 7168,
      num_hidden_layers: 61,
      first_k_dense_replace: 3,
      intermediate_size: 18432,
      n_routed_experts: 256,
      num_experts_per_tok: 8,
      n_shared_experts: 1,
      moe_intermediate_size: 2048,
      num_attention_heads: 128,
      num_key_value_heads: 128,
      q_lora_rank: 1536,
      kv_lora_rank: 512,
      qk_nope_head_dim: 128,
      qk_rope_head_dim: 64,
      v_head_dim: 128,
      vocab_size: 129280,
      num_nextn_predict_layers: 1,
      max_position_embeddings: 163840,
      tie_word_embeddings: false,
      quantization_config: { quant_method: 'fp8', fmt: 'e4m3', weight_block_size: [128, 128] },
    },
  ],
  ['llama-3-70b', llama(8192, 80, 28672, 64, 8192)],
  ['llama-3.1-405b', llama(16384, 126, 53248, 128, 131072)],
  ['qwen3-8b', qwen3(4096, 36, 12288, 32)],
  ['qwen3-32b', qwen3(5120, 64, 25600, 64)],
  [
    'qwen3-235b-a22b',
    {
      model_type: 'qwen3_moe',
      hidden_size: 4096,
      num_hidden_layers: 94,
      intermediate_size: 12288,
      moe_intermediate_size: 1536,
      num_experts: 128,
      num_experts_per_tok: 8,
      decoder_sparse_step: 1,
      mlp_only_layers: [],
      num_attention_heads: 64,
      num_key_value_heads: 4,
      head_dim: 128,
      vocab_size: 151936,
      max_position_embeddings: 40960,
      tie_word_embeddings: false,
    },
  ],
]);

function llama(hidden: number, layers: number, intermediate: number, heads: number, context: number) {
  return {
    model_type: 'llama',
    hidden_size: hidden,
    num_hidden_layers: layers,
    intermediate_size: intermediate,
    num_attention_heads: heads,
    num_key_value_heads: 8,
    vocab_size: 128256,
    max_position_embeddings: context,
    tie_word_embeddings: false,
  };
}

function qwen3(hidden: number, layers: number, intermediate: number, heads: number) {
  return {
    model_type: 'qwen3',
    hidden_size: hidden,
    num_hidden_layers: layers,
    intermediate_size: intermediate,
    num_attention_heads: heads,
    num_key_value_heads: 8,
    head_dim: 128,
    vocab_size: 151936,
    max_position_embeddings: 40960,
    tie_word_embeddings: false,
  };
}
