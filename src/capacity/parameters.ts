import { blockCount } from './fp8-scaling';
import type { GroupedAttention, LatentAttention, ModelArchitecture } from './model-architecture';

/** Where a parameter belongs; `prediction` is the multi-token-prediction layer, outside the main model. */
export type ModelPart =
  | 'embedding'
  | 'head'
  | 'attention'
  | 'dense'
  | 'routed'
  | 'shared'
  | 'router'
  | 'norm'
  | 'prediction';

/** Tensors of one shape; a vector has one column. */
export interface TensorGroup {
  readonly part: ModelPart;
  readonly rows: number;
  readonly columns: number;
  readonly copies: number;
  /** Copies that a single token passes through. */
  readonly activeCopies: number;
  /** What a quantised checkpoint does with it: quantise, keep in the working type (BF16), or keep in FP32. */
  readonly precision: 'quantized' | 'working' | 'float32';
}

/** Parameters of the main model, of the prediction layers, and those that one token uses. */
export interface ParameterCount {
  readonly byPart: Readonly<Record<Exclude<ModelPart, 'prediction'>, number>>;
  readonly main: number;
  readonly prediction: number;
  readonly activePerToken: number;
  readonly activeWithoutEmbedding: number;
}

/** Bytes of a number format for weights. */
export type WeightFormat = 'fp8' | 'bf16' | 'int8' | 'awq';

/** Elements and bytes of a checkpoint in one format. */
export interface WeightSize {
  readonly quantizedElements: number;
  readonly workingElements: number;
  readonly float32Elements: number;
  /** Scales (and, for AWQ, packed zero points) beside the quantised weights. */
  readonly scaleElements: number;
  readonly bytes: number;
}

/** Every tensor of a model, grouped by shape. */
export function tensorsOf(model: ModelArchitecture): readonly TensorGroup[] {
  const { hiddenSize, layers, denseLayers, vocabularySize } = model;
  const expertLayers = layers - denseLayers;
  const groups: TensorGroup[] = [
    unquantized('embedding', vocabularySize, hiddenSize),
    ...(model.tiedEmbeddings ? [] : [unquantized('head', vocabularySize, hiddenSize)]),
    ...attentionTensors(model.attention, hiddenSize, layers),
    ...feedForward('dense', hiddenSize, model.intermediateSize, denseLayers, denseLayers),
    vector('norm', hiddenSize, layers * 2 + 1),
    ...expertTensors(model, expertLayers),
  ];
  return [...groups, ...predictionTensors(model)];
}

/** Counts by part; scales are never parameters. */
export function countParameters(groups: readonly TensorGroup[]): ParameterCount {
  const byPart = {
    embedding: 0,
    head: 0,
    attention: 0,
    dense: 0,
    routed: 0,
    shared: 0,
    router: 0,
    norm: 0,
  };
  let prediction = 0;
  let activePerToken = 0;
  for (const group of groups) {
    const size = group.rows * group.columns;
    if (group.part === 'prediction') {
      prediction += size * group.copies;
      continue;
    }
    byPart[group.part] += size * group.copies;
    activePerToken += size * group.activeCopies;
  }
  const main = Object.values(byPart).reduce((sum, part) => sum + part, 0);
  // A tied embedding is used again as the head, so it stays in the count.
  const looked = byPart.head === 0 ? 0 : byPart.embedding;
  return { byPart, main, prediction, activePerToken, activeWithoutEmbedding: activePerToken - looked };
}

/** Bytes in a format, with or without the prediction layers. */
export function weightSize(
  groups: readonly TensorGroup[],
  format: WeightFormat,
  options: { prediction: boolean; block?: readonly [number, number] },
): WeightSize {
  const block = options.block ?? [128, 128];
  const size = { quantizedElements: 0, workingElements: 0, float32Elements: 0, scaleElements: 0, bytes: 0 };
  for (const group of groups) {
    if (group.part === 'prediction' && !options.prediction) continue;
    const elements = group.rows * group.columns * group.copies;
    if (format === 'bf16' || group.precision === 'working') {
      size.workingElements += elements;
      size.bytes += 2 * elements;
    } else if (group.precision === 'float32') {
      size.float32Elements += elements;
      size.bytes += 4 * elements;
    } else {
      const scales = scalesOf(group, format, block);
      size.quantizedElements += elements;
      size.scaleElements += scales.elements;
      size.bytes += (format === 'awq' ? elements / 2 : elements) + scales.bytes;
    }
  }
  return size;
}

