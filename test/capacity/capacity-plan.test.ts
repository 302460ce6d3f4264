import { checkArticleClaims } from '../../src/capacity/article-claims';
import { breakEven } from '../../src/capacity/break-even';
import { BUILT_IN_MODELS } from '../../src/capacity/built-in-models';
import { GPUS } from '../../src/capacity/gpu';
import { cacheBytesPerToken, cacheBytesPerTokenAndRank } from '../../src/capacity/kv-cache';
import { architectureOf } from '../../src/capacity/model-config';
import { countParameters, tensorsOf, type WeightFormat, weightSize } from '../../src/capacity/parameters';
import { servingFit } from '../../src/capacity/serving-fit';
import { activationBytes, TRAINING_RECIPES, trainingState } from '../../src/capacity/training-memory';

function model(name: string) {
  return architectureOf(BUILT_IN_MODELS.get(name), name);
}

const deepseek = model('deepseek-v3');
const tensors = tensorsOf(deepseek);
const main = (format: WeightFormat) => weightSize(tensors, format, { prediction: false });

describe('DeepSeek-V3', () => {
  it('has the published parameters by part', () => {
    const { byPart, ...totals } = countParameters(tensors);
    expect(byPart.routed).toBe(58 * 256 * 44_040_192);
    expect(byPart.attention).toBe(61 * 187_105_280);
    expect(byPart.shared / 1e9).toBeCloseTo(2.554, 3);
    expect(byPart.dense / 1e9).toBeCloseTo(1.189, 3);
    expect((byPart.embedding + byPart.head) / 1e9).toBeCloseTo(1.853, 3);
    expect(totals.main).toBe(671_026_419_200);
    expect(totals.main + totals.prediction).toBe(684_489_845_504);
    expect(totals.activePerToken / 1e9).toBeCloseTo(37.55, 2);
    expect(totals.activeWithoutEmbedding / 1e9).toBeCloseTo(36.63, 2);
  });

  it('has the published elements by dtype and bytes', () => {
    const whole = weightSize(tensors, 'fp8', { prediction: true });
    expect(whole.quantizedElements).toBe(680_571_043_840);
    expect(whole.workingElements).toBe(3_918_786_560);
    expect(whole.float32Elements + whole.scaleElements).toBe(41_555_600);
    expect(684_489_845_504 + whole.scaleElements).toBe(684_531_386_000);
    expect(whole.bytes / 1e9).toBeCloseTo(688.57, 2);
    expect(whole.bytes / 2 ** 30).toBeCloseTo(641.3, 1);
    expect(main('fp8').bytes / 1e9).toBeCloseTo(673.15, 2);
    expect(main('fp8').bytes / 2 ** 30).toBeCloseTo(626.9, 1);
    expect(main('bf16').bytes / 1e9).toBeCloseTo(1342.05, 2);
  });

  it('keeps a latent cache of 70,272 B a token, on every rank', () => {
    expect(cacheBytesPerToken(deepseek, 'bf16')).toBe(70_272);
    expect(cacheBytesPerToken(deepseek, 'fp8')).toBe(35_136);
    expect(cacheBytesPerTokenAndRank(deepseek, 'bf16', 16)).toBe(70_272);
  });

  it.each<[WeightFormat, string, number, number]>([
    ['fp8', 'H100', 9, 16],
    ['fp8', 'H200', 5, 8],
    ['fp8', 'MI300X', 4, 8],
    ['fp8', 'B200', 4, 8],
    ['bf16', 'H100', 18, 32],
    ['bf16', 'H200', 10, 16],
    ['bf16', 'MI300X', 8, 16],
    ['bf16', 'A100', 18, 32],
    ['int8', 'A100', 9, 16],
    ['awq', 'A100', 5, 8],
    ['awq', 'H100', 5, 8],
  ])(
    'in %s on %s needs at least %i and is deployed on %i GPUs, as vLLM and SGLang document',
    (format, name, floor, gpus) => {
      const fit = servingFit(deepseek, main(format).bytes, gpu(name), load);
      expect(fit).toMatchObject({ floorGpus: floor, gpus });
    },
  );

  it('nominally fits 8 H100 with 1.28 GiB a GPU to spare, and does not at 0.9 of memory', () => {
    const nominal = servingFit(deepseek, main('fp8').bytes, gpu('H100'), {
      ...load,
      utilization: 1,
      concurrency: 1,
      contextTokens: 1,
    });
    expect(nominal.gpus).toBe(8);
    expect((nominal.spareMibPerGpu ?? 0) / 1024).toBeCloseTo(1.28, 2);
    expect(servingFit(deepseek, main('fp8').bytes, gpu('H100'), load).gpus).toBe(16);
  });

  it('says so when nothing up to 64 nodes holds the context', () => {
    const fit = servingFit(deepseek, main('fp8').bytes, gpu('H100'), { ...load, contextTokens: 1e9 });
    expect(fit).toMatchObject({ floorGpus: 9, gpus: null, maxContextTokens: null });
  });
});

