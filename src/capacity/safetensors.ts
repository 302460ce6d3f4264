import { z } from 'zod';
import { BadInput } from '../core/configuration/bad-input';
import type { ByteSource } from './byte-source';

/** Bits of an element by safetensors dtype. */
const DTYPE_BITS: ReadonlyMap<string, number> = new Map([
  ...['BOOL', 'U8', 'I8', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0'].map((name) => [name, 8] as const),
  ...['U16', 'I16', 'F16', 'BF16'].map((name) => [name, 16] as const),
  ...['U32', 'I32', 'F32'].map((name) => [name, 32] as const),
  ...['U64', 'I64', 'F64', 'C64'].map((name) => [name, 64] as const),
]);

/** The format's own limit on a header, which also bounds what an untrusted file can make us read. */
const MAX_HEADER_BYTES = 100_000_000;

const tensorSchema = z.object({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});

/** One tensor of a header. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly elements: number;
  readonly bytes: number;
}

/**
 * The tensors of one safetensors file, from its header alone (two reads).
 * Throws `BadInput` when the header is too long, not JSON, or its offsets leave gaps, overlap,
 * do not match shape and dtype, or do not end where the file ends.
 */
export async function readSafetensors(source: ByteSource): Promise<readonly TensorEntry[]> {
  const { bytes: prefix, totalBytes } = await source.read(0, 8);
  const headerBytes = prefix.readBigUInt64LE(0);
  if (headerBytes < 2n || headerBytes > BigInt(Math.min(MAX_HEADER_BYTES, totalBytes - 8))) {
    throw new BadInput(
      `${source.name} is not a safetensors file: its header claims ${headerBytes} bytes of ${totalBytes}`,
    );
  }
  const { bytes } = await source.read(8, Number(headerBytes));
  return checkedTensors(parseHeader(bytes, source.name), totalBytes - 8 - Number(headerBytes), source.name);
}

function parseHeader(bytes: Buffer, name: string): [string, unknown][] {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new BadInput(`${name} is not a safetensors file: its header is not JSON`, { cause });
  }
  if (header === null || typeof header !== 'object' || Array.isArray(header)) {
    throw new BadInput(`${name} is not a safetensors file: its header is not an object`);
  }
  return Object.entries(header).filter(([key]) => key !== '__metadata__');
}

function checkedTensors(entries: [string, unknown][], dataBytes: number, name: string): TensorEntry[] {
  const placed = entries.map(([tensor, entry]) => {
    const parsed = tensorSchema.safeParse(entry);
    if (!parsed.success) throw new BadInput(`${name}: tensor "${tensor}" lacks dtype, shape or data_offsets`);
    const { dtype, shape, data_offsets: offsets } = parsed.data;
    const bits = DTYPE_BITS.get(dtype);
    if (bits === undefined)
      throw new BadInput(`${name}: tensor "${tensor}" has the unknown dtype "${dtype}"`);
    const elements = shape.reduce((product, size) => product * size, 1);
    const bytes = (elements * bits) / 8;
    if (!Number.isSafeInteger(elements) || bytes !== offsets[1] - offsets[0]) {
      throw new BadInput(
        `${name}: tensor "${tensor}" of shape [${shape}] in ${dtype} needs ${bytes} bytes, ` +
          `its offsets give ${offsets[1] - offsets[0]}`,
      );
    }
    return { name: tensor, dtype, elements, bytes, start: offsets[0] };
  });
  let end = 0;
  // Empty tensors share their start with the next one and come first.
  for (const tensor of [...placed].sort((a, b) => a.start - b.start || a.bytes - b.bytes)) {
    if (tensor.start !== end) {
      throw new BadInput(
        `${name}: tensor "${tensor.name}" starts at ${tensor.start}, expected ${end}: ` +
          (tensor.start < end ? 'tensors overlap' : 'there is a gap'),
      );
    }
    end += tensor.bytes;
  }
  if (end !== dataBytes) {
    throw new BadInput(`${name} holds ${dataBytes} bytes of data, its header describes ${end}`);
  }
  return placed.map(({ start: _, ...tensor }) => tensor);
}

/** What a checkpoint holds. */
export interface CheckpointContents {
  /** Parameters of the main model; null when integer-packed tensors hide their number. */
  readonly parameters: number | null;
  /** Parameters of layers at or after the model's last: multi-token prediction; null when the layer count is not known. */
  readonly predictionParameters: number | null;
  readonly elementsByDtype: Readonly<Record<string, number>>;
  readonly scaleElements: number;
  readonly bytes: number;
  /** Bytes without prediction layers; null when the layer count is not known. */
  readonly mainBytes: number | null;
  readonly tensors: number;
}

/** Adds a checkpoint up; `layers` is the main model's layer count where a config.json gave it. */
export function checkpointContents(
  tensors: readonly TensorEntry[],
  layers: number | null,
): CheckpointContents {
  const elementsByDtype = new Map<string, number>();
  const sum = { main: 0, prediction: 0, scales: 0, bytes: 0, predictionBytes: 0 };
  let packed = false;
  for (const tensor of tensors) {
    elementsByDtype.set(tensor.dtype, (elementsByDtype.get(tensor.dtype) ?? 0) + tensor.elements);
    sum.bytes += tensor.bytes;
    const layer = Number(/(?:^|\.)layers\.(\d+)\./.exec(tensor.name)?.[1] ?? -1);
    const predicts = layers !== null && layer >= layers;
    if (predicts) sum.predictionBytes += tensor.bytes;
    if (/_scale_inv$|(?:^|[._])scales?$|_scale$/.test(tensor.name)) sum.scales += tensor.elements;
    else if (/(?:qweight|qzeros|weight_packed)$/.test(tensor.name)) packed = true;
    else if (predicts) sum.prediction += tensor.elements;
    else sum.main += tensor.elements;
  }
  return {
    parameters: packed ? null : sum.main,
    predictionParameters: packed || layers === null ? null : sum.prediction,
    elementsByDtype: Object.fromEntries([...elementsByDtype].sort()),
    scaleElements: sum.scales,
    bytes: sum.bytes,
    mainBytes: layers === null ? null : sum.bytes - sum.predictionBytes,
    tensors: tensors.length,
  };
}
