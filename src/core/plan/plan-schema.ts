import { z } from 'zod';
import { durationSchema, nameSchema, shareSchema } from '../configuration/schema-parts';
import { EFFECT_MOMENTS, type EffectMoment, type PlannedNotification } from '../effects/effect';
import { alphaAtEntry } from '../gates/alpha-spending';
import { COHORT_SHARE } from '../routing/cohort';
import { OUTCOMES_PART } from './outcome-gate';
import type { Plan, ProbeFeature } from './plan';
import { checkJudge, checkOrder, checkRamps } from './plan-checks';
import { resolveHoldback, resolveStage } from './resolve-stage';
import { alphaSchema } from './schema/alpha-schema';
import { assessPlanSchema } from './schema/assess-plan-schema';
import { identityPlanSchema } from './schema/identity-plan-schema';
import { judgePlanSchema } from './schema/judge-plan-schema';
import { outcomeGatesSchema } from './schema/outcome-gate-schema';
import { parityPlan, paritySchema } from './schema/parity-schema';
import { rolloutSchema } from './schema/rollout-schema';
import { type StageInput, stageSchema } from './schema/stage-schema';
import { SPENDING_MEASURES, SPENDING_PART } from './spending-gate';
import { PROFILES } from './stage-defaults';

const HOLDBACK_MOST = 0.2;

const holdbackSchema = shareSchema.refine((part) => part <= HOLDBACK_MOST, 'expected a part from 0% to 20%');

const PROBE_FEATURES = [
  'embeddings',
  'tools',
  'jsonSchema',
  'longContext',
] as const satisfies readonly ProbeFeature[];

