/** A GPU as its driver reports it. */
export interface Gpu {
  readonly name: string;
  /** Memory in MiB as the driver reports it, which is not what the product name suggests. */
  readonly memoryMib: number;
  readonly perNode: number;
  /** Whether it multiplies in FP8; without it FP8 weights are only stored (W8A16). */
  readonly fp8Compute: boolean;
}

/** GPUs named in vLLM's and SGLang's deployment guides for DeepSeek-V3. */
export const GPUS: readonly Gpu[] = [
  { name: 'H100', memoryMib: 81_559, perNode: 8, fp8Compute: true },
  { name: 'H200', memoryMib: 143_771, perNode: 8, fp8Compute: true },
  { name: 'B200', memoryMib: 183_359, perNode: 8, fp8Compute: true },
  { name: 'MI300X', memoryMib: 196_608, perNode: 8, fp8Compute: true },
  { name: 'A100', memoryMib: 81_920, perNode: 8, fp8Compute: false },
];
