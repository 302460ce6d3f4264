import { z } from 'zod';
import { requestRulesSchema } from './request-rules';
import { nameSchema, shareSchema } from './schema-parts';

const modelMappingSchema = z.strictObject({
  candidate: z.string().min(1).describe("The candidate's name of this model."),
  parameters: requestRulesSchema('the candidate').prefault({}),
  legacyParameters: requestRulesSchema('legacy').optional(),
});

/** A route: its two providers, its models, and by what requests are drawn. */
export const routeSchema = z.strictObject({
  legacy: nameSchema.describe('Provider that serves the route today.'),
  candidate: nameSchema.describe('Provider that the route may move to.'),
  models: z
    .record(
      z.string().min(1),
      z
        .union([
          z
            .string()
            .min(1)
            .transform((candidate) => ({ candidate })),
          modelMappingSchema,
        ])
        .pipe(modelMappingSchema),
    )
    .default({})
    .describe('Models that can be moved, by the name that callers use. Others stay at legacy.'),
  stickyKey: z
    .union(
      [z.literal('body'), z.literal('none'), z.templateLiteral(['header:', z.string().min(1)])],
      'expected "body", "none" or "header:NAME"',
    )
    .default('body')
    .describe(
      'Key of assignment: header:NAME, body (the first of safety_identifier, user and prompt_cache_key with at most 1 KB) or none (random per request).',
    ),
  openingKeys: z
    .boolean()
    .optional()
    .describe(
      'Identify a conversation that has no key by its beginning: a hash of its system message and its first user message. Beginnings of more than 1% of the requests are drawn per request. On with stickyKey: body; never with none.',
    ),
  settled: z
    .enum(['legacy', 'candidate'])
    .default('legacy')
    .describe(
      'Which provider a gateway without a record serves: legacy before a migration, candidate after it has completed.',
    ),
  stateful: z
    .enum(['legacy', 'candidate'])
    .default('legacy')
    .describe('Where files, batches, assistants and similar objects are created.'),
  newConversationsOnly: z
    .boolean()
    .default(false)
    .describe('Requests that carry assistant turns stay on the provider of their key.'),
  shadow: shareSchema.default(0).describe("Fraction of legacy's requests copied to the candidate."),
  replayBudget: z
    .strictObject({
      ratio: z
        .number()
        .min(0)
        .max(1)
        .default(0.1)
        .describe('Part of the requests that may be replayed after an ambiguous failure.'),
      burst: z.int().min(0).default(20).describe('Replays that may come in one burst.'),
    })
    .prefault({}),
  exposeHeaders: z.boolean().default(true).describe('Whether answers carry x-cutover-* headers.'),
});