it.each([
  ['llama-3-70b', 70_553_706_496, 327_680],
  ['llama-3.1-405b', 405_853_388_800, 516_096],
  ['qwen3-8b', 8_190_735_360, 147_456],
  ['qwen3-32b', 32_762_123_264, 262_144],
  ['qwen3-235b-a22b', 235_093_634_560, 192_512],
])('counts %s at %i parameters and %i cache bytes a token', (name, parameters, cacheBytes) => {
  expect(countParameters(tensorsOf(model(name))).main).toBe(parameters);
  expect(cacheBytesPerToken(model(name), 'bf16')).toBe(cacheBytes);
});

it('counts 22.19 B active parameters in Qwen3-235B-A22B', () => {
  expect(countParameters(tensorsOf(model('qwen3-235b-a22b'))).activePerToken / 1e9).toBeCloseTo(22.19, 2);
});

it.each([
  [
    'mixtral',
    { ...grouped(4096, 32, 14336, 32, 8, 32000), num_local_experts: 8, num_experts_per_tok: 2 },
    46_702_792_704,
  ],
  ['mistral', grouped(4096, 32, 14336, 32, 8, 32000), 7_241_732_096],
  ['qwen2', grouped(3584, 28, 18944, 28, 4, 152064), 7_615_616_512],
  [
    'llama',
    { ...grouped(2048, 16, 8192, 32, 8, 128256), tie_word_embeddings: true, head_dim: 64 },
    1_235_814_400,
  ],
])('counts a published %s model exactly', (type, config, parameters) => {
  expect(countParameters(tensorsOf(architectureOf({ ...config, model_type: type }, type))).main).toBe(
    parameters,
  );
});

it('shares grouped key-value heads among ranks, and no further than there are heads', () => {
  const llama = model('llama-3-70b');
  expect(cacheBytesPerTokenAndRank(llama, 'bf16', 4)).toBe(327_680 / 4);
  expect(cacheBytesPerTokenAndRank(llama, 'bf16', 16)).toBe(327_680 / 8);
});

it('refuses a model type whose layout it does not know, and a document that is no configuration', () => {
  expect(() => architectureOf({ ...grouped(8, 1, 8, 1, 1, 8), model_type: 'mamba' }, 'x')).toThrow(
    'model_type "mamba"',
  );
  expect(() => architectureOf({ model_type: 'llama', hidden_size: -1 }, 'x')).toThrow(
    'not a model configuration',
  );
  expect(() => architectureOf({ ...grouped(8, 1, 8, 1, 1, 8), model_type: 'qwen3_moe' }, 'x')).toThrow(
    'x lacks "num_experts"',
  );
});

