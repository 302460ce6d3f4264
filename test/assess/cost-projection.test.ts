import { type ProjectionQuestion, projectCosts } from '../../src/assess/cost-projection';
import { identityCost, type MigrationTraffic, migrationCost } from '../../src/assess/migration-cost';
import { parsePriceBook } from '../../src/assess/prices/price-book-schema';
import { PriceFinder } from '../../src/assess/prices/price-finder';
import { type RecommendationFacts, recommend } from '../../src/assess/recommendation';
import type { UsageAnalysis, UsageCell } from '../../src/assess/usage/usage-analysis';
import type { Rates } from '../../src/core/assessment/prices';
import { plannedEffort } from '../../src/core/plan/migration-effort';
import { planSchema } from '../../src/core/plan/plan-schema';

const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 10, 2);

it("finds no saving in the article's own numbers: 0.42 a million on both sides", () => {
  const found = project([cell({ inputTokens: 150e6, outputTokens: 50e6 })], { days: 30 });
  expect(found.legacy.monthly.usd).toBeCloseTo(84, 10);
  expect(found.candidate.monthly.usd).toBeCloseTo(84, 10);
  expect(found.savingPercent?.percent).toBeCloseTo(0, 10);
  expect(found.recommendation).toEqual({
    priority: 'low',
    sentence: 'The candidate costs the same: cost is not a reason to move.',
  });
});

it('scales both sides alike to 30 days', () => {
  const found = project([cell({ inputTokens: 1e6, outputTokens: 0 })], {
    days: 14,
    candidatePrice: { input: 0.21, output: 0.21 },
  });
  expect(found.legacy.monthly.usd).toBeCloseTo((0.42 * 30) / 14, 10);
  expect(found.savingPercent?.percent).toBeCloseTo(50, 10);
  expect(found.byMonth).toEqual([
    { month: '2026-11', legacyUsd: expect.closeTo(0.42, 10), candidateUsd: expect.closeTo(0.21, 10) },
  ]);
});

it('leaves models that are not mapped at legacy', () => {
  const cells = [cell({ inputTokens: 1e6 }), cell({ model: 'other', inputTokens: 1e6 })];
  const found = project(cells, { days: 30, candidatePrice: { input: 0, output: 0 } });
  expect(found.candidate.byModel.map(({ model, monthly }) => [model, monthly.usd])).toEqual([
    ['other (stays with legacy)', expect.closeTo(0.42, 10)],
    ['new', 0],
  ]);
});

it('loses cache hits in the upper bound only, for the days of warm-up', () => {
  const found = project([cell({ inputTokens: 1e6, cachedTokens: 1e6 })], {
    days: 30,
    candidatePrice: { input: 1, cachedInput: 0.1, output: 1 },
    warmUpDays: 15,
  });
  expect(found.candidate.monthly).toEqual({
    usd: expect.closeTo(0.1, 10),
    lowUsd: expect.closeTo(0.1, 10),
    highUsd: expect.closeTo(0.55, 10),
  });
});

it("applies the tokenizer's ratio to the candidate", () => {
  const found = project([cell({ inputTokens: 1e6 })], {
    days: 30,
    candidatePrice: { input: 1, output: 1 },
    tokenRatios: { input: { low: 0.9, point: 1.1, high: 1.2 }, output: { low: 0.9, point: 1.1, high: 1.2 } },
  });
  expect(found.candidate.monthly).toEqual({
    usd: expect.closeTo(1.1, 10),
    lowUsd: expect.closeTo(0.9, 10),
    highUsd: expect.closeTo(1.2, 10),
  });
});

it('averages prices by time of day over a bucket, with the cheapest and dearest as range', () => {
  const windows = [{ hours: [['00:00', '06:00']], input: 3, output: 3 }];
  const found = project([cell({ inputTokens: 1e6, bucketMs: DAY_MS, contextClass: null })], {
    days: 30,
    candidatePrice: { input: 1, output: 1, windows },
  });
  expect(found.candidate.monthly).toEqual({
    usd: expect.closeTo(1.5, 10),
    lowUsd: expect.closeTo(1, 10),
    highUsd: expect.closeTo(3, 10),
  });
});

