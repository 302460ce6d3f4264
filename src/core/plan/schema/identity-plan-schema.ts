import { z } from 'zod';
import { DECLARED_DIGEST } from '../../assessment/declared-identity';
import type { IdentityPlan } from '../identity-plan';

const ALPHA = 0.01;
const PER_HOUR = 20;

/** The `identity` part of a plan. */
export const identityPlanSchema = z
  .strictObject({
    declared: z
      .string()
      .regex(
        new RegExp(DECLARED_DIGEST, 'i'),
        'expected sha256: and 64 hexadecimal digits, as `cutover train status` prints them',
      )
      .transform((text) => text.toLowerCase())
      .optional()
      .describe(
        "The digest of an exported model (sha256:...), which the candidate's server must state in /v1/models: compared at assess, before each raise and while traffic is split. Another one pauses.",
      ),
    reference: z
      .string()
      .min(1, 'expected a path')
      .max(1_000, 'expected a path of at most 1,000 characters')
      .optional()
      .describe(
        "The reference that `cutover identity enrol` wrote: a file on the worker's machine; relative to CUTOVER_GOLDEN_DIR. The candidate is asked at assess and while a stage is watched.",
      ),
    alpha: z
      .number()
      .gt(0, 'expected a chance above 0 and at most 0.5')
      .max(0.5, 'expected a chance above 0 and at most 0.5')
      .optional()
      .describe(
        `With reference: chance of asking for an approval because answers are distributed differently, although it is the same model. Default: ${ALPHA}.`,
      ),
    perHour: z
      .number()
      .gt(0, 'expected more than 0 questions per hour')
      .max(36_000, 'expected at most 36,000 questions per hour')
      .optional()
      .describe(
        `With reference: questions to the candidate per hour while a stage is watched. Default: ${PER_HOUR}.`,
      ),
    model: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe('With reference: the model as callers name it. Default: the first that the route maps.'),
  })
  .superRefine(({ declared, reference, ...others }, context) => {
    if (declared === undefined && reference === undefined) {
      context.addIssue({ code: 'custom', message: 'expected a digest in declared, or a reference' });
    }
    const [idle] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
    if (reference === undefined && declared !== undefined && idle !== undefined) {
      context.addIssue({ code: 'custom', path: [idle], message: 'expected only together with `reference`' });
    }
  })
  .transform(
    ({ declared, reference, alpha = ALPHA, perHour = PER_HOUR, model }): IdentityPlan => ({
      ...(declared === undefined ? {} : { declared }),
      ...(reference === undefined ? {} : { reference, alpha, perHour }),
      ...(model === undefined ? {} : { model }),
    }),
  );
