/**
 * One thing that was looked at. `missing`: it is needed and not there; `wrong`: it is there and cannot be used; `note`: worth
 * knowing, and in nobody's way.
 */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'note' | 'missing' | 'wrong';
  readonly detail: string;
  /** What to do; given wherever it is missing or wrong. */
  readonly fix?: string;
}

/** Whether a migration cannot be started, or not well, before this is put right. */
export function isFault({ state }: Check): boolean {
  return state === 'missing' || state === 'wrong';
}
