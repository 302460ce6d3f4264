import type { RecipeName } from './recipe';

/** What a fine-tuning is asked for, with every default filled in; paths are absolute, on the machine of the worker. */
export interface TrainingPlan {
  readonly name: string;
  /** Folder with config.json, safetensors and tokenizer.json. */
  readonly model: string;
  readonly tokenizer: string;
  /** Chats to train on, JSONL. */
  readonly data: string;
  /** Chats that are only evaluated, JSONL. */
  readonly evaluation: string;
  readonly runFolder: string;
  /** Where the trained model goes. */
  readonly exportFolder: string;
  readonly recipe: RecipeName;
  readonly steps: number;
  readonly checkpointEvery: number;
  /** Sequences per step. */
  readonly batch: number;
  /** Sequences computed at once; divides `batch`. */
  readonly microBatch: number;
  readonly sequenceTokens: number;
  readonly recompute: boolean;
  readonly seed: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly weightDecay: number;
  /** Gradients are scaled down to this norm. */
  readonly clip: number;
  /** What training may use; null: what the device has. */
  readonly memoryBytes: number | null;
  readonly gate: {
    /** For this many steps BF16 is trained on the same chats, and then compared. */
    readonly steps: number;
    /** How much higher the loss may be than that of BF16, as a part of it. */
    readonly margin: number;
    readonly confidence: number;
  };
  readonly divergence: {
    readonly gradientNorm: number;
    /** The largest part of one operand of one layer that may be clipped in a step. */
    readonly saturation: number;
  };
  /** Rehearses an overflow: multiplies the input of one linear layer at one step. Null in earnest. */
  readonly rehearse: { readonly linear: string; readonly step: number; readonly factor: number } | null;
}

/** What can change while a plan is carried out. */
export interface TrainingSettings {
  readonly recipe: RecipeName;
  readonly microBatch: number;
  readonly recompute: boolean;
}

/** The micro-batch to try after one that did not fit: the largest divisor of the batch up to half; null below 1. */
export function smallerMicroBatch(batch: number, microBatch: number): number | null {
  for (let size = Math.floor(microBatch / 2); size >= 1; size -= 1) if (batch % size === 0) return size;
  return null;
}
