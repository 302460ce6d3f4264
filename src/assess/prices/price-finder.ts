import {
  cardAt,
  isDefaultTier,
  type PriceMoment,
  type RateCard,
  type Rates,
  ratesAt,
  windowTextAt,
} from '../../core/assessment/prices';
import { BadInput } from '../../core/configuration/bad-input';
import type { CurrencyRate, PriceBook } from './price-book-schema';
import { referenceCard } from './reference-prices';

/** Thrown for a price that is not known; the message names the entry that is missing. */
export class MissingPrice extends BadInput {
  override readonly name = 'MissingPrice';
}

/** A price as it was used, for the report. */
export interface UsedPrice {
  readonly provider: string;
  readonly model: string;
  readonly serviceTier: string | null;
  /** The hours that the price is of; null where it holds at all times. */
  readonly window: string | null;
  readonly currency: string;
  readonly inputPerMillion: number;
  readonly cachedInputPerMillion: number | null;
  readonly outputPerMillion: number;
  readonly source: string;
  readonly asOf: string;
  /** The rate that turned the currency into dollars; null for dollars. */
  readonly currencyRate: CurrencyRate | null;
}

/** A price in dollars with where it comes from. */
export interface FoundPrice {
  /** In dollars. */
  readonly rates: Rates;
  readonly used: UsedPrice;
}

/** Asks the user's price books, and behind them the reference prices; remembers what was used. */
export class PriceFinder {
  private readonly cards: readonly RateCard[];
  private readonly currencyRates: readonly CurrencyRate[];
  private readonly usedPrices = new Map<string, UsedPrice>();
  private readonly references = new Map<string, RateCard | null>();

  constructor(
    books: readonly PriceBook[],
    private readonly reference: typeof referenceCard | null = referenceCard,
  ) {
    this.cards = books.flatMap(({ cards }) => cards);
    this.currencyRates = books.flatMap(({ currencyRates }) => currencyRates);
  }

  /** The price of a model at a moment, in dollars; throws MissingPrice. A null provider means any that names the model. */
  find(provider: string | null, model: string, moment: PriceMoment): FoundPrice {
    const card =
      cardAt(this.cards, provider, model, moment.atMs) ?? this.referenceAt(provider, model, moment.atMs);
    const where = `${provider ?? 'any provider'}, model "${model}"`;
    const day = new Date(moment.atMs).toISOString().slice(0, 10);
    if (card === null) {
      const later = this.cards.some(
        (each) => each.models.includes(model) && (provider === null || each.provider === provider),
      );
      throw new MissingPrice(
        `no price for ${where} on ${day}${later ? ': the price book has it from a later date only' : ''}; ` +
          `add to a price book: { provider: ${provider ?? 'NAME'}, model: ${model}, effectiveFrom: ${day}, input: ..., output: ..., source: ..., asOf: ... }`,
      );
    }
    const rates = ratesAt(card, moment);
    if (rates === null) {
      throw new MissingPrice(
        `no price for ${where} in the service tier "${moment.serviceTier}" on ${day}; add it under serviceTiers of the price book's entry`,
      );
    }
    const currencyRate = card.currency === 'USD' ? null : this.currencyRate(card.currency);
    const used: UsedPrice = {
      provider: card.provider,
      model,
      serviceTier: isDefaultTier(moment.serviceTier) ? null : moment.serviceTier,
      window: windowTextAt(card, moment),
      currency: card.currency,
      inputPerMillion: rates.inputPerMillion,
      cachedInputPerMillion: rates.cachedInputPerMillion,
      outputPerMillion: rates.outputPerMillion,
      source: card.source,
      asOf: card.asOf,
      currencyRate,
    };
    this.usedPrices.set(JSON.stringify(used), used);
    return { rates: inDollars(rates, currencyRate?.usd ?? 1), used };
  }

  /** Prompt sizes at which some price of a model changes. */
  contextThresholds(provider: string | null, model: string, atMs: number): number[] {
    const own = this.cards.filter(
      (card) => card.models.includes(model) && (provider === null || card.provider === provider),
    );
    const reference = own.length === 0 ? this.referenceAt(provider, model, atMs) : null;
    return [...own, ...(reference === null ? [] : [reference])].flatMap((card) =>
      [card.rates, ...card.windows.map(({ rates }) => rates), ...card.serviceTiers.values()].flatMap(
        (rates) => rates.contextTiers.map(({ aboveInputTokens }) => aboveInputTokens),
      ),
    );
  }

  /** Every price that was used so far. */
  used(): UsedPrice[] {
    return [...this.usedPrices.values()];
  }

  /** Dollars for one unit of a currency; throws MissingPrice. */
  currencyRate(currency: string): CurrencyRate {
    const rate = this.currencyRates
      .filter((each) => each.currency === currency)
      .reduce<CurrencyRate | null>(
        (best, each) => (best === null || each.asOf > best.asOf ? each : best),
        null,
      );
    if (rate === null) {
      throw new MissingPrice(
        `no rate for ${currency}; add to a price book: currencyRates: [{ currency: ${currency}, usd: ..., asOf: ..., source: ... }]`,
      );
    }
    return rate;
  }

  private referenceAt(provider: string | null, model: string, atMs: number): RateCard | null {
    if (this.reference === null) return null;
    // Reference prices change by the quarter hour at the finest.
    const key = JSON.stringify([provider, model, Math.floor(atMs / 900_000)]);
    let card = this.references.get(key);
    if (card === undefined) {
      card = this.reference(provider, model, atMs);
      this.references.set(key, card);
    }
    return card;
  }
}

function inDollars(rates: Rates, usd: number): Rates {
  if (usd === 1) return rates;
  return {
    inputPerMillion: rates.inputPerMillion * usd,
    cachedInputPerMillion: rates.cachedInputPerMillion === null ? null : rates.cachedInputPerMillion * usd,
    outputPerMillion: rates.outputPerMillion * usd,
    contextTiers: [],
  };
}
