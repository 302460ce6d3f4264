import type { Arm } from '../../core/routing/routing';

/** What an application said of an answer, once it is known whose answer it was. */
export interface ReportedOutcome {
  readonly epoch: number;
  /** The arm as drawn, as processes say it to each other. */
  readonly side: Arm;
  /** 0 to 63: of the key, or of the request where it had none. */
  readonly bucket: number;
  readonly name: string;
  /** A number stands for steps of the grid, 0 to 20. */
  readonly value: boolean | number;
  /** The id of the request; null where the application named a key, which may have many answers. */
  readonly request: string | null;
}

/** What became of outcomes. `unassigned`: of a request in no arm. `dropped`: they came too late, or nothing keeps them. */
export type OutcomeResult = 'counted' | 'duplicate' | 'unassigned' | 'dropped' | 'refused';
