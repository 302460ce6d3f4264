/**
 * Something that the assess stage found: a blocker rejects, a doubt holds and is looked at again, an approval holds
 * until a person has answered, a warning is shown.
 */
export type Finding =
  | { readonly kind: 'blocker' | 'doubt' | 'warning'; readonly text: string }
  | ({ readonly kind: 'approval' } & ApprovalQuestion);

/** What only a person can answer, and has to before anything is moved. */
export interface ApprovalQuestion {
  /** What an answer names: an item of the checklist, or `point-N` for the plan's own N-th point. */
  readonly item: string;
  readonly text: string;
  /** The operator who is asked; null: anyone. */
  readonly asks: string | null;
}
