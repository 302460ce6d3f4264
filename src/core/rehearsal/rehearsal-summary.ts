import type { StageRehearsal } from './rehearsal-run';

/** What many rehearsals of one scenario in one stage came to. */
export interface RehearsalSummary {
  readonly scenario: string;
  readonly stage: string;
  readonly runs: number;
  /** Parts of the runs, 0 to 1. */
  readonly rolledBack: number;
  readonly promoted: number;
  readonly paused: number;
  readonly undecided: number;
  readonly falseRollback: number;
  readonly falsePromotion: number;
  /** Until the decision, whichever it was; null where none was decided. */
  readonly untilRollback: Until | null;
  readonly untilPromotion: Until | null;
  /** Part of all requests until the rollback that the candidate made fail or slow, on average; null without one. */
  readonly hurtBeforeRollback: number | null;
}

/** Time and requests of the candidate until a decision. */
export interface Until {
  readonly medianMs: number;
  readonly p90Ms: number;
  readonly medianRequests: number;
  readonly p90Requests: number;
}

/** Sums up the runs of one scenario in one stage. */
export function summariseRehearsals(
  scenario: string,
  stage: string,
  runs: readonly StageRehearsal[],
): RehearsalSummary {
  const of = (decision: StageRehearsal['decision']) => runs.filter((run) => run.decision === decision);
  const part = (picked: readonly StageRehearsal[]) => (runs.length === 0 ? 0 : picked.length / runs.length);
  const [rolledBack, promoted] = [of('rolled back'), of('promoted')];
  const wrong = (picked: readonly StageRehearsal[]) => part(picked.filter((run) => run.wrong));
  return {
    scenario,
    stage,
    runs: runs.length,
    rolledBack: part(rolledBack),
    promoted: part(promoted),
    paused: part(of('paused')),
    undecided: part(of('undecided')),
    falseRollback: wrong(rolledBack),
    falsePromotion: wrong(promoted),
    untilRollback: untilOf(rolledBack),
    untilPromotion: untilOf(promoted),
    hurtBeforeRollback:
      rolledBack.length === 0
        ? null
        : rolledBack.reduce((sum, { hurt, requests }) => sum + hurt / Math.max(1, requests), 0) /
          rolledBack.length,
  };
}

function untilOf(runs: readonly StageRehearsal[]): Until | null {
  if (runs.length === 0) return null;
  const times = runs.map(({ afterMs }) => afterMs);
  const requests = runs.map(({ candidateRequests }) => candidateRequests);
  return {
    medianMs: rank(times, 0.5),
    p90Ms: rank(times, 0.9),
    medianRequests: rank(requests, 0.5),
    p90Requests: rank(requests, 0.9),
  };
}

function rank(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? 0;
}
