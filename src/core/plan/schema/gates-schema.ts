import { z } from 'zod';
import { durationTextSchema } from '../../configuration/schema-parts';
import { costGateSchema, outputTokensGateSchema } from './spending-gate-schema';

const ratio = z.number().gt(1, 'expected a ratio above 1');
const increase = z.number().gt(0, 'expected an increase above 0, such as 0.5 for +50%');
const milliseconds = z.number().min(0, 'expected 0 or more milliseconds').max(60_000);
const probability = z
  .number()
  .gt(0, 'expected a number above 0 and below 1')
  .lt(1, 'expected a number above 0 and below 1');

/** What a plan says of a stage's gates. */
export const gatesSchema = z.strictObject({
  errors: z
    .strictObject({
      rollbackRatio: ratio
        .optional()
        .describe("Roll back when the candidate's error rate exceeds this multiple of legacy's."),
      promotionExcess: probability
        .optional()
        .describe("Promote when the candidate's error rate is at most this much above legacy's, absolute."),
    })
    .optional(),
  answers: z
    .strictObject({
      rollbackRatio: ratio
        .optional()
        .describe(
          "Roll back when the candidate's answers break their contract this many times as often as legacy's.",
        ),
      promotionExcess: probability
        .optional()
        .describe(
          'Promote when they break their contract at most this much more often, absolute; a point more than for errors when absent.',
        ),
      minimum: z
        .int()
        .min(0)
        .optional()
        .describe(
          'Answers of the candidate that have to be checked; 100, at most minimumSample, when absent.',
        ),
      maxUnchecked: probability
        .optional()
        .describe(
          "Not evaluated while more than this part of either provider's answers could not be checked.",
        ),
    })
    .nullable()
    .optional()
    .describe('Answers that break their contract; null: not judged.'),
  latency: z
    .strictObject({
      rollbackIncrease: increase
        .optional()
        .describe('Roll back when p95 is more than this part above that of legacy.'),
      promotionIncrease: increase
        .nullable()
        .optional()
        .describe('Promote when p95 is at most this part above; null: not judged.'),
      quantile: z
        .union([z.literal(0.5), z.literal(0.95)], 'expected 0.5 or 0.95')
        .optional()
        .describe('Which quantile of latencies is judged: 0.95, or 0.5, which takes fewer requests.'),
      tailIncrease: increase
        .optional()
        .describe('Roll back when p99 is more than this part above that of legacy.'),
      ignoreBelowMs: milliseconds
        .optional()
        .describe(
          'A difference of fewer milliseconds is neither harm nor an obstacle, however large it is relatively.',
        ),
    })
    .optional(),
  interToken: z
    .strictObject({
      rollbackIncrease: increase
        .optional()
        .describe('Roll back when the p95 between tokens is more than this part above.'),
      ignoreBelowMs: milliseconds.optional().describe('A difference of fewer milliseconds is not harm.'),
    })
    .optional(),
  cost: costGateSchema
    .optional()
    .describe('Cost per request, by the prices of the configuration; not judged when absent.'),
  outputTokens: outputTokensGateSchema
    .optional()
    .describe('Output tokens per request, as providers count them; not judged when absent.'),
  leavers: z
    .strictObject({
      rollbackRatio: ratio
        .optional()
        .describe('Roll back when callers leave before their answer this many times as often as at legacy.'),
    })
    .optional(),
  shed: z
    .strictObject({
      pausePart: probability
        .optional()
        .describe(
          "Pause when more than this part of the candidate's requests could not be sent to it (breaker, cap, Retry-After).",
        ),
    })
    .optional(),
  sampleRatio: z
    .strictObject({
      pausePValue: probability
        .optional()
        .describe('Pause when a split as uneven as the one seen is less likely than this.'),
    })
    .optional(),
  floor: z
    .strictObject({
      success: probability.optional().describe("The candidate's success rate must never fall below this."),
    })
    .optional(),
  cohort: z
    .strictObject({
      success: probability
        .optional()
        .describe('At least this part of its requests succeeds at the candidate; 0.97 when absent.'),
      breaches: probability
        .optional()
        .describe('At most this part of its answers breaks its contract; 0.05 when absent.'),
      p95: durationTextSchema.optional().describe('p95 of plain answers; not judged when absent.'),
      firstTokenP95: durationTextSchema
        .optional()
        .describe('p95 of the first token of streams; not judged when absent.'),
    })
    .optional()
    .describe('Bounds of a stage with `only`, whose requests are in no arm.'),
  probes: z
    .strictObject({
      rollbackStreak: z
        .int()
        .min(1)
        .optional()
        .describe('Roll back after this many failed probes in a row while legacy passes.'),
      promotionStreak: z
        .int()
        .min(1)
        .optional()
        .describe('Promote when at least this many probes in a row have passed.'),
    })
    .optional(),
});