/** A plan file: every field has a default but route. */
export const planSchema = z
  .strictObject({
    $schema: z.string().optional(),
    route: nameSchema.describe('The route of the configuration that is moved.'),
    profile: z
      .enum(['standard', 'small'])
      .default('standard')
      .describe(
        'small: for fewer than 2,000 requests per day. Canary at 50%, wide margins, the median, longer deadlines, and a pass that a named person approves.',
      ),
    stages: z
      .array(stageSchema)
      .min(2, 'expected at least two stages: one that moves nothing and one that moves everything')
      .max(20)
      .optional()
      .describe('Default: assess, canary, rolling, complete; without rolling for the profile small.'),
    holdback: holdbackSchema
      .optional()
      .describe(
        'Part of the traffic that stays at legacy through the soak of the last stage, to compare with: 0% to 20%. Default: 5%, for the profile small 10%, at most half of what the previous stage leaves at legacy. 0%: none.',
      ),
    lease: durationSchema('45s', 'How long a gateway may serve the candidate without renewal.', 1_000),
    renewal: durationSchema('5s', 'How often leases are renewed and evidence is read.', 100),
    watchHeartbeat: durationSchema(
      '10s',
      'After this long without a heartbeat a watch is started again elsewhere.',
      1_000,
    ),
    probes: z
      .strictObject({
        interval: durationSchema('5s', 'Between two probes of each provider.', 100),
        timeout: durationSchema('30s', 'For one probe.', 100),
        embeddings: z.boolean().default(false).describe('Whether embeddings are probed.'),
        features: z
          .array(z.enum(PROBE_FEATURES))
          .default([])
          .describe('What else the route uses, and so is probed in turn.'),
      })
      .prefault({}),
    alpha: alphaSchema.prefault({}),
    outcomes: outcomeGatesSchema
      .optional()
      .describe(
        'What applications say of answers (/v1/outcomes), judged in every stage that splits traffic. Takes a fifth of the chance of a false rollback.',
      ),
    judge: judgePlanSchema
      .optional()
      .describe(
        'A model that gateways ask which answer is better, for a part of the pairs of the stage with `mirror`. Takes a fifth of the chance of a false rollback, together with outcomes.',
      ),
    assess: assessPlanSchema
      .optional()
      .describe('Usage logs that the assess stage reads, and what they have to show.'),
    report: z
      .boolean()
      .default(false)
      .describe('Whether a worker with --reports writes one when the migration is final.'),
    rollout: rolloutSchema
      .optional()
      .describe('When a share may be raised: weekly hours and freezes. Rollbacks never wait.'),
    parity: paritySchema
      .optional()
      .describe('Golden prompts that both providers answer before anything moves.'),
    identity: identityPlanSchema
      .optional()
      .describe(
        'What shows that the candidate is the model that is meant: a reference, a declared digest, or both.',
      ),
    handover: z
      .strictObject({
        probe: z
          .boolean()
          .default(true)
          .describe('Whether conversations made by each provider are replayed on the other.'),
      })
      .prefault({}),
    notify: z
      .array(
        z.strictObject({
          name: nameSchema.describe('A target of the configuration, slack or webhook.'),
          moments: z.array(z.enum(EFFECT_MOMENTS)).min(1).optional().describe('All of them when absent.'),
        }),
      )
      .max(20)
      .optional()
      .describe('Who is notified of what.'),
  })
  .transform((input, context): Plan => {
    const profile = PROFILES[input.profile];
    const said = input.stages ?? profile.stages.map((name): StageInput => ({ name }));
    const holdback = resolveHoldback(input.holdback, said, profile, context);
    const stages = said.map((stage, index) =>
      resolveStage(
        stage,
        index,
        {
          profile,
          holdback: index === said.length - 1 ? holdback : 0,
          cohortShare:
            COHORT_SHARE * (1 + said.slice(0, index).filter(({ only }) => only !== undefined).length),
        },
        context,
      ),
    );
    checkOrder(stages, context);
    checkRamps(stages, context);
    const { outcomes = [], judge } = input;
    if (judge !== undefined) checkJudge(stages, context);
    const judgesSpending = stages.some(
      ({ share, mirror, only, gates }) =>
        only === undefined &&
        (share > 0 || mirror !== undefined) &&
        SPENDING_MEASURES.some((measure) => measure in gates),
    );
    const alpha = {
      ...input.alpha,
      ...(outcomes.length === 0 && judge === undefined ? {} : { outcomes: OUTCOMES_PART }),
      ...(judgesSpending ? { spending: SPENDING_PART } : {}),
    };
    if (input.renewal * 3 > input.lease) {
      context.addIssue({
        code: 'custom',
        path: ['renewal'],
        message: 'expected at most a third of the lease',
      });
    }
    if (input.renewal * 2 > input.watchHeartbeat) {
      context.addIssue({
        code: 'custom',
        path: ['watchHeartbeat'],
        message: 'expected at least twice the renewal, with which a watch shows its life',
      });
    }
    return {
      route: input.route,
      stages: stages.map((stage, index) => ({
        ...stage,
        alpha: alphaAtEntry(alpha, Math.max(1, index), index),
        ...(judge === undefined || stage.mirror === undefined ? {} : { judge }),
        ...(outcomes.length === 0 || stage.share === 0 || stage.only !== undefined ? {} : { outcomes }),
        ...(input.profile === 'small' ? { profile: input.profile } : {}),
      })),
      alpha,
      leaseMs: input.lease,
      renewalMs: input.renewal,
      watchHeartbeatMs: input.watchHeartbeat,
      probes: {
        intervalMs: input.probes.interval,
        timeoutMs: input.probes.timeout,
        ...probedFeatures(input.probes),
      },
      ...(input.assess === undefined ? {} : { assess: input.assess }),
      report: input.report,
      ...(input.rollout === undefined ? {} : { rollout: input.rollout }),
      ...(input.parity === undefined ? {} : { parity: parityPlan(input.parity) }),
      ...(input.identity === undefined ? {} : { identity: input.identity }),
      handover: input.handover,
      ...(input.notify === undefined ? {} : { notify: input.notify.map(withoutUndefined) }),
    };
  });

/** `embeddings: true` and `features: [embeddings]` mean the same. */
function probedFeatures(probes: {
  readonly embeddings: boolean;
  readonly features: readonly ProbeFeature[];
}): {
  embeddings: boolean;
  features: readonly ProbeFeature[];
} {
  const asked = [...probes.features, ...(probes.embeddings ? (['embeddings'] as const) : [])];
  const features = PROBE_FEATURES.filter((feature) => asked.includes(feature));
  return { embeddings: features.includes('embeddings'), features };
}

function withoutUndefined({
  name,
  moments,
}: {
  readonly name: string;
  readonly moments?: readonly EffectMoment[] | undefined;
}): PlannedNotification {
  return moments === undefined ? { name } : { name, moments };
}
