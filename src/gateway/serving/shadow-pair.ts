/** One answer of a compared pair. */
export interface ShadowSide {
  readonly status: number;
  readonly outcome: string;
  readonly totalMs: number;
  readonly tokensOut: number | null;
}

/** What legacy answered to a request, and the candidate to its copy. */
export interface ShadowPair {
  readonly route: string;
  readonly model: string;
  readonly legacy: ShadowSide;
  readonly candidate: ShadowSide;
}
