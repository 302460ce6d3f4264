import { z } from 'zod';
import { nameSchema, shareSchema } from '../configuration/schema-parts';
import { RECIPES } from './recipe';
import type { TrainingPlan } from './training-plan';

/** Every checkpoint is an activity in one history. */
const CHECKPOINTS_MOST = 200;
const CHECKPOINTS_USUAL = 10;

const path = z.string().min(1, 'expected a path');
const WHOLE = 'expected a whole number above 0';
const count = z.int(WHOLE).positive(WHOLE);
const positive = z.number().positive('expected a number above 0');
const UNITS: Readonly<Record<string, number>> = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
const size = z
  .string()
  .regex(/^\d+(\.\d+)?\s*(MiB|GiB|TiB)$/, 'expected a size such as "80GiB" or "512MiB"')
  .transform((text) => Math.floor(Number.parseFloat(text) * (UNITS[text.slice(-3)] as number)));

/** A plan of `cutover train`; what it leaves out gets its default. */
export const trainingPlanSchema = z
  .strictObject({
    name: nameSchema.describe('Names the job: one job of a name runs at a time.'),
    model: path.describe('Folder with config.json and safetensors.'),
    tokenizer: path
      .optional()
      .describe("A `tokenizers` file; tokenizer.json in the model's folder by default."),
    data: path.describe('Chats to train on, one JSON object with "messages" per line.'),
    evaluation: path.describe('Chats that are only evaluated, in the same form.'),
    runFolder: path.describe('Where checkpoints go.'),
    exportFolder: path.optional().describe('Where the trained model goes; `export` in runFolder by default.'),
    recipe: z.enum(RECIPES).default('fp8-delayed').describe('The number formats to train in.'),
    steps: count.describe('Steps of the optimizer.'),
    checkpointEvery: count.optional().describe('Steps between checkpoints; a tenth of all by default.'),
    batch: count.default(8).describe('Sequences per step.'),
    microBatch: count.optional().describe('Sequences computed at once; all of a step by default.'),
    sequenceTokens: z.int().min(2).default(2048).describe('Longer chats are cut.'),
    recompute: z.boolean().default(false).describe('Compute activations twice instead of keeping them.'),
    seed: z.int().min(0).default(0).describe('Decides the order of chats.'),
    learningRate: positive.default(1e-5),
    warmupSteps: z.int().min(0).default(0),
    weightDecay: z.number().min(0).default(0),
    clip: positive.default(1).describe('Gradients are scaled down to this norm.'),
    memory: size.optional().describe('What training may use; all that the device has by default.'),
    gate: z
      .strictObject({
        steps: count.optional().describe('Steps that BF16 is trained for comparison; all by default.'),
        margin: shareSchema.prefault('0.5%').describe('How much higher the loss may be than that of BF16.'),
        confidence: z.number().gt(0.5).lt(1).default(0.95),
      })
      .prefault({}),
    divergence: z
      .strictObject({
        gradientNorm: positive.default(1_000).describe('A higher gradient norm counts as divergence.'),
        saturation: shareSchema
          .prefault('5%')
          .describe('A larger part of one layer beyond its FP8 format counts as divergence.'),
      })
      .prefault({}),
    rehearse: z
      .strictObject({ linear: z.string(), step: count, factor: positive })
      .optional()
      .describe('Multiplies the input of one linear layer at one step, to see an overflow found and undone.'),
  })
  .superRefine((plan, context) => {
    const wrong = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: field.split('.'), message });
    const { steps, batch, microBatch = batch, checkpointEvery = everyOf(steps), gate } = plan;
    if (batch % microBatch !== 0)
      wrong('microBatch', `expected a divisor of batch (${batch}), got ${microBatch}`);
    if (steps / checkpointEvery > CHECKPOINTS_MOST) {
      wrong('checkpointEvery', `expected at least ${Math.ceil(steps / CHECKPOINTS_MOST)} for ${steps} steps`);
    }
    if (gate.steps !== undefined && gate.steps > steps)
      wrong('gate.steps', `expected at most ${steps}, the steps of the plan`);
  })
  .transform(({ memory, tokenizer, exportFolder, rehearse, gate, ...plan }): TrainingPlan => {
    const { checkpointEvery = everyOf(plan.steps), microBatch = plan.batch } = plan;
    return {
      ...plan,
      tokenizer: tokenizer ?? `${plan.model}/tokenizer.json`,
      exportFolder: exportFolder ?? `${plan.runFolder}/export`,
      checkpointEvery,
      microBatch,
      memoryBytes: memory ?? null,
      gate: { ...gate, steps: gate.steps ?? plan.steps },
      rehearse: rehearse ?? null,
    };
  });

function everyOf(steps: number): number {
  return Math.max(1, Math.ceil(steps / CHECKPOINTS_USUAL));
}
