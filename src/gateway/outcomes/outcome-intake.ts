import { OUTCOME_NAMES } from '../../core/evidence/outcome-counts';
import type { OutcomeResult, ReportedOutcome } from './outcome';

/** Where one route's outcomes arrive in a process, and what became of them there. */
export class OutcomeIntake {
  readonly results: Record<OutcomeResult, number> = {
    counted: 0,
    duplicate: 0,
    unassigned: 0,
    dropped: 0,
    refused: 0,
  };
  readonly #take: (outcomes: readonly ReportedOutcome[]) => readonly OutcomeResult[];
  readonly #names = new Set<string>();

  /** `take` counts outcomes, or sends them to where they are counted and answers nothing. */
  constructor(take: (outcomes: readonly ReportedOutcome[]) => readonly OutcomeResult[]) {
    this.#take = take;
  }

  count(outcomes: readonly ReportedOutcome[]): void {
    if (outcomes.length === 0) return;
    for (const { name } of outcomes) this.#names.add(name);
    for (const result of this.#take(outcomes)) this.results[result] += 1;
  }

  /** The names that may not be used, because as many as may be are in use; null when all may. */
  refusedName(names: readonly string[]): string | null {
    const known = new Set(this.#names);
    return names.find((name) => known.add(name).size > OUTCOME_NAMES) ?? null;
  }
}
