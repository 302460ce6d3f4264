import { type Evidence, type EvidenceCell, failureCount } from './evidence';

/** What one arm was through. */
export interface ArmTally {
  readonly requests: number;
  readonly failures: number;
  /** Requests whose price is known, and what they cost, US dollars. */
  readonly priced: number;
  readonly costUsd: number;
}

/** What callers and money were through, summed over windows: reported, never judged. */
export interface TrafficTally {
  readonly legacy: ArmTally;
  /** A request that it was not asked for, because it was closed, counts as a failure here: it did not answer. */
  readonly candidate: ArmTally;
  /** Requests that the candidate did not answer and legacy then did. */
  readonly rescued: number;
  /** What those cost at legacy, US dollars. */
  readonly rescueUsd: number;
  /**
   * A cohort's requests at the candidate, which are in neither arm. Legacy answers what it fails, and that is not counted.
   * Absent where no stage served a cohort.
   */
  readonly cohort?: ArmTally;
  readonly windows: number;
}

const NOTHING: ArmTally = { requests: 0, failures: 0, priced: 0, costUsd: 0 };

/** What one window was through. */
export function tallyOf({ cells }: Pick<Evidence, 'cells'>): TrafficTally {
  const arm = (name: EvidenceCell['side']) =>
    cells.filter((cell) => cell.side === name && cell.kind === 'live').reduce(withCell, NOTHING);
  const ofCohort = cells.filter(({ side, kind }) => side === 'candidate' && kind === 'cohort');
  const rescues = cells.filter(({ side, kind }) => side === 'legacy' && kind === 'failover');
  return {
    legacy: arm('legacy'),
    candidate: arm('candidate'),
    rescued: rescues.reduce((sum, { successes }) => sum + successes, 0),
    rescueUsd: rescues.reduce((sum, { costUsd }) => sum + costUsd, 0),
    ...(ofCohort.length === 0 ? {} : { cohort: ofCohort.reduce(withCell, NOTHING) }),
    windows: 1,
  };
}

/** Both together. */
export function addTallies(a: TrafficTally | undefined, b: TrafficTally): TrafficTally {
  if (a === undefined) return b;
  return {
    legacy: addArms(a.legacy, b.legacy),
    candidate: addArms(a.candidate, b.candidate),
    rescued: a.rescued + b.rescued,
    rescueUsd: a.rescueUsd + b.rescueUsd,
    ...(a.cohort === undefined && b.cohort === undefined
      ? {}
      : { cohort: addArms(a.cohort ?? NOTHING, b.cohort ?? NOTHING) }),
    windows: a.windows + b.windows,
  };
}

/** Requests of the candidate's arm that nobody answered. */
export function unanswered({ candidate, rescued }: TrafficTally): number {
  return Math.max(0, candidate.failures - rescued);
}

/** What the candidate's requests would have cost at legacy by its mean price; null where either has no price. */
export function costAtLegacy({ legacy, candidate }: TrafficTally): number | null {
  if (legacy.priced === 0 || candidate.priced === 0) return null;
  return (legacy.costUsd / legacy.priced) * candidate.priced;
}

function withCell(arm: ArmTally, cell: EvidenceCell): ArmTally {
  const { attempts, aborted, costLog, costUsd } = cell;
  return addArms(arm, {
    requests: attempts - aborted,
    failures: failureCount(cell),
    priced: costLog.count,
    costUsd,
  });
}

function addArms(a: ArmTally, b: ArmTally): ArmTally {
  return {
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    priced: a.priced + b.priced,
    costUsd: a.costUsd + b.costUsd,
  };
}
