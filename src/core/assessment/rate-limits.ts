/** A provider's limits per minute, as far as they are known. */
export interface RateLimits {
  readonly requestsPerMinute: number | null;
  /** Input and output together. */
  readonly tokensPerMinute: number | null;
  /** Input that no cache served. Absent where a provider does not count it by itself. */
  readonly inputTokensPerMinute?: number | null;
  /** Absent likewise. */
  readonly outputTokensPerMinute?: number | null;
}

export const NO_RATE_LIMITS: RateLimits = { requestsPerMinute: null, tokensPerMinute: null };
