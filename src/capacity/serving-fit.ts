import type { Gpu } from './gpu';
import { type CacheFormat, cacheBytesPerTokenAndRank } from './kv-cache';
import type { ModelArchitecture } from './model-architecture';

const MIB = 2 ** 20;

/** What is asked of a deployment. */
export interface ServingLoad {
  /** Part of each GPU's memory that weights and cache may take; the rest is for activations and the runtime. */
  readonly utilization: number;
  readonly contextTokens: number;
  readonly concurrency: number;
  readonly cacheFormat: CacheFormat;
}

/** How many GPUs of one kind a model needs, and why. */
export interface ServingFit {
  readonly gpu: string;
  /** GPUs that hold the weights alone at this utilisation: a lower bound, not a deployment. */
  readonly floorGpus: number;
  /** Smallest tensor-parallel deployment of whole nodes that holds weights and cache; null when none up to 64 nodes does. */
  readonly gpus: number | null;
  readonly nodes: number | null;
  readonly weightsMibPerGpu: number | null;
  readonly cacheMibPerGpu: number | null;
  /** Memory left within the utilisation on each GPU. */
  readonly spareMibPerGpu: number | null;
  /** Longest total of concurrent context tokens that the deployment holds. */
  readonly maxContextTokens: number | null;
}

/** The smallest deployment of `gpu` that serves the model under tensor parallelism. */
export function servingFit(
  model: ModelArchitecture,
  weightBytes: number,
  gpu: Gpu,
  load: ServingLoad,
): ServingFit {
  const usableMib = gpu.memoryMib * load.utilization;
  const weightsMib = weightBytes / MIB;
  const floorGpus = Math.ceil(weightsMib / usableMib);
  for (const ranks of deploymentSizes(gpu.perNode, model.attention.heads)) {
    const tokenMib = cacheBytesPerTokenAndRank(model, load.cacheFormat, ranks) / MIB;
    const weightsMibPerGpu = weightsMib / ranks;
    const cacheMibPerGpu = tokenMib * load.contextTokens * load.concurrency;
    const spare = usableMib - weightsMibPerGpu - cacheMibPerGpu;
    if (spare < 0) continue;
    return {
      gpu: gpu.name,
      floorGpus,
      gpus: ranks,
      nodes: Math.ceil(ranks / gpu.perNode),
      weightsMibPerGpu,
      cacheMibPerGpu,
      spareMibPerGpu: spare,
      maxContextTokens: Math.floor((usableMib - weightsMibPerGpu) / tokenMib),
    };
  }
  return {
    gpu: gpu.name,
    floorGpus,
    gpus: null,
    nodes: null,
    weightsMibPerGpu: null,
    cacheMibPerGpu: null,
    spareMibPerGpu: null,
    maxContextTokens: null,
  };
}

/** Powers of two within a node, then whole nodes in powers of two; heads must divide evenly among ranks. */
function* deploymentSizes(perNode: number, heads: number): Generator<number> {
  for (let ranks = 1; ranks <= 64 * perNode; ranks *= 2) {
    if (heads % ranks === 0) yield ranks;
  }
}
