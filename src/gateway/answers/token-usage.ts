import type { ProviderConfiguration } from '../../core/configuration/configuration-schema';

/** Tokens of one answer, as its provider counted them. */
export interface TokenUsage {
  readonly input: number;
  /** Part of the input that came from a prompt cache. */
  readonly cached: number;
  /** Part of the input that was written into one, where that is counted apart. */
  readonly written: number;
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
  return { input: input ?? 0, cached: cached ?? 0, written: 0, output: output ?? 0 };
}

/** Reads `usage` in the shape of Anthropic's Messages API, where `input_tokens` is what no cache has to do with. */
export function readMessageUsage(usage: unknown): TokenUsage | null {
  if (typeof usage !== 'object' || usage === null) return null;
  const fresh = count(Reflect.get(usage, 'input_tokens'));
  const output = count(Reflect.get(usage, 'output_tokens'));
  if (fresh === null && output === null) return null;
  const cached = count(Reflect.get(usage, 'cache_read_input_tokens')) ?? 0;
  const written = count(Reflect.get(usage, 'cache_creation_input_tokens')) ?? 0;
  return { input: (fresh ?? 0) + cached + written, cached, written, output: output ?? 0 };
}

/** Two counts of one answer: each only grows while it comes, and a part of them may be left out of the later one. */
export function together(one: TokenUsage, other: TokenUsage): TokenUsage {
  return {
    input: Math.max(one.input, other.input),
    cached: Math.max(one.cached, other.cached),
    written: Math.max(one.written, other.written),
    output: Math.max(one.output, other.output),
  };
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
  const written = Math.min(usage.written, usage.input - cached);
  const cachedPrice = price.cachedInputPerMillion ?? price.inputPerMillion;
  const writtenPrice = price.cacheWritePerMillion ?? price.inputPerMillion;
  return (
    ((usage.input - cached - written) * price.inputPerMillion +
      cached * cachedPrice +
      written * writtenPrice +
      usage.output * price.outputPerMillion) /
    1_000_000
  );
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}
