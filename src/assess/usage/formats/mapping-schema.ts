import { z } from 'zod';
import { BadInput } from '../../../core/configuration/bad-input';

const key = z.string().regex(/^[^"\\\0]+$/, 'expected a name without quotes and backslashes');

/** A column, or the path to a value within a column that holds JSON; `@name` picks a key-value list's entry. */
const sourceSchema = z.union([key, z.array(key).min(2)]);
const sourcesSchema = z
  .array(sourceSchema)
  .min(1)
  .describe('Where the value is; the first that is there wins.');

const timeSchema = z.strictObject({
  from: sourcesSchema,
  as: z
    .enum(['timestamp', 'epoch_s', 'epoch_ms', 'epoch_us', 'epoch_ns', 'auto'])
    .default('timestamp')
    .describe(
      'ISO 8601 (UTC where it names no zone), an epoch in a unit, or `auto` for either by magnitude.',
    ),
});

const durationSchema = z.union([
  z.strictObject({ from: sourcesSchema, unit: z.enum(['ns', 'us', 'ms', 's']) }),
  z
    .strictObject({
      between: z.tuple([timeSchema, timeSchema]),
      unlessAt: timeSchema
        .optional()
        .describe(
          'No duration where the second time is this one, such as the end where a log has no first token.',
        ),
    })
    .describe('From one time to another.'),
]);

const numberSchema = z.strictObject({
  from: sourcesSchema,
  plus: z
    .array(sourceSchema)
    .default([])
    .describe('Further amounts that are added where they are there, such as tokens of a kind of their own.'),
  scale: z.number().positive().default(1),
});

const flagSchema = z.strictObject({
  from: sourcesSchema,
  is: z.array(z.string()).optional().describe('True when the value is one of these, whatever the case.'),
  isNot: z.array(z.string()).optional().describe('True when there is a value and it is none of these.'),
  atLeast: z.number().optional().describe('True when the value is a number of at least this.'),
  present: z.literal(true).optional().describe('True when there is a value at all.'),
});

const textSchema = z.strictObject({ from: sourcesSchema });

/** How a usage file's columns become the fields of the analysis; a format as data. */
export const mappingSchema = z.strictObject({
  format: z.string().regex(/^[a-z0-9-]+$/),
  title: z.string(),
  granularity: z.enum(['request', 'aggregate']).default('request'),
  detect: z
    .array(sourceSchema)
    .default([])
    .describe('A file that has all of these is taken for this format.'),
  rows: z
    .strictObject({ column: key, path: z.string().startsWith('$') })
    .optional()
    .describe('JSON documents whose rows are nested: the column, and the JSON path of a row in it.'),
  keep: z
    .array(z.strictObject({ from: sourcesSchema, is: z.array(z.string()).optional() }))
    .default([])
    .describe(
      'Rows that are model calls: the value is one of these, or is there at all. Others are skipped.',
    ),
  skip: z
    .array(z.strictObject({ from: sourcesSchema, is: z.array(z.string()) }))
    .default([])
    .describe('Rows that reached no provider, such as answers from a proxy cache.'),
  currency: z.string().length(3).default('USD').describe('Currency of `cost`.'),
  inputIncludesCached: z
    .boolean()
    .default(true)
    .describe('False when cached tokens come on top of input tokens.'),
  fields: z.strictObject({
    time: timeSchema,
    endTime: timeSchema.optional().describe("End of an aggregate's bucket."),
    calls: numberSchema.optional().describe('Requests in the row; 1 when absent.'),
    model: textSchema,
    caller: textSchema.optional().describe('Key, project or team.'),
    inputTokens: numberSchema.optional(),
    cachedTokens: numberSchema.optional(),
    outputTokens: numberSchema.optional(),
    latency: durationSchema.optional(),
    firstToken: durationSchema.optional(),
    failed: flagSchema.optional(),
    cost: numberSchema.optional(),
    serviceTier: textSchema.optional(),
    streamed: flagSchema.optional(),
    tools: flagSchema.optional(),
    jsonSchema: flagSchema.optional(),
    vision: flagSchema.optional(),
    embeddings: flagSchema.optional(),
  }),
});

/** A parsed mapping, with its defaults filled in. */
export type Mapping = z.infer<typeof mappingSchema>;
export type Source = z.infer<typeof sourceSchema>;
export type TimeField = z.infer<typeof timeSchema>;
export type DurationField = z.infer<typeof durationSchema>;
export type FlagField = z.infer<typeof flagSchema>;
export type NumberField = z.infer<typeof numberSchema>;

/** A mapping from a YAML or JSON document; throws `BadInput` that names what does not fit. */
export function parseMapping(document: unknown, name: string): Mapping {
  const parsed = mappingSchema.safeParse(document);
  if (!parsed.success) throw new BadInput(`${name} is not a usage mapping: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** Every place that a mapping reads. */
export function sourcesOf(mapping: Mapping): Source[] {
  const sources: Source[] = [...mapping.keep, ...mapping.skip].flatMap(({ from }) => from);
  for (const field of Object.values(mapping.fields)) {
    if (field === undefined) continue;
    if ('between' in field) {
      const times = [...field.between, ...(field.unlessAt === undefined ? [] : [field.unlessAt])];
      sources.push(...times.flatMap(({ from }) => from));
    } else sources.push(...field.from, ...('plus' in field ? field.plus : []));
  }
  return sources;
}
