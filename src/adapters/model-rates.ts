import { referenceCard } from '../assess/prices/reference-prices';
import { type Rates, ratesAt } from '../core/assessment/prices';
import type { Configuration } from '../core/configuration/configuration-schema';

/** What a model costs at a provider: the configuration's price, else a list price by its name; null where neither knows it. */
export function ratesOfModel(configuration: Configuration, provider: string, model: string): Rates | null {
  const prices = configuration.providers[provider]?.prices ?? {};
  const own = Object.hasOwn(prices, model) ? prices[model] : undefined;
  if (own !== undefined) {
    const { inputPerMillion, outputPerMillion, cachedInputPerMillion = null } = own;
    return { inputPerMillion, outputPerMillion, cachedInputPerMillion, contextTiers: [] };
  }
  const atMs = Date.now();
  const card = referenceCard(provider, model, atMs) ?? referenceCard(null, model, atMs);
  return card === null ? null : ratesAt(card, { atMs, serviceTier: null, contextTokens: 0 });
}
