/** Who alone is served by the candidate: teams of the configuration's callers, or bearers of a signed header. */
export type Cohort =
  | { readonly teams: readonly string[] }
  | {
      /** In lower case. */
      readonly header: string;
      readonly values: readonly string[];
    };

/**
 * The share of a record that serves a cohort. It is above 0, so that leases, standing, confirmations and rollbacks hold for
 * it as for every share above 0; nobody is drawn by it: members are served by the candidate, everybody else by legacy.
 * Several stages of this kind have multiples of it, because shares rise.
 */
export const COHORT_SHARE = 1e-9;

/** A cohort as people read it: `teams search, ads`. */
export function cohortText(only: Cohort): string {
  return 'teams' in only
    ? `team${only.teams.length === 1 ? '' : 's'} ${only.teams.join(', ')}`
    : `${only.header} ${only.values.join(', ')}`;
}

/** Whether two records serve the same callers alone; absent: neither serves a cohort. */
export function sameCohort(a: Cohort | undefined, b: Cohort | undefined): boolean {
  return namesOf(a) === namesOf(b);
}

function namesOf(only: Cohort | undefined): string {
  if (only === undefined) return '';
  return JSON.stringify('teams' in only ? ['teams', ...only.teams] : ['header', only.header, ...only.values]);
}
