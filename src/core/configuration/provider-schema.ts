import { z } from 'zod';
import { refuseLiteral } from '../access/address-guard';
import { DIALECTS } from './dialect';
import {
  durationSchema,
  forwardedHeaderSchema,
  forwardedParameterSchema,
  httpUrlSchema,
  keyReferenceSchema,
} from './schema-parts';

const otherKeysSchema = z
  .array(keyReferenceSchema)
  .min(1)
  .max(15)
  .optional()
  .describe(
    'Further keys of the same account: requests are spread over all. One that gets 429 or 401 rests.',
  );

const authSchema = z.union([
  z.strictObject({
    bearer: keyReferenceSchema.describe('Sent as Authorization: Bearer KEY.'),
    others: otherKeysSchema,
  }),
  z.strictObject({
    header: z
      .string()
      .regex(/^[A-Za-z0-9-]+$/)
      .describe('Name of the header that carries the key, such as api-key.'),
    key: keyReferenceSchema.describe('With header or query: the key.'),
    others: otherKeysSchema,
  }),
  z.strictObject({
    query: z.string().min(1).describe('Name of the query parameter that carries the key.'),
    key: keyReferenceSchema,
  }),
]);

/** Where the key of a provider, or of another service, comes from; never the key. */
export function keyReferenceOf(auth: { readonly bearer: string } | { readonly key: string }): string {
  return 'bearer' in auth ? auth.bearer : auth.key;
}

/** Where all keys of a provider come from: the first one, and the others that requests are spread over. */
export function keyReferencesOf(auth: z.output<typeof authSchema>): readonly string[] {
  return [keyReferenceOf(auth), ...('others' in auth ? (auth.others ?? []) : [])];
}

const timeoutsSchema = z.strictObject({
  connect: durationSchema('3s', 'To open a connection.'),
  firstContent: durationSchema('60s', 'To the first content-bearing event of a stream.'),
  streamIdle: durationSchema('120s', 'Between two pieces of a stream.'),
  plainTotal: durationSchema('600s', 'A plain answer, from dispatch to its end.'),
});

const priceSchema = z.strictObject({
  inputPerMillion: z.number().min(0).describe('USD per million input tokens.'),
  cachedInputPerMillion: z
    .number()
    .min(0)
    .optional()
    .describe('USD per million cached input tokens; the input price when absent.'),
  cacheWritePerMillion: z
    .number()
    .min(0)
    .optional()
    .describe(
      'USD per million input tokens written into a prompt cache, where the provider counts them; the input price when absent.',
    ),
  outputPerMillion: z.number().min(0).describe('USD per million output tokens.'),
});

/** Private addresses are where providers of one's own are; metadata services would be sent prompts and keys. */
const providerUrlSchema = httpUrlSchema.superRefine((text, context) => {
  const refusal = URL.canParse(text) ? refuseLiteral(new URL(text).hostname, true) : null;
  if (refusal !== null) {
    context.addIssue({ code: 'custom', message: `expected a provider's address: ${refusal.message}` });
  }
});

/** A provider: where it is, how it is asked, and what it costs. */
export const providerSchema = z.strictObject({
  baseUrl: providerUrlSchema.describe('Address with its path, such as https://api.openai.com/v1.'),
  dialect: z
    .enum(DIALECTS)
    .default('openai')
    .describe(
      "The API that it speaks: openai, or anthropic for Anthropic's Messages API. Requests are never translated, so both providers of a route speak the same.",
    ),
  auth: authSchema.optional().describe('How the key is sent; none for a provider without keys.'),
  headers: z.record(z.string(), z.string()).default({}).describe('Extra headers of every request.'),
  query: z
    .record(z.string(), z.string())
    .default({})
    .describe('Extra query parameters, such as api-version.'),
  forward: z
    .strictObject({
      headers: z
        .array(forwardedHeaderSchema)
        .default([])
        .describe('As headers.forward, for this provider alone.'),
      query: z
        .array(forwardedParameterSchema)
        .default([])
        .describe('As query.forward, for this provider alone.'),
    })
    .prefault({}),
  timeouts: timeoutsSchema.prefault({}),
  maxConcurrent: z
    .int()
    .min(1)
    .default(1024)
    .describe('Requests in flight from one gateway; above it: failover or 503.'),
  maxConnections: z.int().min(1).default(256).describe('Keep-alive connections from one gateway.'),
  streamUsage: z
    .boolean()
    .default(true)
    .describe(
      'Ask for usage in streams of chat and completions (stream_options.include_usage) where the caller did not.',
    ),
  prices: z
    .record(z.string(), priceSchema)
    .default({})
    .describe('Prices by model as this provider names it.'),
});
