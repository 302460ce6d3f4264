/** What shows that the candidate is the model that is meant: a declared digest, a reference, or both. */
export interface IdentityPlan extends Partial<ReferencePlan> {}

/** How it is watched whether the candidate serves the model of a reference. */
export interface ReferencePlan {
  /** The reference file: a path on the worker's machine. */
  readonly reference: string;
  /** Chance of asking for an approval because of how answers are distributed, although it is the same model. */
  readonly alpha: number;
  /** Questions to the candidate. */
  readonly perHour: number;
  /** The model as callers name it; absent: the first that the route maps. */
  readonly model?: string;
  /**
   * The digest that the candidate's server has to state for each of its models, and a reference that bears one:
   * `sha256:` and 64 digits. Absent: none is declared.
   */
  readonly declared?: string;
}

/** The part of a plan that needs a reference; null where it names none. */
export function referencePlanOf({ identity }: { readonly identity?: IdentityPlan }): ReferencePlan | null {
  const { reference, alpha, perHour } = identity ?? {};
  if (reference === undefined || alpha === undefined || perHour === undefined) return null;
  return { ...identity, reference, alpha, perHour };
}
