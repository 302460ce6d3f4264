import { z } from 'zod';
import {
  durationAtLeast,
  durationSchema,
  durationTextSchema,
  forwardedHeaderSchema,
  nameSchema,
  shareSchema,
} from '../configuration/schema-parts';
import { EFFECT_MOMENTS, type EffectMoment, type PlannedNotification } from '../effects/effect';
import { plannedEffectSchema } from '../effects/effect-schema';
import { alphaAtEntry, asParts, GUARDRAIL_WEIGHTS } from '../gates/alpha-spending';
import { COHORT_SHARE, type Cohort } from '../routing/cohort';
import { DAY_MS, formatDuration, HOUR_MS, MINUTE_MS } from '../text/duration';
import { assessPlanSchema } from './assess-plan-schema';
import { identityPlanSchema } from './identity-plan-schema';
import { OUTCOMES_PART } from './outcome-gate';
import { outcomeGatesSchema } from './outcome-gate-schema';
import {
  type AnswerGate,
  type CohortGate,
  formatShare,
  type Gates,
  judgedShare,
  type ParityMargins,
  type ParityPlan,
  type Plan,
  type ProbeFeature,
  SHED_PAUSE_PART,
  type StagePlan,
} from './plan';
import { MOST_RAMP_STEPS, rampStepCount, shareBefore } from './ramp';
import { isTimeZone } from './rollout-hours';
import { SPENDING_MEASURES, SPENDING_PART, type SpendingMeasure } from './spending-gate';
import { costGateSchema, outputTokensGateSchema } from './spending-gate-schema';

const ratio = z.number().gt(1, 'expected a ratio above 1');
const increase = z.number().gt(0, 'expected an increase above 0, such as 0.5 for +50%');
const milliseconds = z.number().min(0, 'expected 0 or more milliseconds').max(60_000);
const probability = z
  .number()
  .gt(0, 'expected a number above 0 and below 1')
  .lt(1, 'expected a number above 0 and below 1');

const alpha = z
  .number()
  .gt(0, 'expected a chance above 0 and at most 0.5')
  .max(0.5, 'expected a chance above 0 and at most 0.5');

const weight = z
  .number()
  .gt(0, 'expected a weight above 0 and below 1')
  .lt(1, 'expected a weight above 0 and below 1');
const weights = z
  .strictObject({
    errors: weight.default(GUARDRAIL_WEIGHTS.errors).describe('The ratio of errors.'),
    latency: weight.default(GUARDRAIL_WEIGHTS.latency).describe('All latencies together.'),
    tail: weight.default(GUARDRAIL_WEIGHTS.tail).describe('All far tails of latencies together.'),
    leavers: weight.default(GUARDRAIL_WEIGHTS.leavers).describe('Callers who left.'),
    floor: weight.default(GUARDRAIL_WEIGHTS.floor).describe('The floor of success.'),
    answers: weight.default(GUARDRAIL_WEIGHTS.answers).describe('Answers that break their contract.'),
  })
  .transform(asParts);

const HOLDBACK_MOST = 0.2;
const HOLDBACK = 0.05;

const holdbackSchema = shareSchema.refine((part) => part <= HOLDBACK_MOST, 'expected a part from 0% to 20%');

/** A step shorter than the shortest window would end before anything was seen of it. */
const LEAST_STEP_MS = 500;

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'expected a time of day such as "09:00"');
const localTime = z
  .string()
  .regex(
    /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T([01]\d|2[0-3]):[0-5]\d)?$/,
    'expected a day such as "2026-12-20" or a local time such as "2026-12-20T18:00"',
  );

