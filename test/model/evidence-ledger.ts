import { cohortCounts, NO_COHORT } from '../../src/core/evidence/stage/stage-cohort';
import type { StageEvidence } from '../../src/core/evidence/stage/stage-evidence';
import type { WindowResult } from '../../src/core/migration/events';
import type { MigrationState } from '../../src/core/migration/migration-state';
import type { Arm } from '../../src/core/routing/routing';

/** A request's arm; of a cohort's, which is in none, what the candidate was sent. */
export type Counted = Arm | 'cohort';
type Counts = Readonly<Record<Counted, number>>;

const NOTHING: Counts = { legacy: 0, candidate: 0, cohort: 0 };

/**
 * The double entry of evidence: what the gateways counted, noted in the moment of counting and at each cursor that was
 * given out, against what the workflow holds.
 */
export class EvidenceLedger {
  /** By incarnation and epoch. */
  readonly #counts = new Map<string, Counts>();
  readonly #atCursor = new Map<string, Counts>();
  /** Windows that were compared, and the requests in them. */
  windows = 0;
  requests = 0;
  /** Gateways that were restarted between two windows. */
  restarts = 0;

  counted(incarnation: string, epoch: number, arm: Counted): void {
    const key = `${incarnation}:${epoch}`;
    const before = this.#counts.get(key) ?? NOTHING;
    this.#counts.set(key, { ...before, [arm]: before[arm] + 1 });
  }

  /** A gateway gave out a cursor: what lies before it is read. */
  read(incarnation: string, epoch: number, cursor: string): void {
    this.#atCursor.set(cursor, this.#counts.get(`${incarnation}:${epoch}`) ?? NOTHING);
  }

  /** What differs between a window that the workflow took in and what was counted between its cursors; null: nothing. */
  difference(before: MigrationState, window: WindowResult, after: MigrationState): string | null {
    const isKept = after.stage.evidence !== before.stage.evidence;
    if (!isKept) return null;
    const held = minus(countsOf(after.stage.evidence), countsOf(before.stage.evidence));
    const counted = Object.entries(window.cursors)
      .map(([gateway, cursor]) =>
        isOf(gateway, cursor) ? this.#since(before.stage.cursors[gateway] ?? null, cursor) : NOTHING,
      )
      .reduce(plus, NOTHING);
    this.windows += 1;
    this.requests += held.legacy + held.candidate + held.cohort;
    if (text(held) === text(counted)) return null;
    return `the workflow takes in ${text(held)} where gateways counted ${text(counted)}`;
  }

  #since(earlier: string | null, cursor: string): Counts {
    const now = this.#atCursor.get(cursor) ?? NOTHING;
    if (earlier === null) return now;
    // After a restart all that the new process has counted is new.
    if (incarnationOf(earlier) !== incarnationOf(cursor)) {
      this.restarts += 1;
      return now;
    }
    return minus(now, this.#atCursor.get(earlier) ?? NOTHING);
  }
}

/** Requests that are held, those of burn-in and of windows that are not judged included. */
export function countsOf({ floor, cohort = NO_COHORT }: StageEvidence): Counts {
  const ofCohort = cohort.segments.map(({ evidence }) => cohortCounts(evidence).requests);
  return floor.segments
    .map(({ evidence }) => ({ legacy: evidence.legacy?.trials ?? 0, candidate: evidence.trials, cohort: 0 }))
    .reduce(plus, { ...NOTHING, cohort: ofCohort.reduce((sum, requests) => sum + requests, 0) });
}

function incarnationOf(cursor: string): string {
  return cursor.split(':')[0] ?? '';
}

/** Incarnations are called by their gateway and the number of its starts. */
function isOf(gateway: string, cursor: string): boolean {
  return incarnationOf(cursor).startsWith(`${gateway}-`);
}

function plus(a: Counts, b: Counts): Counts {
  return {
    legacy: a.legacy + b.legacy,
    candidate: a.candidate + b.candidate,
    cohort: a.cohort + b.cohort,
  };
}

function minus(a: Counts, b: Counts): Counts {
  return {
    legacy: a.legacy - b.legacy,
    candidate: a.candidate - b.candidate,
    cohort: a.cohort - b.cohort,
  };
}

function text({ legacy, candidate, cohort }: Counts): string {
  return `${legacy} requests of legacy, ${candidate} of the candidate and ${cohort} of a cohort`;
}
