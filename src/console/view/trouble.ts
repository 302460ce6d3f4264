/** Why nothing new is known: who does not answer, since when, and how old what is shown is. */
export interface Trouble {
  readonly what: 'temporal' | 'worker' | 'still' | 'codec' | 'other';
  readonly message: string;
  readonly sinceMs: number;
}

const TITLES = {
  temporal: 'Temporal does not answer',
  worker: 'No worker answers',
  still: 'Nothing moves',
  codec: 'What Temporal keeps cannot be read',
  other: 'No news',
} as const;

export function troubleTitle({ what }: Trouble): string {
  return TITLES[what];
}
