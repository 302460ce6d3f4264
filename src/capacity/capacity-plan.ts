import { type BreakEven, breakEven } from './break-even';
import type { Gpu } from './gpu';
import { type CacheFormat, cacheBytesPerToken, naiveCacheBytesPerToken } from './kv-cache';
import { attentionName } from './model-architecture';
import type { ModelSource } from './model-source';
import { countParameters, type ParameterCount, tensorsOf, type WeightFormat, weightSize } from './parameters';
import type { CheckpointContents } from './safetensors';
import { type ServingFit, servingFit } from './serving-fit';
import { activationBytes, TRAINING_RECIPES, trainingState } from './training-memory';

/** What a capacity plan is asked for. */
export interface CapacityQuestion {
  readonly gpus: readonly Gpu[];
  readonly utilization: number;
  readonly contextTokens: number;
  readonly concurrency: number;
  readonly cacheFormat: CacheFormat;
  readonly dataParallel: number;
  readonly sequenceTokens: number;
  readonly microBatch: number;
  readonly gpuHourUsd: number | null;
  readonly tokensPerSecond: number | null;
  readonly apiUsdPerMillionTokens: number | null;
}

/** Deployments of one weight format. */
export interface FormatPlan {
  readonly format: WeightFormat | 'checkpoint';
  readonly weightBytes: number;
  readonly fits: readonly (ServingFit & { fp8Compute: boolean; cost: BreakEven | null })[];
}

/** Everything that `cutover capacity` prints; parts that the source cannot answer are null. */
export interface CapacityPlan {
  readonly model: string;
  readonly attention: string | null;
  readonly parameters: ParameterCount | null;
  readonly checkpoint: CheckpointContents | null;
  /** Published FP8 checkpoint with scales and prediction layers, for models that publish one. */
  readonly fp8Checkpoint: {
    elements: number;
    scaleElements: number;
    bytes: number;
    bytesWithoutPrediction: number;
  } | null;
  readonly cache: { bytesPerToken: number; bytesPerTokenAsMultiHead: number; format: CacheFormat } | null;
  readonly formats: readonly FormatPlan[];
  readonly training: {
    readonly recipes: readonly {
      name: string;
      parts: string;
      bytesPerParameter: number;
      totalBytes: number;
      bytesPerRank: number;
    }[];
    readonly activationBytes: { none: number; full: number } | null;
  } | null;
}

const FORMATS: readonly WeightFormat[] = ['fp8', 'bf16', 'int8', 'awq'];

/** Answers a capacity question about a model. */
export function planCapacity(source: ModelSource, question: CapacityQuestion): CapacityPlan {
  const { architecture: model, checkpoint } = source;
  const groups = model === null ? null : tensorsOf(model);
  const parameters = groups === null ? null : countParameters(groups);
  const block = model?.fp8Block ?? [128, 128];
  const sizes: { format: FormatPlan['format']; bytes: number }[] = [
    ...(checkpoint === null
      ? []
      : [{ format: 'checkpoint' as const, bytes: checkpoint.mainBytes ?? checkpoint.bytes }]),
    ...(groups === null
      ? []
      : FORMATS.map((format) => ({
          format,
          bytes: weightSize(groups, format, { prediction: false, block }).bytes,
        }))),
  ];
  const count = parameters?.main ?? checkpoint?.parameters ?? null;
  return {
    model: source.name,
    attention: model === null ? null : attentionName(model.attention),
    parameters,
    checkpoint,
    fp8Checkpoint: groups === null || model?.fp8Block == null ? null : fp8Checkpoint(groups, model.fp8Block),
    cache:
      model === null
        ? null
        : {
            format: question.cacheFormat,
            bytesPerToken: cacheBytesPerToken(model, question.cacheFormat),
            bytesPerTokenAsMultiHead: naiveCacheBytesPerToken(model, question.cacheFormat),
          },
    formats:
      model === null
        ? []
        : sizes.map(({ format, bytes }) => ({
            format,
            weightBytes: bytes,
            fits: question.gpus.map((gpu) => {
              const fit = servingFit(model, bytes, gpu, question);
              return { ...fit, fp8Compute: gpu.fp8Compute, cost: costOf(fit.gpus, question) };
            }),
          })),
    training:
      count === null
        ? null
        : {
            recipes: TRAINING_RECIPES.map((recipe) => ({
              name: recipe.name,
              parts: recipe.parts,
              bytesPerParameter: recipe.bytesPerParameter,
              ...trainingState(count, recipe, question.dataParallel),
            })),
            activationBytes:
              model === null
                ? null
                : {
                    none: activationBytes(model, { ...question, recompute: 'none' }),
                    full: activationBytes(model, { ...question, recompute: 'full' }),
                  },
          },
  };
}

function fp8Checkpoint(groups: ReturnType<typeof tensorsOf>, block: readonly [number, number]) {
  const size = weightSize(groups, 'fp8', { prediction: true, block });
  return {
    elements: size.quantizedElements + size.workingElements + size.float32Elements,
    scaleElements: size.scaleElements,
    bytes: size.bytes,
    bytesWithoutPrediction: weightSize(groups, 'fp8', { prediction: false, block }).bytes,
  };
}

function costOf(gpus: number | null, question: CapacityQuestion): BreakEven | null {
  if (gpus === null || question.gpuHourUsd === null) return null;
  return breakEven({
    gpus,
    gpuHourUsd: question.gpuHourUsd,
    tokensPerSecond: question.tokensPerSecond,
    apiUsdPerMillionTokens: question.apiUsdPerMillionTokens,
  });
}
