import { z } from 'zod';
import { nameSchema } from '../../configuration/schema-parts';

/** Each takes about a kilobyte of every window. */
const MOST = 4;

const margin = z
  .number()
  .gt(0, 'expected a difference above 0 and below 1, such as 0.05 for 5 points')
  .lt(1, 'expected a difference above 0 and below 1, such as 0.05 for 5 points');

/** What a plan says of outcomes. */
export const outcomeGatesSchema = z
  .array(
    z.strictObject({
      name: nameSchema.describe('As applications report it at /v1/outcomes.'),
      better: z
        .enum(['higher', 'lower'])
        .default('higher')
        .describe('Whether more of it is better (solved) or less (complaints).'),
      harm: margin
        .default(0.03)
        .describe("Roll back when the candidate's mean is worse than legacy's by more than this, absolute."),
      promotion: margin
        .nullable()
        .default(0.05)
        .describe('Promote when it is worse by at most this, absolute; null: not judged.'),
      minimum: z
        .int()
        .min(1, 'expected at least 1 outcome')
        .default(200)
        .describe("How many of the candidate's outcomes a stage needs before it can pass."),
    }),
  )
  .max(MOST, `expected at most ${MOST} outcomes`)
  .superRefine((gates, context) => {
    gates.forEach(({ name }, index) => {
      if (gates.findIndex((other) => other.name === name) === index) return;
      context.addIssue({
        code: 'custom',
        path: [index, 'name'],
        message: `expected names that differ, got "${name}" twice`,
      });
    });
  });
