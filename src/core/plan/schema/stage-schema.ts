import { z } from 'zod';
import {
  durationAtLeast,
  durationTextSchema,
  forwardedHeaderSchema,
  nameSchema,
  shareSchema,
} from '../../configuration/schema-parts';
import { plannedEffectSchema } from '../../effects/effect-schema';
import type { Cohort } from '../../routing/cohort';
import { gatesSchema } from './gates-schema';

/** A step shorter than the shortest window would end before anything was seen of it. */
const LEAST_STEP_MS = 500;

const teamsExpected = 'expected the names of teams, such as [search]';
const cohortSchema = z
  .strictObject({
    teams: z
      .array(nameSchema)
      .min(1, teamsExpected)
      .max(100)
      .optional()
      .describe('Teams of `callers` in the configuration.'),
    header: forwardedHeaderSchema
      .transform((name) => name.toLowerCase())
      .optional()
      .describe('Instead of teams: carries `VALUE.EXPIRES.SIGNATURE`, signed by a key of `gateway.cohorts`.'),
    values: z
      .array(
        z
          .string()
          .regex(
            /^[A-Za-z0-9_-]{1,64}$/,
            'expected a value of letters, digits, dash and underscore, at most 64 long',
          ),
      )
      .min(1, 'expected at least one value, such as [beta]')
      .max(100)
      .optional()
      .describe('With header: values whose bearers are served.'),
  })
  .transform(({ teams, header, values }, context): Cohort => {
    if (teams !== undefined && header === undefined && values === undefined) return { teams };
    if (teams === undefined && header !== undefined && values !== undefined) return { header, values };
    const given = Object.entries({ teams, header, values }).flatMap(([name, value]) =>
      value === undefined ? [] : [name],
    );
    context.addIssue({
      code: 'custom',
      message: `expected either {teams: [search]} or {header: x-cohort, values: [beta]}, got ${given.join(', ') || 'nothing'}`,
    });
    return z.NEVER;
  });

const approvalSchema = z.union(
  [
    z.boolean(),
    z.strictObject({
      expires: durationTextSchema
        .optional()
        .describe('How long the approval is waited for; 24h when absent.'),
      onExpiry: z.enum(['hold', 'roll back']).optional().describe('What happens then; hold when absent.'),
    }),
  ],
  'expected true, false or an object such as {expires: 24h, onExpiry: hold}',
);

/** What a plan says of a stage. */
export const stageSchema = z.strictObject({
  name: nameSchema.describe(
    'What the stage is called: assess, canary, rolling, complete, or a name of your own with a share.',
  ),
  share: shareSchema
    .optional()
    .describe("The candidate's part of the randomised traffic: 0 to 1, or a percentage."),
  mirror: shareSchema
    .optional()
    .describe(
      "Copies this part of legacy's requests to the candidate and compares both answers, in a stage of share 0 after the first; callers are served by legacy alone.",
    ),
  maxCostUsd: z
    .number()
    .gt(0, 'expected an amount above 0, such as 5')
    .optional()
    .describe('What the copies of a stage with `mirror` may cost, USD; required with it.'),
  only: cohortSchema
    .optional()
    .describe(
      'Serves these callers alone by the candidate, and everybody else by legacy, in a stage before the percentages.',
    ),
  ramp: z
    .strictObject({
      step: shareSchema.describe('How much of the traffic each step adds, such as 5%.'),
      every: durationAtLeast(LEAST_STEP_MS).describe(
        'How long each step is applied before the next one, such as 10m.',
      ),
    })
    .optional()
    .describe(
      "Raises from the share of the stage before to this one's in steps; the soak begins at the stage's own share.",
    ),
  soak: durationTextSchema.optional().describe('How long the stage is observed, at least.'),
  window: durationTextSchema
    .optional()
    .describe('How long one observation window is; soak/48, at least a minute, when absent.'),
  minimumSample: z.int().min(0).optional().describe('Candidate requests; for assess, probes of each side.'),
  minimumKeys: z
    .int()
    .min(0)
    .optional()
    .describe('Distinct keys of assignment that the sample must contain.'),
  burnIn: z
    .strictObject({
      time: durationTextSchema
        .optional()
        .describe('For this long after the stage is entered, only floor and probes are judged.'),
      requests: z.int().min(0).optional().describe('And until this many candidate requests.'),
    })
    .optional(),
  deadline: z
    .strictObject({
      hold: durationTextSchema.optional().describe('After this long in the stage: stop advancing and ask.'),
      rollback: durationTextSchema
        .nullable()
        .optional()
        .describe('After this long in the stage: roll back; null: never.'),
    })
    .optional(),
  gates: gatesSchema.optional(),
  approval: approvalSchema
    .optional()
    .describe(
      'Whether a person must approve before the next stage: true, or with an expiry and what happens then.',
    ),
  effects: z
    .array(plannedEffectSchema)
    .max(20)
    .optional()
    .describe('Applied in this order when the stage is entered, undone in reverse on rollback.'),
  confirm: z
    .array(nameSchema)
    .max(10)
    .optional()
    .describe('External gates that must answer yes before the stage is entered.'),
});

export type StageInput = z.output<typeof stageSchema>;