/** FP8: FP32 a block. INT8: FP32 an output row. AWQ: FP16 and a 4-bit zero point for 128 weights of a row. */
function scalesOf(
  group: TensorGroup,
  format: Exclude<WeightFormat, 'bf16'>,
  block: readonly [number, number],
): { elements: number; bytes: number } {
  switch (format) {
    case 'fp8': {
      const elements = blockCount(group.rows, group.columns, block) * group.copies;
      return { elements, bytes: 4 * elements };
    }
    case 'int8':
      return { elements: group.rows * group.copies, bytes: 4 * group.rows * group.copies };
    case 'awq': {
      const elements = group.rows * Math.ceil(group.columns / 128) * group.copies;
      return { elements, bytes: 2.5 * elements };
    }
  }
}

function attentionTensors(
  attention: LatentAttention | GroupedAttention,
  hiddenSize: number,
  layers: number,
): TensorGroup[] {
  const matrix = (rows: number, columns: number): TensorGroup => ({
    part: 'attention',
    rows,
    columns,
    copies: layers,
    activeCopies: layers,
    precision: 'quantized',
  });
  const { heads } = attention;
  if (attention.kind === 'mla') {
    const { queryRank, keyValueRank, queryKeyNopeDim, queryKeyRopeDim, valueDim } = attention;
    return [
      matrix(queryRank, hiddenSize),
      matrix(heads * (queryKeyNopeDim + queryKeyRopeDim), queryRank),
      matrix(keyValueRank + queryKeyRopeDim, hiddenSize),
      matrix(heads * (queryKeyNopeDim + valueDim), keyValueRank),
      matrix(hiddenSize, heads * valueDim),
      vector('norm', queryRank, layers),
      vector('norm', keyValueRank, layers),
    ];
  }
  const { keyValueHeads, headDim, bias, queryKeyNorm } = attention;
  const biased = (size: number): TensorGroup => vector('attention', size, layers);
  return [
    matrix(heads * headDim, hiddenSize),
    matrix(keyValueHeads * headDim, hiddenSize),
    matrix(keyValueHeads * headDim, hiddenSize),
    matrix(hiddenSize, heads * headDim),
    ...(bias === 'none' ? [] : [biased(heads * headDim), biased(2 * keyValueHeads * headDim)]),
    ...(bias === 'qkvo' ? [biased(hiddenSize)] : []),
    ...(queryKeyNorm ? [vector('norm', headDim, 2 * layers)] : []),
  ];
}

function expertTensors(model: ModelArchitecture, layers: number): TensorGroup[] {
  const { experts, hiddenSize } = model;
  if (experts === null || layers === 0) return [];
  const { routed, perToken, shared, intermediateSize } = experts;
  return [
    ...feedForward('routed', hiddenSize, intermediateSize, layers * routed, layers * perToken),
    // Shared experts are stored as one network of their joint width.
    ...(shared === 0 ? [] : feedForward('shared', hiddenSize, intermediateSize * shared, layers, layers)),
    {
      part: 'router',
      rows: routed,
      columns: hiddenSize,
      copies: layers,
      activeCopies: layers,
      precision: 'working',
    },
    ...(experts.correctionBias
      ? [{ ...vector('router', routed, layers), precision: 'float32' as const }]
      : []),
  ];
}

/** A prediction layer as DeepSeek-V3 stores it: a whole expert layer with its own embedding, head and projection. */
function predictionTensors(model: ModelArchitecture): TensorGroup[] {
  const { predictionLayers: copies, hiddenSize, vocabularySize } = model;
  if (copies === 0) return [];
  const layer = [...attentionTensors(model.attention, hiddenSize, 1), ...expertTensors(model, 1)];
  return [
    ...layer,
    unquantized('embedding', vocabularySize, hiddenSize),
    unquantized('head', vocabularySize, hiddenSize),
    unquantized('head', hiddenSize, 2 * hiddenSize),
    // Input and post-attention norms of the layer, then those of the embedding, the hidden state and the head.
    vector('norm', hiddenSize, 5),
  ].map((group) => ({ ...group, part: 'prediction', copies: group.copies * copies, activeCopies: 0 }));
}

function feedForward(
  part: ModelPart,
  hiddenSize: number,
  intermediateSize: number,
  copies: number,
  activeCopies: number,
): TensorGroup[] {
  if (copies === 0) return [];
  const shape = { part, precision: 'quantized' as const };
  return [
    // Gate and up projections share a shape.
    {
      ...shape,
      rows: intermediateSize,
      columns: hiddenSize,
      copies: 2 * copies,
      activeCopies: 2 * activeCopies,
    },
    { ...shape, rows: hiddenSize, columns: intermediateSize, copies, activeCopies },
  ];
}

function vector(part: ModelPart, size: number, copies: number): TensorGroup {
  return { part, rows: size, columns: 1, copies, activeCopies: copies, precision: 'working' };
}

function unquantized(part: ModelPart, rows: number, columns: number): TensorGroup {
  return { part, rows, columns, copies: 1, activeCopies: 1, precision: 'working' };
}
