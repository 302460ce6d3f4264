/** Whose API a provider or a client speaks. */
export const DIALECTS = ['openai', 'anthropic'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** As people name it. */
export const DIALECT_NAMES: Readonly<Record<Dialect, string>> = {
  openai: "OpenAI's API",
  anthropic: "Anthropic's Messages API",
};
