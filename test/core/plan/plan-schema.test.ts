import type { Configuration } from '../../../src/core/configuration/configuration-schema';
import { InvalidDocument, parseDocument } from '../../../src/core/configuration/schema-parts';
import { GUARDRAIL_WEIGHTS } from '../../../src/core/gates/alpha-spending';
import { planJudgeProblems } from '../../../src/core/plan/judge/judge-problems';
import { type StagePlan, stageKind, stageShareText } from '../../../src/core/plan/plan';
import { planCohortProblems } from '../../../src/core/plan/plan-cohorts';
import { planSchema } from '../../../src/core/plan/plan-schema';
import { rampMs, rampShares } from '../../../src/core/plan/ramp';
import { COHORT_SHARE } from '../../../src/core/routing/cohort';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function parse(value: unknown) {
  return parseDocument(planSchema, value, 'plan.yaml');
}

function problems(value: unknown): string[] {
  try {
    parse(value);
  } catch (error) {
    if (!(error instanceof InvalidDocument)) throw error;
    expect(error.message).toMatch(/^plan\.yaml is not valid:\n/);
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

/** A plan with one stage between assess and complete. */
const between = (stage: Record<string, unknown>) => ({
  route: 'chat',
  stages: [{ name: 'assess' }, stage, { name: 'complete' }],
});

/** A stage with a ramp, and what comes after it. */
const ramped = (stage: Record<string, unknown>, ramp: Record<string, unknown> = {}) => [
  { ...stage, ramp: { step: '5%', every: '10m', ...ramp } },
  { name: 'complete' },
];

/** A plan whose second stage is a pilot. */
const piloted = (stage: Record<string, unknown>) => ({
  stages: [{ name: 'assess' }, { name: 'pilot', ...stage }, { name: 'complete' }],
});

it('serves cohorts before the percentages, by shares that rise and draw nobody', () => {
  const only = { header: 'X-Cohort', values: ['beta'] };
  const { stages } = parse({
    route: 'chat',
    stages: [
      { name: 'assess' },
      { name: 'pilot', only: { teams: ['search'] } },
      { name: 'beta', only, gates: { cohort: { success: 0.9, p95: '3s' } } },
      { name: 'canary', ramp: { step: '5%', every: '10m' } },
      { name: 'complete' },
    ],
  });
  expect(stages.map(stageKind)).toEqual(['assess', 'cohort', 'cohort', 'split', 'complete']);
  expect(stages.slice(1, 3).map(({ share }) => share)).toEqual([COHORT_SHARE, 2 * COHORT_SHARE]);
  expect(stages[1]?.gates.cohort).toEqual({
    success: 0.97,
    breaches: 0.05,
    p95Ms: null,
    firstTokenP95Ms: null,
  });
  expect(stages[2]).toMatchObject({
    only: { header: 'x-cohort', values: ['beta'] },
    gates: { cohort: { success: 0.9, p95Ms: 3_000 } },
  });
  expect(stages.map(stageShareText).slice(1, 3)).toEqual(['team search alone', 'x-cohort beta alone']);
  expect(rampShares({ stages }, 3)).toEqual([0.05, 0.1]);
});

it('says which teams and keys the configuration lacks for its cohorts', () => {
  const plan = parse({
    route: 'chat',
    stages: [
      { name: 'assess' },
      { name: 'pilot', only: { teams: ['search', 'serch'] } },
      { name: 'beta', only: { header: 'x-cohort', values: ['beta'] } },
      { name: 'complete' },
    ],
  });
  const caller = { team: 'search', keySha256: '0'.repeat(64), keys: {}, headers: {} };
  const gateway = {} as Configuration['gateway'];
  expect(planCohortProblems(plan, { callers: [caller], gateway })).toEqual([
    {
      path: 'stages[1].only.teams',
      message: 'expected teams of the configuration\'s callers, which are search, got "serch"',
    },
    { path: 'stages[2].only.header', message: expect.stringContaining('expected gateway.cohorts') },
  ]);
  const cohorts = { key: 'env:COHORTS', oldKeys: [] };
  const [first] = planCohortProblems(plan, { callers: [], gateway: { ...gateway, cohorts } });
  expect(first?.message).toContain('which has no callers, got "search"');
});

it('raises in steps from the share at which the stage before was judged', () => {
  const ramp = { step: '10%', every: '10m' };
  const plan = parse({
    route: 'chat',
    stages: [
      { name: 'assess' },
      { name: 'canary' },
      { name: 'rolling', share: 0.35, ramp },
      { name: 'complete', ramp: { ...ramp, step: '30%' } },
    ],
  });
  expect(plan.stages.map((_, index) => rampShares(plan, index))).toEqual([
    [0],
    [0.1],
    // The last step is what is left.
    [0.2, 0.3, 0.35],
    [0.65, 0.95],
  ]);
  expect(plan.stages.map((_, index) => rampMs(plan, index))).toEqual([0, 0, 1_200_000, 600_000]);
  expect(plan.stages.map(stageShareText).slice(2)).toEqual([
    '35% in steps of 10%',
    '95% in steps of 30%, then 100%',
  ]);
});

describe('a holdback', () => {
  const last = (document: unknown) => parse(document).stages.at(-1);

  it('is 5% of the traffic by default, 10% for little traffic, and half of what is left where that is less', () => {
    expect(last({ route: 'chat' })).toMatchObject({ name: 'complete', share: 1, holdback: 0.05 });
    expect(last({ route: 'chat', profile: 'small' })).toMatchObject({ holdback: 0.1 });
    expect(last(between({ name: 'most', share: 0.98 }))).toMatchObject({ holdback: 0.01 });
    expect(last({ route: 'chat', holdback: '2%' })).toMatchObject({ holdback: 0.02 });
  });

  it('belongs to the last stage alone, and may be none', () => {
    const { stages } = parse({ route: 'chat' });
    expect(stages.map(({ holdback }) => holdback)).toEqual([undefined, undefined, undefined, 0.05]);
    expect(last({ route: 'chat', holdback: 0 })).not.toHaveProperty('holdback');
  });
});

describe('the defaults', () => {
  const plan = parse({ route: 'chat' });

  it('are the four stages of the design', () => {
    expect(
      plan.stages.map(({ name, share, soakMs, minimumSample, minimumKeys, deadline, windowMs }) => ({
        name,
        share,
        soakMs,
        minimumSample,
        minimumKeys,
        windowMs,
        ...deadline,
      })),
    ).toEqual([
      {
        name: 'assess',
        share: 0,
        soakMs: 0,
        minimumSample: 30,
        minimumKeys: 0,
        windowMs: 60_000,
        holdMs: DAY_MS,
        rollbackMs: null,
      },
      {
        name: 'canary',
        share: 0.1,
        soakMs: DAY_MS,
        minimumSample: 400,
        minimumKeys: 50,
        windowMs: HOUR_MS / 2,
        holdMs: 3 * DAY_MS,
        rollbackMs: 7 * DAY_MS,
      },
      {
        name: 'rolling',
        share: 0.5,
        soakMs: 2 * DAY_MS,
        minimumSample: 2_000,
        minimumKeys: 200,
        windowMs: HOUR_MS,
        holdMs: 5 * DAY_MS,
        rollbackMs: 10 * DAY_MS,
      },
      {
        name: 'complete',
        share: 1,
        soakMs: DAY_MS,
        minimumSample: 2_000,
        minimumKeys: 0,
        windowMs: HOUR_MS / 2,
        holdMs: 5 * DAY_MS,
        rollbackMs: null,
      },
    ]);
  });

  it('are the gates, leases and probes of the design', () => {
    const [, canary, rolling] = plan.stages;
    expect(canary?.gates).toEqual({
      errors: { rollbackRatio: 1.5, promotionExcess: 0.02 },
      answers: { rollbackRatio: 1.5, promotionExcess: 0.03, minimum: 100, maxUnchecked: 0.2 },
      latency: {
        rollbackIncrease: 0.5,
        promotionIncrease: null,
        quantile: 0.95,
        tailIncrease: 2,
        ignoreBelowMs: 10,
      },
      interToken: { rollbackIncrease: 1, ignoreBelowMs: 2 },
      leavers: { rollbackRatio: 2 },
      shed: { pausePart: 0.05 },
      sampleRatio: { pausePValue: 0.001 },
      floor: { success: 0.97 },
      probes: { rollbackStreak: 5, promotionStreak: 12 },
    });
    expect(rolling?.gates).toMatchObject({
      errors: { promotionExcess: 0.01 },
      latency: { promotionIncrease: 0.2 },
    });
    expect(canary?.burnIn).toEqual({ timeMs: 600_000, requests: 50 });
    expect(plan).toMatchObject({ leaseMs: 45_000, renewalMs: 5_000, watchHeartbeatMs: 10_000 });
  });

  it('are replaced where the plan says something, null included, and only there', () => {
    const changed = parse(
      between({
        name: 'canary',
        share: '12.5%',
        deadline: { rollback: null },
        gates: { latency: { promotionIncrease: 0.3 }, floor: {} },
      }),
    ).stages[1];
    expect(changed).toMatchObject({ share: 0.125, deadline: { holdMs: 3 * DAY_MS, rollbackMs: null } });
    expect(changed?.gates.latency).toMatchObject({ rollbackIncrease: 0.5, promotionIncrease: 0.3 });
    expect(changed?.gates.floor).toEqual({ success: 0.97 });
  });
});

describe('a plan that is not valid names path, what was expected and what arrived', () => {
  const canary = { name: 'canary' };
  it.each([
    ['nothing', undefined, '(document): expected an object, got nothing'],
    ['a text', 'chat', '(document): expected an object, got "chat"'],
    ['a list', [], '(document): expected an object, got a list of 0'],
    ['no route', {}, 'route: expected a text, got nothing'],
    [
      'a digest cut short',
      { route: 'chat', identity: { declared: 'sha256:1f3a' } },
      'identity.declared: expected sha256: and 64 hexadecimal digits, as `cutover train status` prints them, got "sha256:1f3a"',
    ],
    [
      'an identity without a digest',
      { route: 'chat', identity: {} },
      'identity: expected a digest in declared, or a reference, got an object',
    ],
    [
      'a route that fits into no path',
      { route: '../x' },
      'route: expected a name of a-z, 0-9, dot, dash and underscore, at most 63 long, got "../x"',
    ],
    ['an unknown field', { route: 'chat', sahre: 1 }, 'sahre: unknown field'],
    [
      'an unknown field inside',
      between({ ...canary, deadline: { holds: '3d' } }),
      'stages[1].deadline.holds: unknown field',
    ],
    [
      'a field with a prototype',
      JSON.parse('{"route":"chat","__proto__":{"lease":"1s"}}'),
      '__proto__: unknown field',
    ],
    [
      'a share of 140%',
      between({ ...canary, share: '140%' }),
      'stages[1].share: expected a share from 0 to 1 (100%), got "140%"',
    ],
    [
      'a share of 1.4',
      between({ ...canary, share: 1.4 }),
      'stages[1].share: expected a share from 0 to 1 (100%), got 1.4',
    ],
    [
      'a share below 0',
      between({ ...canary, share: -0.1 }),
      'stages[1].share: expected a share from 0 to 1, got -0.1',
    ],
    [
      'a share in words',
      between({ ...canary, share: 'half' }),
      'stages[1].share: expected a number from 0 to 1, or a percentage such as "10%", got "half"',
    ],
    [
      'a share that is no number',
      between({ ...canary, share: Number.NaN }),
      'stages[1].share: expected a number from 0 to 1, or a percentage such as "10%", got NaN',
    ],
    [
      'duplicate stages',
      { route: 'chat', stages: [{ name: 'assess' }, canary, canary, { name: 'complete' }] },
      'stages[2].name: expected names that differ, got "canary" twice',
    ],
    [
      'shares that do not rise',
      { route: 'chat', stages: [{ name: 'assess' }, { name: 'rolling' }, canary, { name: 'complete' }] },
      'stages[2].share: expected more than the 0.5 of "rolling" before it, got 0.1',
    ],
    [
      'a stage without a share',
      between({ name: 'middle' }),
      'stages[1].share: expected a share for the stage "middle": only assess, canary, rolling, complete have one by default, got nothing',
    ],
    [
      'no assess',
      { route: 'chat', stages: [canary, { name: 'complete' }] },
      'stages[0].share: expected the first stage to move nothing (share 0), got 0.1',
    ],
    [
      'no complete',
      { route: 'chat', stages: [{ name: 'assess' }, canary] },
      'stages[1].share: expected the last stage to move everything (share 1), got 0.1',
    ],
    [
      'one stage',
      { route: 'chat', stages: [{ name: 'assess' }] },
      'stages: expected at least two stages: one that moves nothing and one that moves everything, got a list of 1',
    ],
    [
      'a duration without a unit',
      { route: 'chat', lease: 45 },
      'lease: expected a duration such as "45s", "10m", "24h" or "7d", got 45',
    ],
    [
      'a duration in words',
      between({ ...canary, soak: 'a day' }),
      'stages[1].soak: expected a duration such as "45s", "10m", "24h" or "7d", got "a day"',
    ],
    [
      'an endless duration',
      between({ ...canary, soak: '999999999999d' }),
      'stages[1].soak: expected at most 366d, got "999999999999d"',
    ],
    ['a lease of nothing', { route: 'chat', lease: '0s' }, 'lease: expected at least 1 s, got "0s"'],
    [
      'a renewal that a lease does not outlive',
      { route: 'chat', lease: '10s' },
      'renewal: expected at most a third of the lease, got nothing',
    ],
    [
      'a heartbeat shorter than what feeds it',
      { route: 'chat', watchHeartbeat: '5s' },
      'watchHeartbeat: expected at least twice the renewal, with which a watch shows its life, got "5s"',
    ],
    [
      'a window too short',
      between({ ...canary, window: '100ms' }),
      'stages[1].window: expected at least 500ms, got "100ms"',
    ],
    [
      'a hold before the soak is over',
      between({ ...canary, soak: '4d' }),
      'stages[1].deadline.hold: expected a longer time than the soak, got nothing',
    ],
    [
      'a rollback before the hold',
      between({ ...canary, deadline: { rollback: '1d' } }),
      'stages[1].deadline.rollback: expected a later time than hold, got "1d"',
    ],
    [
      'a soak where nothing is served',
      { route: 'chat', stages: [{ name: 'assess', soak: '1h' }, { name: 'complete' }] },
      'stages[0].soak: expected no soak at share 0: nothing is served there, got "1h"',
    ],
    [
      'a fraction of a request',
      between({ ...canary, minimumSample: 1.5 }),
      'stages[1].minimumSample: expected a whole number, got 1.5',
    ],
    [
      'a ratio that is none',
      between({ ...canary, gates: { errors: { rollbackRatio: 1 } } }),
      'stages[1].gates.errors.rollbackRatio: expected a ratio above 1, got 1',
    ],
    [
      'a success rate in percent',
      between({ ...canary, gates: { floor: { success: 97 } } }),
      'stages[1].gates.floor.success: expected a number above 0 and below 1, got 97',
    ],
    ['no probe at all', between({ ...canary, gates: { probes: { rollbackStreak: 0 } } }), 'got 0'],
  ])('%s', (_name, value, expected) => {
    expect(problems(value).join('\n')).toContain(expected);
  });

  it('tells all problems at once', () => {
    expect(problems({ lease: 5, renewal: 'soon', stages: 'none' })).toHaveLength(4);
  });

  it('stays readable for a document that is large nonsense', () => {
    const [problem] = problems({ route: 'x'.repeat(1 << 20) });
    expect(problem?.length).toBeLessThan(300);
  });
});

describe('what usage logs have to show', () => {
  const withUsage = (assess: Record<string, unknown>) => ({
    route: 'chat',
    assess: { usage: ['a.csv'], ...assess },
  });

  it('is nothing where the plan names no logs', () => {
    expect(parse({ route: 'chat' })).not.toHaveProperty('assess');
  });

  it('has defaults, and every point of the checklist in it', () => {
    expect(parse(withUsage({})).assess).toMatchObject({
      windowDays: 30,
      rejectedRowsMost: 0.01,
      ask: true,
      targets: { p50Ms: null, errorRate: null, savingPercent: null },
      checklist: { attested: ['sla', 'dataResidency', 'payment', 'contract'], further: [], asks: null },
      report: null,
    });
  });

  it('takes parts as percentages and times as durations', () => {
    const targets = { p50: '800ms', errorRate: '2%', saving: '15%' };
    expect(parse(withUsage({ targets })).assess?.targets).toEqual({
      p50Ms: 800,
      errorRate: 0.02,
      savingPercent: 15,
    });
  });

  it.each([
    ['no file', { usage: [] }, 'assess.usage: expected at least one file or glob'],
    ['an unknown point', { checklist: { attested: ['luck'] } }, 'assess.checklist.attested[0]'],
    [
      'an attestation without a date',
      { attestations: [{ item: 'sla', by: 'ana' }] },
      'assess.attestations[0].on',
    ],
    [
      'a ratio upside down',
      { tokenizerRatio: { low: 2, point: 1, high: 3 } },
      'expected low <= point <= high',
    ],
    ['a format that is a path', { format: '../x' }, 'expected the name of a format'],
  ])('refuses %s', (_name, assess, problem) => {
    expect(problems(withUsage(assess)).join()).toContain(problem);
  });
});

describe('the profile small', () => {
  const small = parse({ route: 'chat', profile: 'small' });

  it('has half of the traffic in canary, wide margins, the median and longer deadlines', () => {
    expect(small.stages.map(({ name, share }) => [name, share])).toEqual([
      ['assess', 0],
      ['canary', 0.5],
      ['complete', 1],
    ]);
    const [, canary] = small.stages;
    expect(canary).toMatchObject({ profile: 'small', minimumSample: 200, soakMs: 2 * DAY_MS });
    expect(canary?.gates.errors.promotionExcess).toBe(0.05);
    expect(canary?.gates.latency.quantile).toBe(0.5);
    expect(canary?.deadline.holdMs).toBe(14 * DAY_MS);
    expect(parse({ route: 'chat' }).stages.some(({ profile }) => profile === 'small')).toBe(false);
  });

  it('gives way to what the plan says', () => {
    const stages = [{ name: 'assess' }, { name: 'canary', share: 0.3, soak: '1d' }, { name: 'complete' }];
    const [, canary] = parse({ route: 'chat', profile: 'small', stages }).stages;
    expect(canary).toMatchObject({
      share: 0.3,
      soakMs: DAY_MS,
      gates: { errors: { promotionExcess: 0.05 } },
    });
  });

  it('is one of two', () => {
    expect(problems({ route: 'chat', profile: 'tiny' })).toEqual([
      expect.stringMatching(/^profile: .*got "tiny"$/),
    ]);
    expect(problems(between({ name: 'rest', share: 0.7, gates: { latency: { quantile: 0.7 } } }))).toEqual([
      expect.stringMatching(/^stages\[1\]\.gates\.latency\.quantile: expected 0.5 or 0.95, got 0.7$/),
    ]);
  });
});

it.each([
  [
    'alpha 0',
    { alpha: { rollback: 0 } },
    /^alpha\.rollback: expected a chance above 0 and at most 0\.5, got 0$/,
  ],
  [
    'alpha 2',
    { alpha: { promotion: 2 } },
    /^alpha\.promotion: expected a chance above 0 and at most 0\.5, got 2$/,
  ],
  [
    'a ramp in assess',
    { stages: ramped({ name: 'assess' }) },
    /^stages\[0\]\.ramp: expected no ramp in "assess", which raises nothing, got one at share 0%$/,
  ],
  [
    'a ramp beside copies',
    { stages: [{ name: 'assess' }, ...ramped({ name: 'shadow', mirror: 0.1, maxCostUsd: 1 })] },
    /^stages\[1\]\.ramp: expected no ramp in "shadow", which raises nothing, got one at share 0%$/,
  ],
  [
    'a step of 0',
    { stages: [{ name: 'assess' }, ...ramped({ name: 'canary' }, { step: 0 })] },
    /^stages\[1\]\.ramp\.step: expected a step above 0%, such as 5%, got 0%$/,
  ],
  [
    'a step as large as the distance',
    { stages: [{ name: 'assess' }, { name: 'canary' }, ...ramped({ name: 'rolling' }, { step: '40%' })] },
    /^stages\[2\]\.ramp\.step: expected less than the 40% from 10% to 50%, got 40%$/,
  ],
  [
    'more steps than a record should hold',
    { stages: [{ name: 'assess' }, ...ramped({ name: 'canary' }, { step: '0.01%' })] },
    /^stages\[1\]\.ramp\.step: expected at most 100 steps from 0% to 10%, got 1000$/,
  ],
  [
    'a step of no time',
    { stages: [{ name: 'assess' }, ...ramped({ name: 'canary' }, { every: '0s' })] },
    /^stages\[1\]\.ramp\.every: expected at least 500 ms, got "0s"$/,
  ],
  [
    'a hold that comes before the ramp and the soak are over',
    {
      stages: [{ name: 'assess' }, ...ramped({ name: 'canary', soak: '71h' }, { step: '1%', every: '10m' })],
    },
    /^stages\[1\]\.deadline\.hold: expected a longer time than the ramp of 90 min and the soak of 71 h together, got 72 h$/,
  ],
  [
    'teams and a header',
    piloted({ only: { teams: ['search'], header: 'x-cohort', values: ['beta'] } }),
    /^stages\[1\]\.only: expected either \{teams: \[search\]\} or \{header: x-cohort, values: \[beta\]\}, got teams, header, values$/,
  ],
  ['no team', piloted({ only: { teams: [] } }), /^stages\[1\]\.only/],
  [
    'a share beside a cohort',
    piloted({ only: { teams: ['search'] }, share: '5%' }),
    /^stages\[1\]\.share: expected no share together with `only`: everybody else stays at legacy, got 5%$/,
  ],
  [
    'a ramp beside a cohort',
    piloted({ only: { teams: ['search'] }, ramp: { step: '1%', every: '1m' } }),
    /^stages\[1\]\.ramp: expected no ramp/,
  ],
  [
    'bounds of a cohort where there is none',
    piloted({ share: '5%', gates: { cohort: { success: 0.9 } } }),
    /^stages\[1\]\.gates\.cohort: expected only in a stage with `only`/,
  ],
  [
    'a cohort behind percentages',
    {
      stages: [
        { name: 'assess' },
        { name: 'canary' },
        { name: 'pilot', only: { teams: ['search'] } },
        { name: 'complete' },
      ],
    },
    /^stages\[2\]\.only: expected a stage with `only` before the percentages, got it after "canary"$/,
  ],
  ['a holdback of 60%', { holdback: '60%' }, /^holdback: expected a part from 0% to 20%, got "60%"$/],
  [
    'a holdback of all that the stage before leaves',
    { stages: between({ name: 'm', share: 0.96 }).stages, holdback: 0.04 },
    /^holdback: expected less than the 4% that "m" leaves at legacy, got 4%$/,
  ],
  [
    'a weight of 0',
    { alpha: { weights: { floor: 0, errors: 0.6 } } },
    /^alpha\.weights\.floor: expected a weight above 0 and below 1, got 0$/,
  ],
  [
    'a negative margin of errors',
    { stages: between({ name: 'm', share: 0.5, gates: { errors: { promotionExcess: -0.01 } } }).stages },
    /promotionExcess: expected a number above 0 and below 1, got -0\.01$/,
  ],
  [
    'a part of unchecked answers of 100%',
    { stages: between({ name: 'm', share: 0.5, gates: { answers: { maxUnchecked: 1 } } }).stages },
    /gates\.answers\.maxUnchecked: expected a number above 0 and below 1, got 1$/,
  ],
  [
    'a ratio of answers below 1',
    { stages: between({ name: 'm', share: 0.5, gates: { answers: { rollbackRatio: 0.5 } } }).stages },
    /gates\.answers\.rollbackRatio: expected a ratio above 1, got 0\.5$/,
  ],
  [
    'a negative margin of latency',
    { stages: between({ name: 'm', share: 0.5, gates: { latency: { rollbackIncrease: -0.5 } } }).stages },
    /rollbackIncrease: expected an increase above 0, .*got -0\.5$/,
  ],
])('refuses %s in one sentence', (_name, said, sentence) => {
  expect(problems({ route: 'chat', ...said })).toEqual([expect.stringMatching(sentence)]);
});

describe('weights of guardrails', () => {
  const weightsOf = (weights: Record<string, number>) =>
    planSchema.parse({ route: 'chat', alpha: { weights } }).alpha?.weights;

  it('are parts of their sum, so that a plan that names some of them is valid', () => {
    expect(weightsOf({})).toEqual(GUARDRAIL_WEIGHTS);
    const named = weightsOf({ errors: 0.8 });
    expect(named?.errors).toBeCloseTo(0.8 / 1.4, 12);
    expect(named?.floor).toBeCloseTo(0.08 / 1.4, 12);
  });

  it('of a plan that an older release has written out leave a ninth to answers', () => {
    const before = { errors: 0.5, latency: 0.225, tail: 0.1, leavers: 0.075, floor: 0.1 };
    const weights = weightsOf(before);
    expect(weights?.answers).toBeCloseTo(0.12 / 1.12, 12);
    expect(weights?.errors).toBeCloseTo(0.5 / 1.12, 12);
  });
});

it('judges answers, and none where a plan says null', () => {
  const gates = (answers: object | null) =>
    planSchema.parse({
      route: 'chat',
      stages: between({ name: 'm', share: 0.5, gates: { answers } }).stages,
    }).stages[1]?.gates.answers;
  expect(gates({ minimum: 7 })).toEqual({
    ...{ rollbackRatio: 1.5, promotionExcess: 0.02 },
    ...{ minimum: 7, maxUnchecked: 0.2 },
  });
  expect(gates(null)).toBeUndefined();
});

describe('outcomes', () => {
  it('are judged by every stage that splits traffic, for a fifth of the chance of a false rollback', () => {
    const plan = planSchema.parse({ route: 'chat', outcomes: [{ name: 'solved', harm: 0.1 }] });
    const gate = { name: 'solved', better: 'higher', harm: 0.1, promotion: 0.05, minimum: 200 };
    expect(plan.stages.map(({ outcomes }) => outcomes)).toEqual([undefined, [gate], [gate], [gate]]);
    const without = planSchema.parse({ route: 'chat' });
    const chances = ({ stages }: typeof plan) => stages.slice(1).map(({ alpha }) => alpha);
    chances(plan).forEach(({ rollback, outcomes = 0 }, index) => {
      const { rollback: whole = 0 } = chances(without)[index] ?? {};
      expect(outcomes).toBeCloseTo(whole / 5, 12);
      expect(rollback + outcomes).toBeCloseTo(whole, 12);
    });
  });

  it('are not there in a plan that names none', () => {
    for (const plan of [
      planSchema.parse({ route: 'chat' }),
      planSchema.parse({ route: 'chat', outcomes: [] }),
    ]) {
      expect(JSON.stringify(plan)).not.toContain('outcomes');
    }
  });

  it.each([
    [
      'a value of 7 as a margin',
      [{ name: 'solved', harm: 7 }],
      'harm: expected a difference above 0 and below 1',
    ],
    ['no name', [{ better: 'higher' }], 'outcomes[0].name'],
    ['one name twice', [{ name: 'a' }, { name: 'a' }], 'expected names that differ, got "a" twice'],
    ['another direction', [{ name: 'a', better: 'up' }], 'outcomes[0].better'],
    ['five of them', 'abcde'.split('').map((name) => ({ name })), 'expected at most 4 outcomes'],
  ])('refuse %s', (_, outcomes, message) => {
    expect(() => parseDocument(planSchema, { route: 'chat', outcomes }, 'plan.yaml')).toThrow(message);
  });
});

describe('gates of cost and output tokens', () => {
  const planWith = (gates: object, at = 1) => ({
    route: 'chat',
    stages: ['assess', 'canary', 'complete'].map((name, index) => ({
      name,
      ...(index === at ? { gates } : {}),
    })),
  });

  it('are judged where a stage names them, with a tenth of the chance of a false rollback', () => {
    const plan = planSchema.parse(planWith({ cost: {}, outputTokens: { promotionIncrease: null } }));
    expect(plan.stages[1]?.gates).toMatchObject({
      cost: { rollbackIncrease: 0.5, promotionIncrease: 0.2, quantile: 0.95 },
      outputTokens: { promotionIncrease: null, ignoreBelowTokens: 10 },
    });
    expect(plan.alpha?.spending).toBe(0.1);
    expect(plan.stages[1]?.alpha).toMatchObject({
      rollback: expect.closeTo(0.0225, 12),
      spending: expect.closeTo(0.0025, 12),
    });
  });

  it('leave a plan that does not name them as it was, and one that names them where nothing moves', () => {
    expect(JSON.stringify(planSchema.parse({ route: 'chat' }))).not.toMatch(/spending|"cost"/);
    expect(planSchema.parse(planWith({ cost: {} }, 0)).alpha).not.toHaveProperty('spending');
  });

  it.each([
    [
      'a margin of nothing',
      { cost: { rollbackIncrease: 0 } },
      'gates.cost.rollbackIncrease: expected an increase',
    ],
    ['another quantile', { cost: { quantile: 0.9 } }, 'gates.cost.quantile: expected 0.5 or 0.95'],
    ['fewer tokens than none', { outputTokens: { ignoreBelowTokens: -1 } }, 'expected 0 or more tokens'],
    ['a field of latencies', { cost: { tailIncrease: 2 } }, 'tailIncrease'],
    ['a number', { cost: 0.5 }, 'stages[1].gates.cost'],
  ])('refuse %s', (_, gates, message) => {
    expect(() => parseDocument(planSchema, planWith(gates), 'plan.yaml')).toThrow(message);
  });
});

describe('a judge', () => {
  const shadow = { name: 'shadow', mirror: '5%', maxCostUsd: 5 };
  const judge = { provider: 'openai', model: 'gpt-4o', maxCostUsd: 2 };
  const stages = [{ name: 'assess' }, shadow, { name: 'canary' }, { name: 'complete' }];

  it('is of the stage that copies, with a tenth of its pairs, and has the alpha of outcomes', () => {
    const plan = parse({ route: 'chat', judge, stages });
    expect(plan.stages.map((stage) => stage.judge)).toEqual([
      undefined,
      { ...judge, sample: 0.1, harm: 0.1, minimum: 50 },
      undefined,
      undefined,
    ]);
    expect(plan.stages[1]?.alpha).toMatchObject({
      ...{ rollback: expect.closeTo(0.02, 12), outcomes: expect.closeTo(0.005, 12) },
    });
  });

  it.each([
    [
      'without a stage that copies',
      { judge },
      'judge: expected a stage with mirror, such as {name: shadow, mirror: 5%, maxCostUsd: 5}, whose pairs of answers it judges, got none',
    ],
    [
      'of nothing',
      { stages, judge: { ...judge, sample: 0 } },
      'judge.sample: expected a part above 0, such as 10%',
    ],
    [
      'without a limit',
      { stages, judge: { provider: 'openai', model: 'gpt-4o' } },
      'judge.maxCostUsd: expected what judging may cost, USD, such as 2, got nothing',
    ],
    [
      'for nothing',
      { stages, judge: { ...judge, maxCostUsd: 0 } },
      'judge.maxCostUsd: expected an amount above 0, such as 5',
    ],
  ])('is refused %s', (_, more, problem) => {
    const [found, ...others] = problems({ route: 'chat', ...more });
    expect(found?.startsWith(problem)).toBe(true);
    expect(others).toEqual([]);
  });

  it.each([
    ['nobody', { provider: 'nobody' }, 'judge.provider: expected one of openai, claude, got "nobody"'],
    [
      'claude',
      { provider: 'claude' },
      'judge.provider: expected a provider with dialect: openai, got claude with dialect: anthropic',
    ],
    [
      'a model without a price',
      { model: 'gpt-9' },
      'judge.model: expected a price in providers.openai.prices, without which maxCostUsd cannot be kept, got none for "gpt-9"',
    ],
    ['a model with a price', {}, null],
  ])('may be %s or not', (_, more, problem) => {
    const prices = { 'gpt-4o': { inputPerMillion: 1, outputPerMillion: 2 } };
    const providers = {
      openai: { dialect: 'openai', prices },
      claude: { dialect: 'anthropic', prices },
    } as unknown as Configuration['providers'];
    const plan = parse({ route: 'chat', stages, judge: { ...judge, ...more } });
    const found = planJudgeProblems(plan, { providers }).map(({ path, message }) => `${path}: ${message}`);
    expect(found).toEqual(problem === null ? [] : [problem]);
  });
});

describe('a stage that copies', () => {
  const planWith = (stage: object, at = 1) => {
    const stages: object[] = [{ name: 'assess' }, { name: 'canary' }, { name: 'complete' }];
    stages.splice(at, 0, stage);
    return { route: 'chat', stages };
  };

  it('has share 0 between the first and those that move, an hour of soak and 300 pairs', () => {
    const { stages } = planSchema.parse(planWith({ name: 'shadow', mirror: '5%', maxCostUsd: 5 }));
    expect(stages.map(({ share }) => share)).toEqual([0, 0, 0.1, 1]);
    expect(stages.map(stageKind)).toEqual(['assess', 'shadow', 'split', 'complete']);
    expect(stages[1]).toMatchObject({ mirror: 0.05, maxCostUsd: 5, soakMs: 3_600_000, minimumSample: 300 });
    expect(stageShareText(stages[1] as StagePlan)).toBe('0%, copies 5%');
    expect(stages[1]?.alpha.rollback).toBeCloseTo(0.025, 12);
    expect(stages[2]?.alpha.rollback).toBeCloseTo(0.0125, 12);
  });

  it.each([
    [
      'without a bound',
      { name: 'shadow', mirror: '5%' },
      1,
      'stages[1].maxCostUsd: expected what the copies may cost',
    ],
    [
      'without a part',
      { name: 'shadow', maxCostUsd: 5 },
      1,
      "stages[1].mirror: expected the part of legacy's",
    ],
    [
      'of nothing',
      { name: 'shadow', mirror: 0, maxCostUsd: 5 },
      1,
      'stages[1].mirror: expected a part above 0',
    ],
    [
      'for nothing',
      { name: 'shadow', mirror: 0.1, maxCostUsd: 0 },
      1,
      'maxCostUsd: expected an amount above 0',
    ],
    [
      'that moves',
      { name: 'shadow', mirror: 0.1, maxCostUsd: 5, share: 0.05 },
      1,
      'stages[1].share: expected no share',
    ],
    ['first', { name: 'shadow', mirror: 0.1, maxCostUsd: 5 }, 0, 'expected `mirror` in the second stage'],
    [
      'late',
      { name: 'shadow', mirror: 0.1, maxCostUsd: 5 },
      2,
      'stages[2].mirror: expected `mirror` in the second stage',
    ],
    [
      'but for its bound',
      { name: 'try', share: 0.05, maxCostUsd: 5 },
      1,
      'stages[1].maxCostUsd: expected only together with `mirror`',
    ],
  ])('is refused %s', (_, stage, at, message) => {
    expect(() => parseDocument(planSchema, planWith(stage, at), 'plan.yaml')).toThrow(message);
  });
});
