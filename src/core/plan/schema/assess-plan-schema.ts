import { z } from 'zod';
import { durationTextSchema, shareSchema } from '../../configuration/schema-parts';
import { type AssessPlan, ATTESTATION_ITEMS } from '../assess-plan';

const path = z.string().min(1, 'expected a path').max(1_000, 'expected a path of at most 1,000 characters');
const line = z.string().min(1, 'expected a text').max(200, 'expected at most 200 characters');
const perMinute = z.number().positive('expected a number above 0');
const ratio = z.number().positive('expected a ratio above 0');
const item = z.enum(ATTESTATION_ITEMS);

/** The `assess` part of a plan: which usage logs are read, and what they have to show before anything is moved. */
export const assessPlanSchema = z
  .strictObject({
    usage: z
      .array(path)
      .min(1, 'expected at least one file or glob')
      .max(50)
      .describe("Usage logs: files and globs on the worker's machine."),
    format: z
      .string()
      .regex(/^[a-z0-9-]{1,60}$/, 'expected the name of a format, such as litellm')
      .optional()
      .describe('Their format; detected from their content when absent.'),
    mapping: z.array(path).max(20).default([]).describe('Usage mappings of your own: YAML or JSON files.'),
    windowDays: z
      .number()
      .gt(0, 'expected more than 0 days')
      .max(3_660, 'expected at most 3,660 days')
      .default(30)
      .describe('How many days to read, up to the last record.'),
    rejectedRowsMost: shareSchema
      .default(0.01)
      .describe("Part of a file's rows that may be rejected; above it the whole file is refused."),
    prices: z.array(path).max(20).default([]).describe('Price books: YAML or JSON files; earlier ones win.'),
    warmUpDays: z
      .number()
      .min(0)
      .max(30)
      .default(7)
      .describe('Days per month of cold prompt cache, at worst.'),
    tokenizerRatio: z
      .strictObject({
        low: ratio.describe('Lower end of what is likely.'),
        point: ratio.describe('The estimate.'),
        high: ratio.describe('Upper end.'),
      })
      .refine(({ low, point, high }) => low <= point && point <= high, 'expected low <= point <= high')
      .optional()
      .describe('Candidate tokens per token of legacy, input and output alike.'),
    parityReport: path
      .optional()
      .describe('A report of `cutover parity --json`, whose token ratios replace tokenizerRatio.'),
    ask: z
      .boolean()
      .default(true)
      .describe('Ask the candidate for models and limits, and probe each feature in use once.'),
    contextLengths: z
      .record(line, z.int().positive('expected a number of tokens above 0'))
      .default({})
      .describe("Context in tokens by the candidate's model, where the candidate does not report it."),
    limits: z
      .strictObject({
        requestsPerMinute: perMinute.optional().describe('Requests per minute.'),
        tokensPerMinute: perMinute.optional().describe('Tokens per minute.'),
      })
      .prefault({})
      .describe("The candidate's limits, where it does not report them."),
    targets: z
      .strictObject({
        p50: durationTextSchema.optional().describe("Reject when the candidate's p50 is above it."),
        errorRate: shareSchema.optional().describe('Warn when legacy itself fails more often.'),
        saving: shareSchema.optional().describe('Reject when the candidate saves less.'),
      })
      .prefault({}),
    checklist: z
      .strictObject({
        attested: z
          .array(item)
          .max(ATTESTATION_ITEMS.length)
          .default([...ATTESTATION_ITEMS])
          .describe('What somebody has to vouch for.'),
        further: z
          .array(
            z.strictObject({
              text: line.describe('What has to hold.'),
              attestedBy: line.optional().describe('Who vouches for it; when absent, nobody does yet.'),
            }),
          )
          .max(10)
          .default([])
          .describe('Points of your own; the stage is held until each is attested.'),
        asks: line.optional().describe('The operator who is asked for what nobody has attested.'),
      })
      .prefault({}),
    attestations: z
      .array(
        z.strictObject({
          item: item.describe('What is vouched for.'),
          holds: z.boolean().default(true).describe('False: somebody attests that it is not so.'),
          by: line.describe('Who vouches for it.'),
          on: z
            .string()
            .regex(/^\d{4}-\d\d-\d\d$/, 'expected a date such as 2026-11-02')
            .describe('When.'),
        }),
      )
      .max(20)
      .default([]),
    report: path.optional().describe("A folder on the worker's machine for the whole report."),
  })
  .refine(({ tokenizerRatio, parityReport }) => tokenizerRatio === undefined || parityReport === undefined, {
    path: ['parityReport'],
    message: 'expected tokenizerRatio or parityReport, got both',
  })
  .transform(
    (input): AssessPlan => ({
      usage: input.usage,
      format: input.format ?? null,
      mappings: input.mapping,
      windowDays: input.windowDays,
      rejectedRowsMost: input.rejectedRowsMost,
      prices: input.prices,
      warmUpDays: input.warmUpDays,
      tokenizerRatio: input.tokenizerRatio ?? null,
      parityReport: input.parityReport ?? null,
      ask: input.ask,
      contextLengths: input.contextLengths,
      limits: {
        requestsPerMinute: input.limits.requestsPerMinute ?? null,
        tokensPerMinute: input.limits.tokensPerMinute ?? null,
      },
      targets: {
        p50Ms: input.targets.p50 ?? null,
        errorRate: input.targets.errorRate ?? null,
        savingPercent: input.targets.saving === undefined ? null : input.targets.saving * 100,
      },
      checklist: {
        attested: input.checklist.attested,
        further: input.checklist.further.map(({ text, attestedBy }) => ({
          text,
          attestedBy: attestedBy ?? null,
        })),
        asks: input.checklist.asks ?? null,
      },
      attestations: input.attestations,
      report: input.report ?? null,
    }),
  );
