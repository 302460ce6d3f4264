import { z } from 'zod';
import { durationSchema, httpUrlSchema, nameSchema, referenceSchema } from './schema-parts';

/** Where a gateway is reached. */
export const gatewaySchema = z.strictObject({
  name: nameSchema.describe('The name that `cutover gateway --name` gives.'),
  data: httpUrlSchema.describe('Where applications reach this gateway.'),
  admin: httpUrlSchema.describe("This gateway's admin listener."),
});

const breakerSchema = z.strictObject({
  consecutiveFailures: z.int().min(1).default(5).describe('Opens after this many failures in a row.'),
  failureRatio: z
    .number()
    .min(0.01)
    .max(1)
    .default(0.5)
    .describe('Opens when this part of the requests failed.'),
  minimumRequests: z.int().min(1).default(20).describe('Requests in the window before the ratio counts.'),
  window: durationSchema('10s', 'Over which the ratio is taken.'),
  open: durationSchema('1s', 'How long it stays open at first; doubles up to openMax.'),
  openMax: durationSchema('10s', 'The longest it stays open.'),
});

const tunnelsSchema = z.strictObject({
  max: z.int().min(1).default(256).describe('Open WebSockets in one process; each takes two descriptors.'),
  maxPerCaller: z.int().min(1).default(64).describe('Open WebSockets of one caller in one process.'),
  idle: durationSchema('10m', 'A WebSocket without a byte in either direction for this long is closed.'),
});

const outcomesSchema = z.strictObject({
  key: referenceSchema.describe(
    'Signs the x-cutover-request of answers: at least 32 characters, the same at all gateways of a route.',
  ),
  oldKeys: z
    .array(referenceSchema)
    .max(4)
    .default([])
    .describe('Earlier keys, whose answers may still be reported on.'),
});

const cohortsSchema = z.strictObject({
  key: referenceSchema.describe(
    'Signs the headers by which a stage with `only: {header, values}` knows its callers: at least 32 characters, the same at all gateways of a route.',
  ),
  oldKeys: z
    .array(referenceSchema)
    .max(4)
    .default([])
    .describe('Earlier keys, whose signatures are still good.'),
});

const PROCESSES_EXPECTED = 'expected a number from 1 to 256, or "auto"';

/** How gateways serve, and what they may use. */
export const gatewaySettingsSchema = z.strictObject({
  stateDirectory: z
    .string()
    .min(1)
    .default('.cutover/gateway')
    .describe('Where records are kept; one directory per gateway.'),
  processes: z
    .union(
      [z.int(PROCESSES_EXPECTED).min(1, PROCESSES_EXPECTED).max(256, PROCESSES_EXPECTED), z.literal('auto')],
      PROCESSES_EXPECTED,
    )
    .default(1)
    .describe(
      'Processes that serve, each on its own core; `auto`: one per core. Limits of the gateway are divided among them.',
    ),
  maxBodyBytes: z
    .int()
    .min(1024)
    .default(33_554_432)
    .describe('Largest body of a request that can be split.'),
  maxBufferedBytes: z
    .int()
    .min(1024)
    .default(268_435_456)
    .describe(
      'Memory for bodies, held answers and unread answers; one caller gets at most three quarters. A gateway needs 1.5 x this plus 200 MiB per process.',
    ),
  drain: durationSchema(
    '120s',
    'How long requests in flight may keep running after a lowering or at shutdown.',
  ),
  headersTimeout: durationSchema('30s', 'For a caller to send its headers.'),
  bodyTimeout: durationSchema('60s', 'For a caller to send its body.'),
  maxConnections: z
    .int()
    .min(1)
    .default(8192)
    .describe('Open connections of callers in one process; above it new ones are closed immediately.'),
  tunnels: tunnelsSchema.prefault({}),
  breaker: breakerSchema.prefault({}),
  outcomes: outcomesSchema
    .optional()
    .describe(
      'Accepts what applications report about answers at /v1/outcomes; when absent, reports are refused.',
    ),
  cohorts: cohortsSchema
    .optional()
    .describe('Reads signed headers of cohorts; when absent, no header puts a caller in a cohort.'),
});
