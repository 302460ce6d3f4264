import {
  cardAt,
  costOf,
  isWithinTier,
  type RateCard,
  type Rates,
  ratesAt,
} from '../../../src/core/assessment/prices';

const rates = (input: number, cached: number | null = null, output = input): Rates => ({
  inputPerMillion: input,
  cachedInputPerMillion: cached,
  outputPerMillion: output,
  contextTiers: [],
});

const card = (over: Partial<RateCard>): RateCard => ({
  provider: 'p',
  models: ['m'],
  effectiveFromMs: 0,
  currency: 'USD',
  rates: rates(1),
  windows: [],
  serviceTiers: new Map(),
  source: 's',
  asOf: '2026-01-01',
  ...over,
});

const moment = { atMs: 0, serviceTier: null, contextTokens: 0 };

it('charges a cached token once, at the cached rate', () => {
  const tokens = { inputTokens: 1_000_000, cachedTokens: 400_000, outputTokens: 100_000 };
  expect(costOf(rates(2, 0.5, 8), tokens)).toBeCloseTo(0.6 * 2 + 0.4 * 0.5 + 0.1 * 8, 12);
  expect(costOf(rates(2, null, 8), tokens)).toBeCloseTo(2 + 0.8, 12);
  expect(() => costOf(rates(2), { ...tokens, cachedTokens: 2_000_000 })).toThrow('cached tokens among');
});

it('takes the latest card that is effective', () => {
  const cards = [
    card({ effectiveFromMs: 100, rates: rates(2) }),
    card({ rates: rates(1) }),
    card({ provider: 'q' }),
  ];
  expect(cardAt(cards, 'p', 'm', 99)?.rates.inputPerMillion).toBe(1);
  expect(cardAt(cards, 'p', 'm', 100)?.rates.inputPerMillion).toBe(2);
  expect(cardAt(cards, 'r', 'm', 100)).toBeNull();
  expect(cardAt([card({ effectiveFromMs: 5 })], null, 'm', 4)).toBeNull();
});

it('changes the price at a month end, to the millisecond', () => {
  const cards = [card({}), card({ effectiveFromMs: Date.UTC(2026, 10, 1), rates: rates(3) })];
  expect(cardAt(cards, 'p', 'm', Date.UTC(2026, 10, 1) - 1)?.rates.inputPerMillion).toBe(1);
  expect(cardAt(cards, 'p', 'm', Date.UTC(2026, 10, 1))?.rates.inputPerMillion).toBe(3);
});

it('uses the largest context tier that the prompt exceeds', () => {
  const tiered = {
    ...rates(1),
    contextTiers: [
      { aboveInputTokens: 100, ...rates(2) },
      { aboveInputTokens: 200, ...rates(4) },
    ],
  };
  const price = (contextTokens: number) =>
    ratesAt(card({ rates: tiered }), { ...moment, contextTokens })?.inputPerMillion;
  expect([0, 100, 101, 200, 201].map(price)).toEqual([1, 1, 2, 2, 4]);
});

it('has no price for a service tier that the card does not name, and default by any name', () => {
  const tiers = card({ serviceTiers: new Map([['batch', rates(0.5)]]) });
  expect(ratesAt(tiers, { ...moment, serviceTier: 'batch' })?.inputPerMillion).toBe(0.5);
  expect(ratesAt(tiers, { ...moment, serviceTier: 'priority' })).toBeNull();
  for (const name of [null, '', 'default', 'standard', 'auto']) {
    expect(ratesAt(tiers, { ...moment, serviceTier: name })?.inputPerMillion).toBe(1);
  }
});

describe('a window of hours', () => {
  const weekdays = { timeZone: 'UTC', days: [1, 2, 3, 4, 5], fromMinute: 60, toMinute: 240 };

  it.each([
    ['Monday 00:59', Date.UTC(2026, 10, 2, 0, 59), false],
    ['Monday 01:00', Date.UTC(2026, 10, 2, 1, 0), true],
    ['Monday 03:59', Date.UTC(2026, 10, 2, 3, 59), true],
    ['Monday 04:00', Date.UTC(2026, 10, 2, 4, 0), false],
    ['Saturday 02:00', Date.UTC(2026, 10, 7, 2, 0), false],
  ])('%s', (_, atMs, within) => {
    expect(isWithinTier(weekdays, atMs)).toBe(within);
  });

  it('follows the clock of its time zone over a change of daylight saving', () => {
    // In New York, 09:00 is 13:00 UTC until 1 November 2026 and 14:00 UTC from then on.
    const office = {
      timeZone: 'America/New_York',
      days: [0, 1, 2, 3, 4, 5, 6],
      fromMinute: 540,
      toMinute: 600,
    };
    expect(isWithinTier(office, Date.UTC(2026, 9, 31, 13, 30))).toBe(true);
    expect(isWithinTier(office, Date.UTC(2026, 9, 31, 14, 30))).toBe(false);
    expect(isWithinTier(office, Date.UTC(2026, 10, 1, 13, 30))).toBe(false);
    expect(isWithinTier(office, Date.UTC(2026, 10, 1, 14, 30))).toBe(true);
  });

  it('knows the weekday of its time zone', () => {
    // Sunday 23:00 in UTC is Monday 07:00 in Shanghai.
    const shanghai = { timeZone: 'Asia/Shanghai', days: [1], fromMinute: 0, toMinute: 1440 };
    expect(isWithinTier(shanghai, Date.UTC(2026, 10, 1, 23))).toBe(true);
    expect(isWithinTier(shanghai, Date.UTC(2026, 10, 1, 15))).toBe(false);
  });
});
