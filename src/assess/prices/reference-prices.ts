import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  calcPrice,
  type ModelPrice,
  type PriceCalculationResult,
  type TieredPrices,
} from '@pydantic/genai-prices';
import type { RateCard, Rates } from '../../core/assessment/prices';

// The package does not export its package.json, and its version is the only date of its prices.
const { version } = JSON.parse(
  readFileSync(join(dirname(require.resolve('@pydantic/genai-prices')), '..', 'package.json'), 'utf8'),
) as { version: string };

/**
 * What @pydantic/genai-prices says of a model at a moment, as a card for that moment alone; null when it
 * does not know the model. It knows no service tiers.
 */
export function referenceCard(provider: string | null, model: string, atMs: number): RateCard | null {
  const found = provider === null ? foundAnywhere(model, atMs) : foundAt(provider, model, atMs);
  if (found === null) return null;
  const rates = ratesOf(found.model_price, model);
  if (rates === null) return null;
  return {
    provider: found.provider.id,
    models: [model],
    effectiveFromMs: 0,
    currency: 'USD',
    rates,
    windows: [],
    serviceTiers: new Map(),
    source: `@pydantic/genai-prices ${version}, ${found.provider.id}/${found.model.id}`,
    asOf: `release ${version}`,
  };
}

/** Makers who sell only models of their own: what one of them lists is its. */
const MAKERS = ['openai', 'anthropic', 'google', 'deepseek', 'mistral', 'cohere', 'x-ai', 'moonshotai'];

/** By the model's name alone the package finds no embeddings of OpenAI's, among others. */
function foundAnywhere(model: string, atMs: number): PriceCalculationResult {
  for (const provider of [undefined, ...MAKERS]) {
    const found = foundAt(provider, model, atMs);
    if (found !== null) return found;
  }
  return null;
}

function foundAt(provider: string | undefined, model: string, atMs: number): PriceCalculationResult {
  return calcPrice({ input_tokens: 0, output_tokens: 0 }, model, {
    timestamp: new Date(atMs),
    ...(provider === undefined ? {} : { providerId: provider }),
  });
}

function ratesOf(price: ModelPrice, model: string): Rates | null {
  const input = price['input_mtok'];
  if (input === undefined) return null;
  const cached = price['cache_read_mtok'];
  // Embedding models have no price for output, and give none; for others it would be a gap.
  const output = price['output_mtok'] ?? (/embed/i.test(model) ? 0 : undefined);
  if (output === undefined) return null;
  const starts = [input, cached, output].flatMap((rate) =>
    typeof rate === 'object' ? rate.tiers.map(({ start }) => start) : [],
  );
  const at = (tokens: number) => ({
    inputPerMillion: rateAt(input, tokens),
    cachedInputPerMillion: cached === undefined ? null : rateAt(cached, tokens),
    outputPerMillion: rateAt(output, tokens),
  });
  return {
    ...at(0),
    contextTiers: [...new Set(starts)]
      .sort((a, b) => a - b)
      .map((start) => ({ aboveInputTokens: start, ...at(start + 1) })),
  };
}

function rateAt(rate: number | TieredPrices, tokens: number): number {
  if (typeof rate === 'number') return rate;
  return rate.tiers.reduce((price, tier) => (tokens > tier.start ? tier.price : price), rate.base);
}