const gatesSchema = z.strictObject({
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
        .describe('Not evaluated while more than this part of either provider could not be checked.'),
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

const rolloutSchema = z.strictObject({
  timeZone: z
    .string()
    .refine(isTimeZone, {
      error: ({ input }) =>
        `expected an IANA time zone such as "Europe/Berlin", got ${JSON.stringify(input)}`,
    })
    .describe('The time zone of hours and freezes.'),
  hours: z
    .array(
      z
        .strictObject({
          days: z
            .array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
            .min(1)
            .describe('Days on which the hours begin.'),
          from: timeOfDay.describe('Local time such as 09:30.'),
          to: timeOfDay.describe('Local time; on the next day if it is earlier than from.'),
        })
        .refine(({ from, to }) => from !== to, 'expected hours that differ, got the same from and to'),
    )
    .max(50)
    .default([])
    .describe('Weekly hours at which a share may be raised; none: any hour.'),
  freezes: z
    .array(
      z
        .strictObject({
          from: localTime.describe('A day, or a local time such as 2026-12-24T18:00.'),
          to: localTime.describe('The same; later than from.'),
          reason: z.string().max(200).default('').describe('Why; shown during the freeze.'),
        })
        .transform(({ from, to, reason }) => ({
          from: from.length === 10 ? `${from}T00:00` : from,
          to: to.length === 10 ? `${to}T24:00` : to,
          reason,
        }))
        .refine(({ from, to }) => from < to, 'expected a later time in to than in from'),
    )
    .max(50)
    .default([])
    .describe('Days or local times between which no share is raised; a day given as `to` is included.'),
});

const stageSchema = z.strictObject({
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

type StageInput = z.output<typeof stageSchema>;

const PROBE_FEATURES = [
  'embeddings',
  'tools',
  'jsonSchema',
  'longContext',
] as const satisfies readonly ProbeFeature[];

/** The margins of a parity run that says nothing of its own. */
export const PARITY_MARGINS: ParityMargins = {
  decisions: 0.1,
  toolArguments: 0.2,
  jsonFields: 0.2,
  similarity: 0.4,
  length: 0.5,
  embedding: 0.05,
};

const margin = z
  .number()
  .gt(0, 'expected a margin above 0, such as 0.1 for 10 points')
  .lt(1, 'expected a margin below 1, such as 0.1 for 10 points');

const paritySchema = z.strictObject({
  golden: z
    .string()
    .min(1)
    .describe("Golden prompts (JSON lines) on the worker's machine; relative to CUTOVER_GOLDEN_DIR."),
  maxCostUsd: z
    .number()
    .gt(0, 'expected an amount above 0, or null for no cap')
    .nullable()
    .default(5)
    .describe('Nothing more is sent once this is spent; null: no cap, and no prices are needed.'),
  concurrency: z.int().min(1).max(64).default(4).describe('Calls at a time.'),
  timeout: durationSchema('120s', 'For one answer.', 100),
  minimumPrompts: z
    .int()
    .min(1)
    .default(30)
    .describe('At least this many prompts must be compared for a pass.'),
  margins: z
    .strictObject({
      decisions: margin
        .default(PARITY_MARGINS.decisions)
        .describe('Tool called or not, valid JSON, refusal, truncation, language.'),
      toolArguments: margin
        .default(PARITY_MARGINS.toolArguments)
        .describe('Names and arguments of tool calls.'),
      jsonFields: margin.default(PARITY_MARGINS.jsonFields).describe('Fields of JSON answers.'),
      similarity: margin.default(PARITY_MARGINS.similarity).describe('Similarity of texts.'),
      length: margin.default(PARITY_MARGINS.length).describe('Ratio of the lengths of texts.'),
      embedding: margin
        .default(PARITY_MARGINS.embedding)
        .describe('Cosine of embeddings of the same inputs.'),
    })
    .prefault({})
    .describe('How much worse than legacy against itself the candidate may be.'),
});

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
        'Part of the traffic that stays at legacy through the soak of the last stage, to compare with: 0% to 20%. Default: 5%, for the profile small 10%, at most half of what the stage before leaves at legacy. 0%: none.',
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
    alpha: z
      .strictObject({
        rollback: alpha.default(0.05).describe('Chance of a false rollback in a migration, at the margins.'),
        promotion: alpha.default(0.05).describe('Chance of a false promotion in a stage, for each goal.'),
        weights: weights
          .prefault({})
          .describe(
            "How the chance of a false rollback is divided over guardrails: each gets its weight's part of the sum.",
          ),
      })
      .prefault({}),
    outcomes: outcomeGatesSchema
      .optional()
      .describe(
        'What applications say of answers (/v1/outcomes), judged in every stage that splits traffic. Takes a fifth of the chance of a false rollback.',
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
    const { outcomes = [] } = input;
    const judgesSpending = stages.some(
      ({ share, mirror, only, gates }) =>
        only === undefined &&
        (share > 0 || mirror !== undefined) &&
        SPENDING_MEASURES.some((measure) => measure in gates),
    );
    const alpha = {
      ...input.alpha,
      ...(outcomes.length === 0 ? {} : { outcomes: OUTCOMES_PART }),
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

function parityPlan({ timeout, ...parity }: z.output<typeof paritySchema>): ParityPlan {
  return { ...parity, timeoutMs: timeout };
}

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

/** Gates that a stage has only where the plan says so, or that depend on its others. */
type OptionalGate = 'answers' | 'cohort' | SpendingMeasure;
type ResolvedStage = Omit<StagePlan, 'alpha'>;
type StageDefaults = Omit<ResolvedStage, 'name' | 'share' | 'windowMs' | 'profile' | 'gates'> & {
  readonly gates: Required<Omit<Gates, OptionalGate>>;
};

/** What a profile says where a plan says nothing. */
interface Profile {
  readonly stages: readonly string[];
  readonly shares: Readonly<Record<string, number>>;
  readonly holdback: number;
  readonly defaults: (share: number, holdback: number) => StageDefaults;
}

const PROFILES: Readonly<Record<'standard' | 'small', Profile>> = {
  standard: {
    stages: ['assess', 'canary', 'rolling', 'complete'],
    shares: { assess: 0, canary: 0.1, rolling: 0.5, complete: 1 },
    holdback: HOLDBACK,
    defaults: stageDefaults,
  },
  small: {
    stages: ['assess', 'canary', 'complete'],
    shares: { assess: 0, canary: 0.5, complete: 1 },
    holdback: 2 * HOLDBACK,
    defaults: smallStageDefaults,
  },
};

/** Margins of what some hundreds of requests can show, and the time that they take to come. */
function smallStageDefaults(share: number, holdback: number): StageDefaults {
  const standard = stageDefaults(share, holdback);
  if (share === 0) return standard;
  const { gates } = standard;
  return {
    ...standard,
    soakMs: 2 * DAY_MS,
    minimumSample: 200,
    minimumKeys: share === 1 ? 0 : 20,
    deadline: { holdMs: 14 * DAY_MS, rollbackMs: share === 1 ? null : 28 * DAY_MS },
    gates: {
      ...gates,
      errors: { ...gates.errors, promotionExcess: 0.05 },
      latency: { ...gates.latency, promotionIncrease: holdback > 0 ? 0.5 : 0.3, quantile: 0.5 },
      floor: { success: 0.93 },
    },
  };
}

/** What is held back at legacy in the last stage; less than the stage before leaves there. */
function resolveHoldback(
  said: number | undefined,
  stages: readonly StageInput[],
  { shares, holdback }: Profile,
  context: z.core.$RefinementCtx,
): number {
  const before = stages.at(-2);
  const left = Number((1 - (before?.share ?? shares[before?.name ?? ''] ?? 0)).toPrecision(12));
  if (said === undefined) return Math.min(holdback, left / 2);
  if (said >= left) {
    context.addIssue({
      code: 'custom',
      path: ['holdback'],
      message: `expected less than the ${formatShare(left)} that "${before?.name}" leaves at legacy, got ${formatShare(said)}`,
    });
  }
  return said;
}

function stageDefaults(share: number, holdback: number): StageDefaults {
  if (share === 0) {
    return {
      soakMs: 0,
      minimumSample: 30,
      minimumKeys: 0,
      burnIn: { timeMs: 0, requests: 0 },
      deadline: { holdMs: DAY_MS, rollbackMs: null },
      gates: gateDefaults(0.02, null),
    };
  }
  const burnIn = { timeMs: 10 * MINUTE_MS, requests: 50 };
  if (share === 1) {
    return {
      soakMs: DAY_MS,
      minimumSample: 2_000,
      minimumKeys: 0,
      burnIn,
      // So few requests at legacy take longer, and wider margins than the stage before has shown.
      deadline: { holdMs: (holdback > 0 ? 5 : 2) * DAY_MS, rollbackMs: null },
      gates: holdback > 0 ? gateDefaults(0.02, 0.5) : gateDefaults(0.01, 0.2),
    };
  }
  if (share < 0.5) {
    return {
      soakMs: DAY_MS,
      minimumSample: 400,
      minimumKeys: 50,
      burnIn,
      deadline: { holdMs: 3 * DAY_MS, rollbackMs: 7 * DAY_MS },
      gates: gateDefaults(0.02, null),
    };
  }
  return {
    soakMs: 2 * DAY_MS,
    minimumSample: 2_000,
    minimumKeys: 200,
    burnIn,
    deadline: { holdMs: 5 * DAY_MS, rollbackMs: 10 * DAY_MS },
    gates: gateDefaults(0.01, 0.2),
  };
}

function gateDefaults(
  promotionExcess: number,
  promotionIncrease: number | null,
): Required<Omit<Gates, OptionalGate>> {
  return {
    errors: { rollbackRatio: 1.5, promotionExcess },
    latency: { rollbackIncrease: 0.5, promotionIncrease, quantile: 0.95, tailIncrease: 2, ignoreBelowMs: 10 },
    interToken: { rollbackIncrease: 1, ignoreBelowMs: 2 },
    leavers: { rollbackRatio: 2 },
    shed: { pausePart: SHED_PAUSE_PART },
    sampleRatio: { pausePValue: 0.001 },
    floor: { success: 0.97 },
    probes: { rollbackStreak: 5, promotionStreak: 12 },
  };
}

/** Some answers of every route are cut or refused: a point wider than errors, which are rarer. */
const ANSWERS_WIDER = 0.01;

function answerDefaults({ promotionExcess }: Gates['errors'], minimumSample: number): AnswerGate {
  return {
    rollbackRatio: 1.5,
    promotionExcess: Number(Math.min(0.999, promotionExcess + ANSWERS_WIDER).toPrecision(12)),
    minimum: Math.min(100, minimumSample),
    maxUnchecked: 0.2,
  };
}

function resolveStage(
  stage: StageInput,
  index: number,
  {
    profile: { shares, defaults: defaultsAt },
    holdback,
    cohortShare,
  }: { readonly profile: Profile; readonly holdback: number; readonly cohortShare: number },
  context: z.core.$RefinementCtx,
): ResolvedStage {
  const isShadow = stage.mirror !== undefined || stage.name === SHADOW;
  checkCohort(stage, index, context);
  const share = stage.only === undefined ? (stage.share ?? (isShadow ? 0 : shares[stage.name])) : cohortShare;
  if (share === undefined) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'share'],
      message: `expected a share for the stage "${stage.name}": only ${Object.keys(shares).join(', ')} have one by default`,
    });
  }
  const mirror = checkMirror(stage, index, context);
  const defaults =
    stage.only !== undefined
      ? cohortDefaults()
      : mirror === undefined
        ? defaultsAt(share ?? 0, holdback)
        : shadowDefaults();
  const soakMs = stage.soak ?? defaults.soakMs;
  const holdMs = stage.deadline?.hold ?? defaults.deadline.holdMs;
  const rollbackMs =
    stage.deadline?.rollback !== undefined ? stage.deadline.rollback : defaults.deadline.rollbackMs;
  if (rollbackMs !== null && rollbackMs < holdMs) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'deadline', 'rollback'],
      message: 'expected a later time than hold',
    });
  }
  if (share === 0 && soakMs > 0 && mirror === undefined) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'soak'],
      message: 'expected no soak at share 0: nothing is served there',
    });
  }
  if (holdMs <= soakMs) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'deadline', 'hold'],
      message: 'expected a longer time than the soak',
    });
  }
  const windowMs = stage.window ?? Math.max(MINUTE_MS, soakMs / 48);
  if (windowMs < 500) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'window'],
      message: 'expected at least 500ms',
    });
  }
  const burnIn = {
    timeMs: stage.burnIn?.time ?? defaults.burnIn.timeMs,
    requests: stage.burnIn?.requests ?? defaults.burnIn.requests,
  };
  const gates = stage.gates ?? {};
  const minimumSample = stage.minimumSample ?? defaults.minimumSample;
  const errors = given(defaults.gates.errors, gates.errors);
  return {
    name: stage.name,
    share: share ?? Number.NaN,
    ...(holdback > 0 ? { holdback } : {}),
    ...(mirror === undefined ? {} : { mirror, maxCostUsd: stage.maxCostUsd ?? Number.NaN }),
    ...(stage.only === undefined ? {} : { only: stage.only }),
    ...(stage.ramp === undefined ? {} : { ramp: { step: stage.ramp.step, everyMs: stage.ramp.every } }),
    soakMs,
    windowMs,
    minimumSample,
    minimumKeys: stage.minimumKeys ?? defaults.minimumKeys,
    burnIn,
    deadline: { holdMs, rollbackMs },
    gates: {
      errors,
      ...(gates.answers === null
        ? {}
        : { answers: given(answerDefaults(errors, minimumSample), gates.answers) }),
      latency: given(defaults.gates.latency, gates.latency),
      interToken: given(defaults.gates.interToken, gates.interToken),
      ...(gates.cost === undefined ? {} : { cost: gates.cost }),
      ...(gates.outputTokens === undefined ? {} : { outputTokens: gates.outputTokens }),
      leavers: given(defaults.gates.leavers, gates.leavers),
      shed: given(defaults.gates.shed, gates.shed),
      sampleRatio: given(defaults.gates.sampleRatio, gates.sampleRatio),
      ...(stage.only === undefined ? {} : { cohort: cohortGate(gates.cohort) }),
      floor: given(defaults.gates.floor, gates.floor),
      probes: given(defaults.gates.probes, gates.probes),
    },
    ...approvalOf(stage.approval),
    ...(stage.effects === undefined ? {} : { effects: stage.effects }),
    ...(stage.confirm === undefined ? {} : { confirm: stage.confirm }),
  };
}

