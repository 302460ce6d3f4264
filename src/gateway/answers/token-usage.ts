import type { ProviderConfiguration } from '../../core/configuration/configuration-schema';

/** Tokens of one answer, as its provider counted them. */
export interface TokenUsage {
  readonly input: number;
  /** Part of the input that came from a prompt cache. */
  readonly cached: number;
  readonly output: number;
}

/** Reads `usage` in the shapes of Chat Completions and of Responses; null when it is neither. */
export function readUsage(usage: unknown): TokenUsage | null {
  if (typeof usage !== 'object' || usage === null) return null;
  const input = count(Reflect.get(usage, 'prompt_tokens')) ?? count(Reflect.get(usage, 'input_tokens'));
  const output = count(Reflect.get(usage, 'completion_tokens')) ?? count(Reflect.get(usage, 'output_tokens'));
  if (input === null && output === null) return null;
  const details: unknown =
    Reflect.get(usage, 'prompt_tokens_details') ?? Reflect.get(usage, 'input_tokens_details');
  const cached =
    typeof details === 'object' && details !== null ? count(Reflect.get(details, 'cached_tokens')) : null;
  return { input: input ?? 0, cached: cached ?? 0, output: output ?? 0 };
}

/** What the tokens cost by a provider's price list, USD; null when the model has no price there. */
export function costUsd(
  prices: ProviderConfiguration['prices'],
  model: string,
  usage: TokenUsage,
): number | null {
  if (!Object.hasOwn(prices, model)) return null;
  const price = prices[model];
  if (price === undefined) return null;
  const cached = Math.min(usage.cached, usage.input);
  const cachedPrice = price.cachedInputPerMillion ?? price.inputPerMillion;
  return (
    ((usage.input - cached) * price.inputPerMillion +
      cached * cachedPrice +
      usage.output * price.outputPerMillion) /
    1_000_000
  );
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}