describe('training', () => {
  it.each([
    ['BF16 mixed, Adam', 16, 16],
    ['ZeRO stage 1', 16, 4 + 12 / 8],
    ['ZeRO stage 2', 16, 2 + 14 / 8],
    ['ZeRO stage 3', 16, 16 / 8],
    ['Megatron, FP32 gradients', 18, 18],
    ['Megatron, distributed optimizer', 18, 6 + 12 / 8],
    ['DeepSeek-V3 (FP8 working copy)', 13, 13],
  ])('%s takes %d bytes a parameter, %d on each of 8 ranks', (name, total, rank) => {
    const recipe = TRAINING_RECIPES.find((one) => one.name === name);
    if (recipe === undefined) throw new Error(`no recipe ${name}`);
    expect(trainingState(1e9, recipe, 8)).toEqual({ totalBytes: total * 1e9, bytesPerRank: rank * 1e9 });
  });

  it('of DeepSeek-V3 takes 8.7 to 12.1 TB before activations', () => {
    const totals = TRAINING_RECIPES.map(
      (recipe) => trainingState(671_026_419_200, recipe, 1).totalBytes / 1e12,
    );
    expect(Math.min(...totals)).toBeCloseTo(8.7, 1);
    expect(Math.max(...totals)).toBeCloseTo(12.1, 1);
  });

  it('keeps only the input of each layer under full recomputation', () => {
    const batch = { sequenceTokens: 4096, microBatch: 2 };
    expect(activationBytes(deepseek, { ...batch, recompute: 'full' })).toBe(2 * 8192 * 7168 * 61);
    // Per token and layer of Llama-3-70B: 4 x 8192 inputs, 2 x 72 x 128 of attention, 3 x 28672 of the network.
    expect(activationBytes(model('llama-3-70b'), { ...batch, recompute: 'none' })).toBe(
      2 * 8192 * 80 * (4 * 8192 + 2 * 72 * 128 + 3 * 28672),
    );
  });
});

describe('break-even', () => {
  it('is where the hours cost what the API would', () => {
    expect(
      breakEven({ gpus: 8, gpuHourUsd: 3, tokensPerSecond: 6000, apiUsdPerMillionTokens: 0.42 }),
    ).toEqual({
      costPerHourUsd: 24,
      costPerMonthUsd: 17_280,
      costPerMillionTokensUsd: expect.closeTo(1.1111, 4),
      breakEvenTokensPerSecond: expect.closeTo(15_873.016, 3),
      breakEvenMillionTokensPerMonth: expect.closeTo(41_142.857, 3),
      breakEvenUtilization: expect.closeTo(2.6455, 4),
    });
  });

  it('leaves out what was not stated', () => {
    expect(
      breakEven({ gpus: 8, gpuHourUsd: 3, tokensPerSecond: null, apiUsdPerMillionTokens: null }),
    ).toMatchObject({
      costPerHourUsd: 24,
      costPerMillionTokensUsd: null,
      breakEvenTokensPerSecond: null,
      breakEvenUtilization: null,
    });
  });
});

it("contradicts the article's GPU counts with its own numbers", () => {
  const claims = checkArticleClaims();
  expect(claims.map(({ verdict }) => verdict)).toEqual([
    'holds in part',
    'holds in part',
    'holds in part',
    'contradicted',
    'contradicted',
  ]);
  expect(claims[2]?.ours).toContain('673.15 GB against 1342.05 GB');
  expect(claims[3]?.ours).toBe(
    '16 x H100 in FP8 (at least 9 for the weights), 32 x A100 in BF16 (at least 18)',
  );
  expect(claims[4]?.ours).toContain('that gives 9 H100');
});

const load = { utilization: 0.9, contextTokens: 8192, concurrency: 32, cacheFormat: 'bf16' as const };

function gpu(name: string) {
  const found = GPUS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no GPU ${name}`);
  return found;
}

function grouped(
  hidden: number,
  layers: number,
  intermediate: number,
  heads: number,
  kvHeads: number,
  vocabulary: number,
) {
  return {
    model_type: 'llama',
    hidden_size: hidden,
    num_hidden_layers: layers,
    intermediate_size: intermediate,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    vocab_size: vocabulary,
  };
}