/** What a stage with `only` has besides, and where it may stand. */
function checkCohort(
  { name, only, share, mirror, ramp, gates }: StageInput,
  index: number,
  context: z.core.$RefinementCtx,
): void {
  const issue = (path: readonly string[], message: string) =>
    context.addIssue({ code: 'custom', path: ['stages', index, ...path], message });
  if (only === undefined) {
    if (gates?.cohort !== undefined) {
      issue(
        ['gates', 'cohort'],
        `expected it with only: "${name}" serves whom its share draws, got bounds of a cohort`,
      );
    }
    return;
  }
  if (share !== undefined) {
    issue(
      ['share'],
      `expected no share beside only: everybody else stays at legacy, got ${formatShare(share)}`,
    );
  }
  if (mirror !== undefined) issue(['mirror'], 'expected no mirror beside only, got one');
  if (ramp !== undefined) issue(['ramp'], 'expected no ramp beside only: no share is raised, got one');
  if (index === 0) issue(['only'], 'expected the first stage to move nothing, got one that serves a cohort');
}

const COHORT_SUCCESS = 0.97;
const COHORT_BREACHES = 0.05;

function cohortGate(said: NonNullable<StageInput['gates']>['cohort']): CohortGate {
  return {
    success: said?.success ?? COHORT_SUCCESS,
    breaches: said?.breaches ?? COHORT_BREACHES,
    p95Ms: said?.p95 ?? null,
    firstTokenP95Ms: said?.firstTokenP95 ?? null,
  };
}

