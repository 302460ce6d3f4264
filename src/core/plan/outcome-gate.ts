/** How a plan judges what applications say of answers, under one name. */
export interface OutcomeGate {
  readonly name: string;
  /** Whether more of it is better, such as solved tickets, or less, such as complaints. */
  readonly better: 'higher' | 'lower';
  /** Harm: the candidate's mean is worse than legacy's by more than this, absolute. */
  readonly harm: number;
  /** Promotion: it is worse by at most this; null: not judged. */
  readonly promotion: number | null;
  /** So many outcomes of the candidate before a stage is left. */
  readonly minimum: number;
}

/** The part of the chance of a false rollback that all outcomes share in a plan that judges some. */
export const OUTCOMES_PART = 0.2;
