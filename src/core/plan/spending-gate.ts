/** What of an answer is judged where a plan says so: its cost, or the tokens that the provider counted. */
export type SpendingMeasure = 'cost' | 'outputTokens';

/** All of them, in the order in which they are judged and shown. */
export const SPENDING_MEASURES = ['cost', 'outputTokens'] as const satisfies readonly SpendingMeasure[];

/** How a stage judges cost or output tokens per request. */
export interface SpendingGate {
  /** Harm: the candidate's quantile more than this part above legacy's. */
  readonly rollbackIncrease: number;
  /** Promotion: at most this part above; null: not judged. */
  readonly promotionIncrease: number | null;
  readonly quantile: 0.5 | 0.95;
  /** A difference of fewer tokens is none; of output tokens only. */
  readonly ignoreBelowTokens?: number;
}

/** The part of the chance of a false rollback that cost and output tokens share in a plan that judges them. */
export const SPENDING_PART = 0.1;
