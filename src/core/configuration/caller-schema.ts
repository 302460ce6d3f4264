import { z } from 'zod';
import { keyReferenceSchema, nameSchema } from './schema-parts';

const callerLimitsSchema = z.strictObject({
  requestsPerMinute: z
    .int()
    .min(1)
    .optional()
    .describe("Requests of any kind; a minute's allowance may be used in one burst."),
  tokensPerMinute: z
    .int()
    .min(1)
    .optional()
    .describe('Input and output tokens as providers count them; estimated from the body until then.'),
  concurrent: z.int().min(1).optional().describe('Concurrent requests and WebSockets.'),
});

/** A team that calls, known by its key. */
export const callerSchema = z.strictObject({
  team: nameSchema.describe('Label in logs.'),
  keySha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits: the SHA-256 of the caller’s key')
    .describe("SHA-256 of the caller's existing key."),
  keys: z
    .record(nameSchema, keyReferenceSchema)
    .default({})
    .describe("This team's own provider keys, by provider."),
  headers: z.record(z.string(), z.string()).default({}).describe('Extra headers, such as an organisation.'),
  limits: callerLimitsSchema
    .optional()
    .describe('What this key may use of the whole gateway; above it the answer is 429.'),
});