it('prices long prompts in their own tier', () => {
  const contextTiers = [{ aboveInputTokens: 1000, input: 5, output: 5 }];
  const found = project(
    [cell({ inputTokens: 1e6, contextClass: 1 }), cell({ inputTokens: 1e6, contextClass: 0 })],
    {
      days: 30,
      candidatePrice: { input: 1, output: 1, contextTiers },
      contextThresholds: [1000],
    },
  );
  expect(found.candidate.monthly.usd).toBeCloseTo(6, 10);
});

it('is none when the sources carry no tokens', () => {
  const usage = analysis(30, null);
  expect(projectCosts(usage, [cell({})], new PriceFinder([]), question({}))).toBeNull();
});

it.each([
  [30.1, 'high'],
  [30, 'medium'],
  [15.1, 'medium'],
  [15, 'low'],
  [0, 'low'],
  [-10, 'low'],
])('a saving of %d%% is of %s priority', (percent, priority) => {
  expect(recommendation({ savingPercent: { percent, low: percent, high: percent } }).priority).toBe(priority);
});

const dollarsSaved = (usd: number) => ({ saving: { usd, lowUsd: usd, highUsd: usd } });

function recommendation(overrides: Partial<RecommendationFacts>) {
  return recommend({
    ...dollarsSaved(3_000),
    savingPercent: { percent: 40, low: 40, high: 40 },
    days: 30,
    migrationUsd: 250,
    ...overrides,
  });
}

it('takes what the migration itself costs off what it saves, and says when that is paid back', () => {
  expect(recommendation({})).toEqual({
    priority: 'high',
    sentence:
      'The candidate saves 40.0%, $3,000.00 in 30 days; the migration itself costs at most $250.00, paid back in 3 days; $35,750.00 net in a year. That is above 30%: high priority.',
  });
  expect(recommendation({ migrationUsd: 40_000 })).toMatchObject({
    priority: 'low',
    sentence: expect.stringContaining('more than a year saves'),
  });
  expect(recommendation({ migrationUsd: null }).sentence).toContain(
    'what the migration itself costs is not known',
  );
});

it('is of low priority on cents, whatever part of the bill they are', () => {
  expect(recommendation(dollarsSaved(0.43))).toEqual({
    priority: 'low',
    sentence:
      'The candidate saves 40.0%, $0.43 in 30 days: too little money to be a reason to move, so low priority.',
  });
});

it('says in the headline that it was scaled from less than a day', () => {
  expect(recommendation({ days: 0.125 }).sentence).toMatch(
    /^Extrapolated from 3 h of usage, less than a day: The candidate saves/,
  );
  expect(recommendation({ days: 1 }).sentence).toMatch(/^The candidate saves/);
});

