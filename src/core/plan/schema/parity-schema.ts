import { z } from 'zod';
import { durationSchema } from '../../configuration/schema-parts';
import type { ParityMargins, ParityPlan } from '../plan';

/** The margins of a parity run that says nothing of its own. */
export const PARITY_MARGINS: ParityMargins = {
  decisions: 0.1,
  toolArguments: 0.2,
  jsonFields: 0.2,
  similarity: 0.4,
  length: 0.5,
  embedding: 0.05,
};

const margin = z
  .number()
  .gt(0, 'expected a margin above 0, such as 0.1 for 10 points')
  .lt(1, 'expected a margin below 1, such as 0.1 for 10 points');

export const paritySchema = z.strictObject({
  golden: z
    .string()
    .min(1)
    .describe("Golden prompts (JSON lines) on the worker's machine; relative to CUTOVER_GOLDEN_DIR."),
  maxCostUsd: z
    .number()
    .gt(0, 'expected an amount above 0, or null for no cap')
    .nullable()
    .default(5)
    .describe('Nothing more is sent once this is spent; null: no cap, and no prices are needed.'),
  concurrency: z.int().min(1).max(64).default(4).describe('Calls at a time.'),
  timeout: durationSchema('120s', 'For one answer.', 100),
  minimumPrompts: z
    .int()
    .min(1)
    .default(30)
    .describe('At least this many prompts must be compared for a pass.'),
  margins: z
    .strictObject({
      decisions: margin
        .default(PARITY_MARGINS.decisions)
        .describe('Tool called or not, valid JSON, refusal, truncation, language.'),
      toolArguments: margin
        .default(PARITY_MARGINS.toolArguments)
        .describe('Names and arguments of tool calls.'),
      jsonFields: margin.default(PARITY_MARGINS.jsonFields).describe('Fields of JSON answers.'),
      similarity: margin.default(PARITY_MARGINS.similarity).describe('Similarity of texts.'),
      length: margin.default(PARITY_MARGINS.length).describe('Ratio of the lengths of texts.'),
      embedding: margin
        .default(PARITY_MARGINS.embedding)
        .describe('Cosine of embeddings of the same inputs.'),
    })
    .prefault({})
    .describe('How much worse than legacy against itself the candidate may be.'),
});

export function parityPlan({ timeout, ...parity }: z.output<typeof paritySchema>): ParityPlan {
  return { ...parity, timeoutMs: timeout };
}
