import { fineTuneMemory } from '../../../src/capacity/fine-tune-memory';
import { architectureOf } from '../../../src/capacity/model-config';
import { InvalidDocument, parseDocument } from '../../../src/core/configuration/schema-parts';
import { readTrainingCommand, trainingRefusal } from '../../../src/core/training/fine-tune-command';
import { startedTraining } from '../../../src/core/training/fine-tune-state';
import { fitPlan } from '../../../src/core/training/memory-fit';
import { trainingPlanSchema } from '../../../src/core/training/training-plan-schema';
import { trainingPlan } from '../../support/training/training-builders';

const WRITTEN = { name: 'a', model: 'm', data: 'd', evaluation: 'e', runFolder: 'r', steps: 100 };
const needOf = ({ microBatch, recompute }: { microBatch: number; recompute: boolean }) => ({
  stateBytes: 100,
  temporaryBytes: microBatch * (recompute ? 5 : 10),
});

it('fills in what a plan leaves out', () => {
  expect(trainingPlanSchema.parse(WRITTEN)).toMatchObject({
    recipe: 'fp8-delayed',
    checkpointEvery: 10,
    microBatch: 8,
    gate: { steps: 100, margin: 0.005, confidence: 0.95 },
    tokenizer: 'm/tokenizer.json',
    memoryBytes: null,
  });
});

it.each([
  [{ recipe: 'fp4' }, 'recipe'],
  [{ batch: 8, microBatch: 3 }, 'microBatch: expected a divisor of batch (8), got 3'],
  [{ steps: 10_000, checkpointEvery: 1 }, 'checkpointEvery: expected at least 50 for 10000 steps'],
  [{ gate: { steps: 101 } }, 'gate.steps: expected at most 100'],
  [{ memory: '80 GB' }, 'expected a size such as "80GiB"'],
  [{ lerningRate: 1 }, 'lerningRate'],
])('refuses %j by name', (changes, expected) => {
  const read = () => parseDocument(trainingPlanSchema, { ...WRITTEN, ...changes }, 'train.yaml');
  expect(read).toThrow(InvalidDocument);
  expect(read).toThrow(expected);
});

it.each([
  [1_000, { microBatch: 8, recompute: false }, 0],
  [145, { microBatch: 4, recompute: false }, 1],
  [106, { microBatch: 1, recompute: true }, 2],
])('fits a plan into %d bytes', (available, settings, changes) => {
  const fit = fitPlan(trainingPlan(), available, needOf);
  expect(fit.settings).toMatchObject(settings);
  expect(fit.changes).toHaveLength(changes);
});

it('says by how much a plan is too large', () => {
  expect(() =>
    fitPlan(trainingPlan(), 50 * 2 ** 20, () => ({ stateBytes: 2 ** 30, temporaryBytes: 0 })),
  ).toThrow('needs 1.00 GiB, and 50.0 MiB may be used');
});

it('counts 16 bytes per parameter of states in every recipe', () => {
  const model = architectureOf(
    {
      ...{ model_type: 'llama', hidden_size: 8192, num_hidden_layers: 80, num_attention_heads: 64 },
      ...{ num_key_value_heads: 8, intermediate_size: 28672, vocab_size: 128256 },
    },
    'llama-3-70b',
  );
  for (const recipe of ['bf16', 'fp8-block'] as const) {
    const need = fineTuneMemory(model, { recipe, microBatch: 1, recompute: true, sequenceTokens: 2048 });
    expect(need.stateBytes).toBe(70_553_706_496 * 16);
  }
});

// What XLA reserved on a CPU for llama models: measured, bytes.
it.each([
  ['336,512 parameters', [128, 2, 4, 2, 256, 320], 'bf16', 8, 128, 35_020_864],
  ['3.4 million, short', [256, 4, 4, 2, 768, 1024], 'bf16', 8, 128, 128_114_816],
  ['3.4 million, long', [256, 4, 4, 2, 768, 1024], 'bf16', 2, 512, 203_612_288],
  ['13.6 million', [512, 4, 8, 4, 1536, 2048], 'bf16', 4, 128, 169_465_984],
  ['3.4 million in FP8', [256, 4, 4, 2, 768, 1024], 'fp8-delayed', 8, 128, 141_821_250],
  ['13.6 million in blocks', [512, 4, 8, 4, 1536, 2048], 'fp8-block', 4, 128, 253_373_232],
] as const)(
  'expects within 5% what a model of %s needs within a micro-batch',
  (_, shape, recipe, microBatch, sequenceTokens, measured) => {
    const [
      hidden_size,
      num_hidden_layers,
      num_attention_heads,
      num_key_value_heads,
      intermediate_size,
      vocab_size,
    ] = shape;
    const config = {
      ...{ model_type: 'llama', hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads },
      ...{ intermediate_size, vocab_size, tie_word_embeddings: true },
    };
    const asked = { recipe, microBatch, sequenceTokens, recompute: false } as const;
    const need = fineTuneMemory(architectureOf(config, 'config.json'), asked);
    expect(need.temporaryBytes / measured).toBeGreaterThan(0.95);
    expect(need.temporaryBytes / measured).toBeLessThan(1.05);
  },
);

it.each([
  ['pause', 'now', 'expected one object'],
  ['pause', { why: 'x' }, 'expected only the fields by, reason, got "why"'],
  ['stop', { by: 7 }, 'expected by to be a text'],
  ['backTo', {}, 'expected the number of a checkpoint'],
  ['backTo', { checkpoint: -1 }, 'expected the number of a checkpoint'],
] as const)('refuses %s with %j', (name, payload, expected) => {
  expect(readTrainingCommand(name, payload)).toContain(expected);
});

it('refuses what cannot be done now', () => {
  const state = startedTraining({ trainingId: 't', plan: trainingPlan(), by: 'a', reason: '' }, 0);
  const base = { by: 'a', reason: '' };
  expect(trainingRefusal(state, { ...base, name: 'resume' })).toBe('resume: it is not paused');
  expect(trainingRefusal(state, { ...base, name: 'backTo', checkpoint: 3 })).toContain('there is none yet');
  expect(trainingRefusal({ ...state, outcome: 'stopped' }, { ...base, name: 'pause' })).toContain('is over');
});
