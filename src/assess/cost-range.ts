/** An amount in dollars with what it may be at least and at most. */
export interface CostRange {
  readonly usd: number;
  readonly lowUsd: number;
  readonly highUsd: number;
}

/** A part in percent with what it may be at least and at most. */
export interface PercentRange {
  readonly percent: number;
  readonly low: number;
  readonly high: number;
}
