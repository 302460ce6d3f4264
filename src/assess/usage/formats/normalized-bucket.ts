/** A bucket of usage as OpenAI and DeepSeek export it, in the form that the normalized mapping reads. */
export interface NormalizedBucket {
  readonly startMs: number;
  readonly endMs: number;
  readonly calls: number | null;
  readonly model: string | null;
  readonly caller: string | null;
  readonly inputTokens: number | null;
  readonly cachedTokens: number | null;
  readonly outputTokens: number | null;
  readonly serviceTier: string | null;
  /** Whether they were embeddings; null where the export does not say. */
  readonly embeddings: boolean | null;
}
