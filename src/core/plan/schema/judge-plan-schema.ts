import { z } from 'zod';
import { nameSchema, shareSchema } from '../../configuration/schema-parts';
import type { JudgePlan } from '../judge/judge-plan';

const SAMPLE = 0.1;
const RUBRIC_MOST = 2_000;

/** The `judge` part of a plan. */
export const judgePlanSchema = z
  .strictObject({
    provider: nameSchema.describe('Who judges: a provider of the configuration, asked by the gateways.'),
    model: z.string().min(1).max(200).describe('The model that judges, as that provider names it.'),
    rubric: z
      .string()
      .min(1)
      .max(RUBRIC_MOST, `expected at most ${RUBRIC_MOST} characters`)
      .optional()
      .describe('What makes an answer better; what helps the person who asked more, when absent.'),
    sample: shareSchema
      .refine((part) => part > 0, 'expected a part above 0, such as 10%')
      .default(SAMPLE)
      .describe('Part of the pairs that are judged.'),
    maxCostUsd: z
      .number('expected what judging may cost, USD, such as 2')
      .gt(0, 'expected an amount above 0, such as 5')
      .describe('What judging may cost, USD, over all gateways.'),
    harm: z
      .number()
      .gt(0, 'expected a part above 0 and below 1, such as 0.1 for 10 points')
      .lt(1, 'expected a part above 0 and below 1, such as 0.1 for 10 points')
      .default(0.1)
      .describe('Roll back when the candidate loses more pairs than it wins by more than this part of them.'),
    minimum: z
      .int()
      .min(1, 'expected at least 1 pair')
      .default(50)
      .describe('How many pairs have to be judged before the stage can pass.'),
  })
  .transform(
    ({ rubric, ...judge }): JudgePlan => ({ ...judge, ...(rubric === undefined ? {} : { rubric }) }),
  );