/** Some hundreds of requests of people who know that they try something. */
function cohortDefaults(): StageDefaults {
  return {
    soakMs: DAY_MS,
    minimumSample: 200,
    minimumKeys: 0,
    burnIn: { timeMs: 0, requests: 0 },
    deadline: { holdMs: 3 * DAY_MS, rollbackMs: 7 * DAY_MS },
    gates: gateDefaults(0.02, null),
  };
}

/** The name of the stage that copies; others may as well. */
const SHADOW = 'shadow';

/** What a stage copies; it needs a bound on what that costs, and serves nobody by the candidate. */
function checkMirror(
  { name, mirror, maxCostUsd, share }: StageInput,
  index: number,
  context: z.core.$RefinementCtx,
): number | undefined {
  const issue = (field: string, message: string) =>
    context.addIssue({ code: 'custom', path: ['stages', index, field], message });
  if (mirror === undefined && name === SHADOW && (share ?? 0) === 0) {
    issue('mirror', "expected the part of legacy's requests to copy, such as 5%");
  }
  if (mirror === undefined && maxCostUsd !== undefined) {
    issue('maxCostUsd', 'expected it with mirror only: nothing else is bounded by it');
  }
  if (mirror === undefined) return undefined;
  if (mirror === 0) issue('mirror', 'expected a part above 0, such as 5%');
  if (maxCostUsd === undefined) {
    issue('maxCostUsd', 'expected what the copies may cost, USD, such as 5: mirror needs a bound');
  }
  if ((share ?? 0) !== 0) {
    issue('share', `expected no share beside mirror: nobody is served by the candidate, got ${share}`);
  }
  if (index !== 1) issue('mirror', 'expected it in the second stage, after the one that assesses');
  return mirror;
}

