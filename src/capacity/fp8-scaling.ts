import { decodeFp8, encodeFp8, type Fp8Format, fp8Limits } from './fp8';

/** How Transformer Engine's delayed scaling turns past maxima into a scale. */
export interface DelayedScalingRecipe {
  readonly format: Fp8Format;
  /** How many past maxima are kept. Default of Transformer Engine: 1024. */
  readonly historyLength: number;
  readonly algorithm: 'max' | 'most_recent';
  /** Powers of two kept free above the maximum. Default: 0. */
  readonly margin: number;
}

/** Transformer Engine's defaults; HYBRID means E4M3 forward and E5M2 backward. */
export const TRANSFORMER_ENGINE_HYBRID: Readonly<Record<'forward' | 'backward', DelayedScalingRecipe>> = {
  forward: { format: 'e4m3', historyLength: 1024, algorithm: 'max', margin: 0 },
  backward: { format: 'e5m2', historyLength: 1024, algorithm: 'max', margin: 0 },
};

/** The history with one more maximum, newest first, cut to the recipe's length. */
export function recordAmax(
  history: readonly number[],
  amax: number,
  recipe: DelayedScalingRecipe,
): readonly number[] {
  return [amax, ...history].slice(0, recipe.historyLength);
}

/**
 * FP8_MAX / amax / 2^margin. A history that is empty, all zero or not finite gives no new scale,
 * so the previous one stays.
 */
export function delayedScale(
  history: readonly number[],
  previousScale: number,
  recipe: DelayedScalingRecipe,
): number {
  const amax = recipe.algorithm === 'max' ? history.reduce((a, b) => Math.max(a, b), 0) : (history[0] ?? 0);
  if (!Number.isFinite(amax) || amax <= 0) return previousScale;
  const scale = fp8Limits(recipe.format).max / amax / 2 ** recipe.margin;
  return Number.isFinite(scale) ? scale : previousScale;
}

/** A matrix in FP8 with one FP32 inverse scale a block, as DeepSeek-V3 stores its weights. */
export interface BlockScaledMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly block: readonly [rows: number, columns: number];
  readonly codes: Uint8Array;
  /** Row-major over blocks: multiply a decoded value by its block's entry. */
  readonly scaleInv: Float32Array;
}

/** Quantises a row-major matrix to E4M3 with a scale for each block; all-zero blocks get scale 1. */
export function quantizeBlocks(
  values: Float32Array,
  rows: number,
  columns: number,
  block: readonly [number, number] = [128, 128],
): BlockScaledMatrix {
  if (values.length !== rows * columns) {
    throw new RangeError(`expected ${rows} x ${columns} = ${rows * columns} values, got ${values.length}`);
  }
  const blockColumns = Math.ceil(columns / block[1]);
  const scaleInv = new Float32Array(Math.ceil(rows / block[0]) * blockColumns);
  for (let index = 0; index < values.length; index += 1) {
    const at = blockAt(index, columns, block, blockColumns);
    scaleInv[at] = Math.max(scaleInv[at] as number, Math.abs(values[index] as number));
  }
  const { max } = fp8Limits('e4m3');
  for (let at = 0; at < scaleInv.length; at += 1) scaleInv[at] = (scaleInv[at] as number) / max || 1;
  const codes = Uint8Array.from(values, (value, index) =>
    encodeFp8(value / (scaleInv[blockAt(index, columns, block, blockColumns)] as number), 'e4m3'),
  );
  return { rows, columns, block, codes, scaleInv };
}

/** The row-major values that a block-scaled matrix stands for. */
export function dequantizeBlocks(matrix: BlockScaledMatrix): Float32Array {
  const blockColumns = Math.ceil(matrix.columns / matrix.block[1]);
  return Float32Array.from(
    matrix.codes,
    (code, index) =>
      decodeFp8(code, 'e4m3') *
      (matrix.scaleInv[blockAt(index, matrix.columns, matrix.block, blockColumns)] as number),
  );
}

/** How many scales a matrix of this shape carries. */
export function blockCount(rows: number, columns: number, block: readonly [number, number]): number {
  return Math.ceil(rows / block[0]) * Math.ceil(columns / block[1]);
}

function blockAt(
  index: number,
  columns: number,
  block: readonly [number, number],
  blockColumns: number,
): number {
  const row = Math.floor(index / columns);
  return Math.floor(row / block[0]) * blockColumns + Math.floor((index % columns) / block[1]);
}
