/** A model that says which of two answers to one request is better, for a part of a stage's pairs. */
export interface JudgePlan {
  /** A provider of the configuration, and the model as that provider names it. */
  readonly provider: string;
  readonly model: string;
  /** What makes an answer better; absent: what helps the person who asked. */
  readonly rubric?: string;
  /** Part of the pairs that are judged, above 0. */
  readonly sample: number;
  /** What the judge may cost, USD. */
  readonly maxCostUsd: number;
  /** Harm: the candidate loses more pairs than it wins by more than this part of the judged ones. */
  readonly harm: number;
  /** So many pairs have to be judged before the stage is left. */
  readonly minimum: number;
}