/** Pairs tell more than two arms do: some hundreds are enough. */
function shadowDefaults(): StageDefaults {
  return {
    soakMs: HOUR_MS,
    minimumSample: 300,
    minimumKeys: 0,
    burnIn: { timeMs: 0, requests: 0 },
    deadline: { holdMs: 3 * DAY_MS, rollbackMs: null },
    gates: gateDefaults(0.02, null),
  };
}

function approvalOf(asked: StageInput['approval']): Pick<StagePlan, 'approval'> {
  if (asked === undefined || asked === false) return {};
  const { expires = DAY_MS, onExpiry = 'hold' } = asked === true ? {} : asked;
  return { approval: { expiresMs: expires, onExpiry } };
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

/** Defaults, replaced where the plan says something. */
function given<T extends object>(
  defaults: T,
  said: { readonly [K in keyof T]?: T[K] | undefined } | undefined,
): T {
  const fields = Object.entries(said ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(fields) };
}

function checkOrder(stages: readonly ResolvedStage[], context: z.core.$RefinementCtx): void {
  const issue = (index: number, field: string, message: string) =>
    context.addIssue({ code: 'custom', path: ['stages', index, field], message });
  stages.forEach((stage, index) => {
    if (stages.findIndex((other) => other.name === stage.name) !== index) {
      issue(index, 'name', `expected names that differ, got "${stage.name}" twice`);
    }
    const before = stages[index - 1];
    const copies = stage.mirror !== undefined && stage.share === 0;
    if (before !== undefined && stage.only !== undefined && stage.share <= before.share) {
      issue(index, 'only', `expected it before the percentages, got it behind "${before.name}"`);
    } else if (before !== undefined && stage.share <= before.share && !copies) {
      issue(
        index,
        'share',
        `expected more than the ${before.share} of "${before.name}" before it, got ${stage.share}`,
      );
    }
  });
  if (stages[0]?.share !== 0)
    issue(0, 'share', `expected the first stage to move nothing (share 0), got ${stages[0]?.share}`);
  const last = stages.length - 1;
  if (stages[last]?.share !== 1)
    issue(last, 'share', `expected the last stage to move everything (share 1), got ${stages[last]?.share}`);
}

/** Whether each ramp has a distance to go, in steps that are neither none nor too many, before its stage is held. */
function checkRamps(stages: readonly ResolvedStage[], context: z.core.$RefinementCtx): void {
  for (const [index, stage] of stages.entries()) {
    const { name, ramp, only, share, soakMs, deadline } = stage;
    // A ramp beside a cohort has been refused already.
    if (ramp === undefined || only !== undefined) continue;
    const issue = (path: readonly string[], message: string) =>
      context.addIssue({ code: 'custom', path: ['stages', index, ...path], message });
    const from = shareBefore({ stages: stages as readonly StagePlan[] }, index);
    const to = judgedShare(stage);
    if (!(share > 0)) {
      issue(
        ['ramp'],
        `expected no ramp in "${name}", which raises nothing, got one at share ${formatShare(share)}`,
      );
      continue;
    }
    if (!(ramp.step > 0)) {
      issue(['ramp', 'step'], 'expected a step above 0%, such as 5%, got 0%');
      continue;
    }
    if (!(ramp.step < to - from)) {
      const distance = formatShare(to - from);
      issue(
        ['ramp', 'step'],
        `expected less than the ${distance} from ${formatShare(from)} to ${formatShare(to)}, got ${formatShare(ramp.step)}`,
      );
      continue;
    }
    const steps = rampStepCount({ from, to, step: ramp.step });
    if (steps > MOST_RAMP_STEPS) {
      issue(
        ['ramp', 'step'],
        `expected at most ${MOST_RAMP_STEPS} steps from ${formatShare(from)} to ${formatShare(to)}, got ${steps}`,
      );
      continue;
    }
    const takesMs = (steps - 1) * ramp.everyMs;
    if (deadline.holdMs > soakMs && deadline.holdMs <= takesMs + soakMs) {
      issue(
        ['deadline', 'hold'],
        `expected a longer time than the ramp of ${formatDuration(takesMs)} and the soak of ${formatDuration(soakMs)} together, got ${formatDuration(deadline.holdMs)}`,
      );
    }
  }
}
