import { z } from 'zod';
import type { RateCard, Rates } from '../../core/assessment/prices';
import { BadInput } from '../../core/configuration/bad-input';

const perMillion = z.number().min(0).max(1e6);

const flatRates = {
  input: perMillion.describe('Price of a million input tokens.'),
  cachedInput: perMillion.optional().describe('Price of a million cached input tokens; `input` when absent.'),
  output: perMillion.describe('Price of a million output tokens.'),
};

const tieredRates = {
  ...flatRates,
  contextTiers: z
    .array(z.strictObject({ aboveInputTokens: z.int().positive(), ...flatRates }))
    .default([])
    .describe('Rates of requests whose prompt is above a size.'),
};

// Quarter hours, so that usage can be added up by the quarter hour before it is priced.
const clock = z
  .string()
  .regex(/^(?:(?:[01]\d|2[0-3]):(?:00|15|30|45)|24:00)$/, 'expected HH:MM on a quarter hour');
const weekday = z.enum(['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']);
const isoDay = z.string().regex(/^\d{4}-\d\d-\d\d$/, 'expected a date such as 2026-10-01');
const instant = z.union([isoDay, z.iso.datetime({ offset: true })]);
const timeZone = z.string().refine(isTimeZone, 'expected an IANA time zone such as UTC or Asia/Shanghai');

const priceSchema = z.strictObject({
  provider: z.string().min(1),
  model: z.string().min(1),
  aliases: z.array(z.string().min(1)).default([]),
  effectiveFrom: instant.default('1970-01-01').describe('First day (UTC) or instant at which it holds.'),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .default('USD'),
  source: z.string().min(1).describe('Where the price was read.'),
  asOf: isoDay.describe('When it was read.'),
  ...tieredRates,
  windows: z
    .array(
      z.strictObject({
        days: z
          .array(weekday)
          .min(1)
          .default([...weekday.options]),
        hours: z.array(z.tuple([clock, clock])).min(1),
        timeZone: timeZone.default('UTC'),
        ...tieredRates,
      }),
    )
    .default([])
    .describe('Hours with other rates.'),
  serviceTiers: z.record(z.string(), z.strictObject(tieredRates)).default({}),
});

/** A price book as people write it. */
const priceBookSchema = z.strictObject({
  version: z.literal(1),
  currencyRates: z
    .array(
      z.strictObject({
        currency: z.string().regex(/^[A-Z]{3}$/),
        usd: z.number().positive().describe('Dollars for one unit.'),
        asOf: isoDay,
        source: z.string().min(1),
      }),
    )
    .default([]),
  prices: z.array(priceSchema),
});

/** A currency's worth in dollars on a date. */
export interface CurrencyRate {
  readonly currency: string;
  readonly usd: number;
  readonly asOf: string;
  readonly source: string;
}

/** A price book ready to be asked. */
export interface PriceBook {
  readonly cards: readonly RateCard[];
  readonly currencyRates: readonly CurrencyRate[];
}

/** Parses a price book; throws `BadInput` that names every entry that does not fit. */
export function parsePriceBook(document: unknown, name: string): PriceBook {
  const parsed = priceBookSchema.safeParse(document);
  if (!parsed.success) throw new BadInput(`${name} is not a price book: ${z.prettifyError(parsed.error)}`);
  return {
    currencyRates: parsed.data.currencyRates,
    cards: parsed.data.prices.map((price) => ({
      provider: price.provider,
      models: [price.model, ...price.aliases],
      effectiveFromMs: Date.parse(price.effectiveFrom),
      currency: price.currency,
      rates: ratesOf(price),
      windows: price.windows.flatMap((window) =>
        window.hours.flatMap(([from, to]) => {
          const days = window.days.map((day) => weekday.options.indexOf(day));
          return spans(days, minutes(from), minutes(to)).map((span) => ({
            window: { timeZone: window.timeZone, ...span },
            rates: ratesOf(window),
          }));
        }),
      ),
      serviceTiers: new Map(
        Object.entries(price.serviceTiers).map(([tier, rates]) => [tier, ratesOf(rates)]),
      ),
      source: price.source,
      asOf: price.asOf,
    })),
  };
}

type WrittenRates = Pick<z.infer<typeof priceSchema>, 'input' | 'cachedInput' | 'output' | 'contextTiers'>;

function ratesOf(written: WrittenRates): Rates {
  return {
    ...flat(written),
    contextTiers: written.contextTiers
      .map((tier) => ({ aboveInputTokens: tier.aboveInputTokens, ...flat(tier) }))
      .sort((a, b) => a.aboveInputTokens - b.aboveInputTokens),
  };
}

function flat(written: Pick<WrittenRates, 'input' | 'cachedInput' | 'output'>) {
  return {
    inputPerMillion: written.input,
    cachedInputPerMillion: written.cachedInput ?? null,
    outputPerMillion: written.output,
  };
}

/** Hours that run past midnight belong to the day on which they begin. */
function spans(days: readonly number[], from: number, to: number) {
  if (from < to) return [{ days, fromMinute: from, toMinute: to }];
  const next = days.map((day) => (day + 1) % 7);
  return [
    { days, fromMinute: from, toMinute: 1440 },
    { days: next, fromMinute: 0, toMinute: to },
  ];
}

function minutes(text: string): number {
  const [hours, rest] = text.split(':');
  return Number(hours) * 60 + Number(rest);
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