it('says what the migration itself costs, at most', () => {
  const effort = plannedEffort(
    planSchema.parse({
      route: 'chat',
      stages: [
        { name: 'assess' },
        { name: 'canary', share: '10%', soak: '10h' },
        { name: 'rolling', share: '50%', soak: '10h' },
        { name: 'complete', share: '100%', soak: '16h' },
      ],
      probes: { interval: '10s', features: ['longContext'] },
    }),
  );
  const found = project([cell({ inputTokens: 720e6, outputTokens: 0 })], {
    days: 30,
    candidatePrice: { input: 0.21, output: 0.21 },
  });
  const rates = (usd: number): Rates => {
    return { inputPerMillion: usd, cachedInputPerMillion: null, outputPerMillion: usd, contextTiers: [] };
  };
  const cost = (over: Partial<MigrationTraffic>, parity: typeof effort.parity = null) => {
    const probed = { legacy: rates(0.42), candidate: rates(0.21) };
    const traffic = { projection: found, callsPerMonth: 1000, shadow: 0.5, replayBudget: 0.1, probed };
    const items = migrationCost({ ...traffic, ...over }, { ...effort, parity });
    return Object.fromEntries(items.map(({ item, usd }) => [item, usd]));
  };
  // 36 hours at one probe in 10 s, and 30 in assess: 12,990, of which one in 60 is long.
  const tokens = 217 * 10_001 + (12_990 - 217 + 1) * 21;
  expect(cost({})).toEqual({
    shadow: expect.closeTo(0.5 * ((9 + 5) / 720) * 720 * 0.21, 10),
    probes: expect.closeTo((tokens * (0.42 + 0.21)) / 1e6, 10),
    parity: 0,
    'doubled requests': expect.closeTo(0.1 * (6 / 720) * 720 * 0.42, 10),
  });
  expect(cost({ probed: null }).probes).toBeNull();
  const asked = { identity: { assessed: 27, perHour: 20, hours: 36 } };
  const identity = (probed: MigrationTraffic['probed']) => identityCost({ probed }, asked)[0];
  expect(identity({ legacy: rates(0.42), candidate: rates(1) })).toEqual({
    item: 'identity',
    usd: expect.closeTo((27 + 20 * 36) * 356e-6, 10),
    how: '27 questions to the candidate in assess and 20 per hour in each later stage, at most $0.0071 per hour',
  });
  expect(identity(null)).toMatchObject({
    usd: null,
    how: expect.stringMatching(/20 per hour in each later stage$/),
  });
  const perCall = (720 * 0.42) / 1000;
  expect(cost({}, { leastPrompts: 10, maxCostUsd: null }).parity).toBeCloseTo(10 * perCall * 2.5, 10);
  expect(cost({ callsPerMonth: null }, { leastPrompts: 10, maxCostUsd: null }).parity).toBeNull();
  expect(cost({}, { leastPrompts: 10, maxCostUsd: 5 }).parity).toBe(5);
});

interface Setup extends Partial<ProjectionQuestion> {
  readonly days: number;
  readonly candidatePrice?: object;
}

function project(cells: readonly UsageCell[], { days, candidatePrice, ...over }: Setup) {
  const price = (provider: string, model: string, rates: object) => ({
    provider,
    model,
    source: 's',
    asOf: '2026-01-01',
    ...rates,
  });
  const legacyRates = { input: 0.42, output: 0.42 };
  const prices = [
    price('legacy', 'old', legacyRates),
    price('legacy', 'other', legacyRates),
    price('candidate', 'new', candidatePrice ?? legacyRates),
  ];
  const finder = new PriceFinder([parsePriceBook({ version: 1, prices }, 'test')], null);
  const found = projectCosts(analysis(days, 1), cells, finder, question(over));
  if (found === null) throw new Error('expected a projection');
  return found;
}

function question(over: Partial<ProjectionQuestion>): ProjectionQuestion {
  return {
    legacyProvider: 'legacy',
    candidateProvider: 'candidate',
    modelMapping: new Map([['old', 'new']]),
    tokenRatios: null,
    warmUpDays: 0,
    contextThresholds: [],
    ...over,
  };
}

function cell(over: Partial<UsageCell>): UsageCell {
  return {
    model: 'old',
    startMs: START,
    bucketMs: 0,
    serviceTier: null,
    contextClass: 0,
    recordedCost: null,
    calls: 1,
    inputTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
    failed: null,
    ...over,
  };
}

function analysis(days: number, tokens: number | null): UsageAnalysis {
  return {
    sources: [],
    window: { fromMs: START, toMs: START + days * DAY_MS, days },
    carriedBy: { cachedTokens: 1 },
    totals: { calls: 1, inputTokens: tokens, cachedTokens: tokens, outputTokens: tokens, failed: null },
  } as unknown as UsageAnalysis;
}
