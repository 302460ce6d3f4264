import { BUILT_IN_MODELS } from './built-in-models';
import { TRANSFORMER_ENGINE_HYBRID } from './fp8-scaling';
import { GPUS } from './gpu';
import { architectureOf } from './model-config';
import { countParameters, tensorsOf, type WeightFormat, weightSize } from './parameters';
import { servingFit } from './serving-fit';
import { TRAINING_RECIPES } from './training-memory';

/** One claim of the source article beside what the planner computes. */
export interface CheckedClaim {
  readonly claim: string;
  readonly ours: string;
  readonly verdict: 'holds' | 'holds in part' | 'contradicted';
}

/** The article's capacity claims, each judged by numbers computed here for DeepSeek-V3. */
export function checkArticleClaims(): readonly CheckedClaim[] {
  const model = architectureOf(BUILT_IN_MODELS.get('deepseek-v3'), 'deepseek-v3');
  const groups = tensorsOf(model);
  const parameters = countParameters(groups).main;
  const bytes = (format: WeightFormat) => weightSize(groups, format, { prediction: false }).bytes;
  const deployed = (name: string, format: WeightFormat) => {
    const gpu = GPUS.find((one) => one.name === name);
    if (gpu === undefined) throw new RangeError(`no GPU is named ${name}`);
    return servingFit(model, bytes(format), gpu, {
      utilization: 0.9,
      contextTokens: 8192,
      concurrency: 32,
      cacheFormat: 'bf16',
    });
  };
  const h100 = deployed('H100', 'fp8');
  const a100 = deployed('A100', 'bf16');
  const { forward, backward } = TRANSFORMER_ENGINE_HYBRID;
  const mixed = recipe('BF16 mixed, Adam');
  const own = recipe('DeepSeek-V3 (FP8 working copy)');
  const byFormula = Math.floor(bytes('fp8') / 80e9) + 1;

  return [
    {
      claim: `Transformer Engine recipe ${forward.historyLength} / ${forward.algorithm} / ${forward.margin}, HYBRID`,
      ours: `valid defaults (${forward.format} forward, ${backward.format} backward); DeepSeek-V3 itself uses E4M3 throughout with block scaling and no history`,
      verdict: 'holds in part',
    },
    {
      claim: 'FP32 optimizer states',
      ours: `master weights FP32, moments BF16 in DeepSeek-V3: ${own.parts}`,
      verdict: 'holds in part',
    },
    {
      claim: 'FP8 halves memory',
      ours:
        `weights ${gigabytes(bytes('fp8'))} against ${gigabytes(bytes('bf16'))} in BF16 (ratio ${(bytes('fp8') / bytes('bf16')).toFixed(3)}); ` +
        `training takes ${own.bytesPerParameter} to ${mixed.bytesPerParameter} bytes a parameter (${terabytes(parameters * own.bytesPerParameter)} to ${terabytes(parameters * mixed.bytesPerParameter)}), where states dominate`,
      verdict: 'holds in part',
    },
    {
      claim: '8 x H100 instead of 16 x A100',
      ours: `${h100.gpus} x H100 in FP8 (at least ${h100.floorGpus} for the weights), ${a100.gpus} x A100 in BF16 (at least ${a100.floorGpus})`,
      verdict: 'contradicted',
    },
    {
      claim: 'GPUs = total / 80 GB + 1',
      ours: `that gives ${byFormula} H100 for FP8; with MiB, 10% headroom, KV cache replicated on each rank and whole nodes it takes ${h100.gpus}`,
      verdict: 'contradicted',
    },
  ];
}

function recipe(name: string) {
  const found = TRAINING_RECIPES.find((one) => one.name === name);
  if (found === undefined) throw new RangeError(`no training recipe is named ${name}`);
  return found;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

function terabytes(bytes: number): string {
  return `${(bytes / 1e12).toFixed(1)} TB`;
}
