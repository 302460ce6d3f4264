/** One thing that was looked at; `missing` means that it is needed and not there. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'missing' | 'note';
  readonly detail: string;
}
