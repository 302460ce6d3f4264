import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { parsePriceBook } from '../../../src/assess/prices/price-book-schema';
import { PriceFinder } from '../../../src/assess/prices/price-finder';
import {
  claimsSchema,
  compareProviders,
  measurementsSchema,
} from '../../../src/assess/prices/provider-comparison';

const EXAMPLES = join(__dirname, '../../../examples/prices');
const read = (file: string): unknown => parse(readFileSync(join(EXAMPLES, file), 'utf8'));
const book = parsePriceBook(read('price-book.yaml'), 'price-book.yaml');
const finder = new PriceFinder([book]);
const at = (iso: string, over = {}) => ({
  atMs: Date.parse(iso),
  serviceTier: null,
  contextTokens: 1,
  ...over,
});

it('doubles the price in the peak windows of weekdays only', () => {
  const input = (iso: string) => finder.find('deepseek', 'deepseek-v4-flash', at(iso)).rates.inputPerMillion;
  expect(input('2026-11-02T00:59:59Z')).toBe(0.22);
  expect(input('2026-11-02T01:00:00Z')).toBe(0.44);
  expect(input('2026-11-02T04:00:00Z')).toBe(0.22);
  expect(input('2026-11-02T09:59:59Z')).toBe(0.44);
  expect(input('2026-11-07T07:00:00Z')).toBe(0.22);
});

it('turns a currency into dollars at a dated rate', () => {
  const { rates, used } = finder.find('example-cloud', 'example-large-2026', at('2026-11-02T00:00:00Z'));
  expect(rates.inputPerMillion).toBeCloseTo(4 * 0.14, 12);
  expect(used).toMatchObject({
    inputPerMillion: 4,
    currency: 'CNY',
    asOf: '2026-10-01',
    currencyRate: { usd: 0.14 },
  });
});

it('knows context and service tiers', () => {
  const input = (over: object) =>
    finder.find('example-cloud', 'example-large', at('2026-11-02T00:00:00Z', over)).used.inputPerMillion;
  expect(input({ contextTokens: 128_001 })).toBe(8);
  expect(input({ serviceTier: 'batch' })).toBe(2);
  expect(finder.contextThresholds('example-cloud', 'example-large', 0)).toEqual([128_000]);
});

it('asks the reference prices behind the book, and says so', () => {
  const { used } = finder.find('openai', 'gpt-4o', at('2026-11-02T00:00:00Z'));
  expect(used).toMatchObject({ inputPerMillion: 2.5, cachedInputPerMillion: 1.25, outputPerMillion: 10 });
  expect(used.source).toMatch(/^@pydantic\/genai-prices \d/);
});

it('finds the maker of a model that is named alone', () => {
  const { used } = finder.find(null, 'text-embedding-3-small', at('2026-11-02T00:00:00Z'));
  expect(used).toMatchObject({ provider: 'openai', inputPerMillion: 0.02, outputPerMillion: 0 });
});

it('reads the context tiers of the reference prices', () => {
  expect(finder.contextThresholds('google', 'gemini-2.5-pro', Date.now())).toEqual([200_000]);
  const input = (contextTokens: number) =>
    finder.find('google', 'gemini-2.5-pro', at('2026-11-02T00:00:00Z', { contextTokens })).rates
      .inputPerMillion;
  expect(input(200_001)).toBeGreaterThan(input(200_000));
});

it('names the entry that is missing', () => {
  expect(() => finder.find('openai', 'no-such-model', at('2026-11-02T00:00:00Z'))).toThrow(
    'no price for openai, model "no-such-model" on 2026-11-02; add to a price book: { provider: openai, model: no-such-model',
  );
  expect(() => finder.find('openai', 'gpt-4o', at('2026-11-02T00:00:00Z', { serviceTier: 'flex' }))).toThrow(
    'in the service tier "flex"',
  );
});

it('does not price the time before a book begins', () => {
  const later = new PriceFinder([parsePriceBook(one({ effectiveFrom: '2026-06-01' }), 'b')], null);
  expect(() => later.find('p', 'm', at('2026-05-31T23:59:59Z'))).toThrow('from a later date only');
  expect(later.find('p', 'm', at('2026-06-01T00:00:00Z')).rates.inputPerMillion).toBe(1);
});

it('refuses a currency without a rate', () => {
  const yen = new PriceFinder([parsePriceBook(one({ currency: 'JPY' }), 'b')], null);
  expect(() => yen.find('p', 'm', at('2026-05-31T00:00:00Z'))).toThrow('no rate for JPY');
});

it('lets a window run past midnight into the next day', () => {
  const night = { days: ['fri'], hours: [['23:00', '02:00']], input: 9, output: 9 };
  const found = new PriceFinder([parsePriceBook(one({ windows: [night] }), 'b')], null);
  const input = (iso: string) => found.find('p', 'm', at(iso)).rates.inputPerMillion;
  expect(
    [
      '2026-11-06T22:59:00Z',
      '2026-11-06T23:00:00Z',
      '2026-11-07T01:59:00Z',
      '2026-11-07T02:00:00Z',
      '2026-11-07T23:30:00Z',
    ].map(input),
  ).toEqual([1, 9, 9, 1, 1]);
});

it.each([
  [{ input: -1 }, 'prices[0].input'],
  [{ asOf: 'lately' }, 'expected a date'],
  [{ windows: [{ hours: [['00:10', '02:00']], input: 1, output: 1 }] }, 'quarter hour'],
  [
    { windows: [{ hours: [['00:00', '02:00']], timeZone: 'Mars/Base', input: 1, output: 1 }] },
    'IANA time zone',
  ],
  [{ outptu: 3 }, 'Unrecognized key'],
])('refuses a book with %j', (over, message) => {
  expect(() => parsePriceBook(one(over), 'book.yaml')).toThrow(message);
});

it('sets claims beside books and measurements, and marks what is contradicted', () => {
  const compared = compareProviders(
    claimsSchema.parse(read('article-claims.yaml')),
    measurementsSchema.parse(read('measured.yaml')),
    new PriceFinder([parsePriceBook(read('article-prices.yaml'), 'article-prices.yaml')], null),
    { atMs: Date.UTC(2026, 10, 23), outputPart: 0.25 },
  );
  expect(
    compared.map(({ provider, claimedPrice, bookPrice, contradictions }) => [
      provider,
      claimedPrice,
      bookPrice?.mixed ?? null,
      contradictions.length,
    ]),
  ).toEqual([
    ['holysheep', 0.42, expect.closeTo(0.42, 10), 1],
    ['deepseek', 0.42, expect.closeTo(0.42, 10), 0],
    ['relay-a', 0.58, null, 0],
    ['relay-b', 0.72, null, 0],
  ]);
  expect(compared[0]?.contradictions[0]).toBe('p50 claimed below 50 ms, measured 640 ms over 120 probes');
});

function one(over: object) {
  return {
    version: 1,
    prices: [{ provider: 'p', model: 'm', input: 1, output: 1, source: 's', asOf: '2026-01-01', ...over }],
  };
}
