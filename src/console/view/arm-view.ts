import type { BreachClass } from '../../core/evidence/breach-classes';
import {
  breachCount,
  type Evidence,
  type EvidenceCell,
  type FailureClass,
  failureCount,
  mergeEvidence,
  sumCells,
} from '../../core/evidence/evidence';
import { COHORT_SUCCESS } from '../../core/gates/cohort/judge-cohort';
import { ANSWERS, type GateVerdict } from '../../core/gates/verdict';
import type { MigrationStatus } from '../../core/migration/status';
import { cohortText } from '../../core/routing/cohort';
import type { Arm } from '../../core/routing/routing';
import { quantile } from '../../core/statistics/histogram';
import type { GatewaySighting } from './gateway-view';

/** One provider's numbers under the routing that is in effect. Rates are 0 to 1, null without data. */
export interface ArmView {
  readonly requests: number;
  readonly errorRate: number | null;
  readonly failures: number | null;
  readonly failuresByClass: readonly { readonly name: FailureClass; readonly count: number }[];
  /** Of the answers that were checked, how many broke their contract; null where none was. */
  readonly breachRate: number | null;
  readonly breachesByClass: readonly { readonly name: BreachClass; readonly count: number }[];
  /** Answers that could not be checked; null where nobody looks at them. */
  readonly unchecked: number | null;
  /** Total time of plain answers. */
  readonly plain: Quantiles | null;
  readonly firstToken: Quantiles | null;
  readonly interTokenP95Ms: number | null;
  readonly tokensIn: number | null;
  readonly tokensOut: number | null;
  /** Null where nothing is priced. */
  readonly costUsd: number | null;
  readonly costPerRequestUsd: number | null;
  readonly probes: { readonly all: number; readonly failed: number; readonly failedInARow: number };
}

/** Requests of the callers whom alone a stage serves by the candidate: in neither arm. */
export interface CohortView {
  /** As people read it: `teams search, ads`. */
  readonly whom: string;
  readonly side: ArmView;
}

export interface Quantiles {
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
}

/** Both providers side by side, and where the numbers come from. */
export interface ArmsView {
  /** `gateways`: as counted by them up to now; `verdict`: as judged in the last window; `none`: no requests yet. */
  readonly source: 'gateways' | 'verdict' | 'none';
  readonly epoch: number;
  /** Requests that the candidate failed and legacy then answered. */
  readonly rescued: number | null;
  readonly legacy: ArmView;
  readonly candidate: ArmView;
  /** Absent where the stage serves no cohort. */
  readonly cohort?: CohortView;
}

/** Numbers of the gateways that answered; of the last verdict where none did. */
export function armsOf(status: MigrationStatus, sightings: readonly GatewaySighting[]): ArmsView {
  const { epoch, verdict } = status;
  const only = status.stages.find(({ name }) => name === status.stage)?.only;
  const cohort = (numbers: ArmView) =>
    only === undefined ? {} : { cohort: { whom: cohortText(only), side: numbers } };
  const parts = sightings.flatMap(({ evidence }) =>
    evidence?.kind === 'ok' && evidence.value.evidence.epoch === epoch ? [evidence.value.evidence] : [],
  );
  if (parts.length > 0) {
    const evidence = mergeEvidence(parts, epoch);
    const rescues = sumCells(evidence, (cell) => cell.side === 'legacy' && cell.kind === 'failover');
    return {
      source: 'gateways',
      epoch,
      rescued: rescues?.attempts ?? 0,
      legacy: fromEvidence('legacy', 'live', evidence, status),
      candidate: fromEvidence('candidate', 'live', evidence, status),
      ...cohort(fromEvidence('candidate', 'cohort', evidence, status)),
    };
  }
  if (only !== undefined) {
    // What was judged was the cohort alone.
    const arm = (name: Arm): ArmView => ({ ...NOTHING, requests: 0, probes: probesOf(name, status) });
    const numbers = fromCohortVerdict(verdict, status);
    const source = verdict === null ? 'none' : 'verdict';
    return {
      source,
      epoch,
      rescued: null,
      legacy: arm('legacy'),
      candidate: arm('candidate'),
      ...cohort(numbers),
    };
  }
  return {
    source: verdict === null ? 'none' : 'verdict',
    epoch,
    rescued: null,
    legacy: fromVerdict('legacy', verdict, status),
    candidate: fromVerdict('candidate', verdict, status),
  };
}

function fromEvidence(
  arm: Arm,
  kind: 'live' | 'cohort',
  evidence: Evidence,
  status: MigrationStatus,
): ArmView {
  const counted = (shape?: EvidenceCell['shape']) =>
    sumCells(
      evidence,
      (cell) => cell.side === arm && cell.kind === kind && (shape === undefined || cell.shape === shape),
    );
  const all = counted();
  if (all === null) return { ...NOTHING, requests: 0, failures: 0, probes: probesOf(arm, status) };
  const requests = all.attempts - all.aborted;
  const failures = failureCount(all);
  const streams = counted('stream');
  const priced = all.costLog.count;
  return {
    requests,
    failures,
    errorRate: requests === 0 ? null : failures / requests,
    failuresByClass: sortedCounts(all.failures),
    ...answersOf(all),
    plain: quantilesOf(counted('plain')?.totalMs),
    firstToken: quantilesOf(streams?.firstTokenMs),
    interTokenP95Ms: rounded(streams === null ? null : quantile(streams.interTokenMs, 0.95)),
    tokensIn: all.tokensIn,
    tokensOut: all.tokensOut,
    costUsd: priced === 0 ? null : Number(all.costUsd.toPrecision(4)),
    costPerRequestUsd: priced === 0 ? null : Number((all.costUsd / priced).toPrecision(3)),
    probes: probesOf(arm, status),
  };
}

function answersOf({ answers }: EvidenceCell): Pick<ArmView, 'breachRate' | 'breachesByClass' | 'unchecked'> {
  if (answers === undefined) return { breachRate: null, breachesByClass: [], unchecked: null };
  const { checked, unchecked, breaches } = answers;
  return {
    breachRate: checked === 0 ? null : breachCount(answers) / checked,
    breachesByClass: sortedCounts(breaches),
    unchecked,
  };
}

/** What was counted at all, the most frequent first. */
function sortedCounts<K extends string>(
  counts: Readonly<Partial<Record<K, number>>>,
): { readonly name: K; readonly count: number }[] {
  return (Object.entries(counts) as [K, number][])
    .filter(([, count]) => count > 0)
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count);
}

/** Metrics of a gate by the beginning of their name; with several models, the one with most requests. */
function fromVerdict(arm: Arm, verdict: GateVerdict | null, status: MigrationStatus): ArmView {
  const metric = (name: string) =>
    verdict?.metrics
      .filter((one) => one.metric.startsWith(name))
      .reduce<GateVerdict['metrics'][number] | null>(
        (most, one) => (most === null || one.n.candidate > most.n.candidate ? one : most),
        null,
      )?.[arm] ?? null;
  const p95 = (name: string): Quantiles | null => {
    const p95Ms = metric(name);
    return p95Ms === null ? null : { p50Ms: null, p95Ms };
  };
  return {
    ...NOTHING,
    requests: verdict?.requests[arm] ?? 0,
    errorRate: metric('errors'),
    breachRate: metric(ANSWERS),
    plain: p95('p95 of plain answers'),
    firstToken: p95('p95 to first token'),
    interTokenP95Ms: metric('p95 between tokens'),
    // Workers of older releases call it otherwise.
    costPerRequestUsd: metric('cost per request') ?? metric('cost a request'),
    probes: probesOf(arm, status),
  };
}

function fromCohortVerdict(verdict: GateVerdict | null, status: MigrationStatus): ArmView {
  const rate = (name: string) => verdict?.metrics.find(({ metric }) => metric === name)?.candidate ?? null;
  return {
    ...NOTHING,
    requests: verdict?.requests.candidate ?? 0,
    errorRate: rate(COHORT_SUCCESS),
    breachRate: rate('cohort answers'),
    probes: probesOf('candidate', status),
  };
}

const NOTHING: Omit<ArmView, 'requests' | 'probes'> = {
  errorRate: null,
  failures: null,
  failuresByClass: [],
  breachRate: null,
  breachesByClass: [],
  unchecked: null,
  plain: null,
  firstToken: null,
  interTokenP95Ms: null,
  tokensIn: null,
  tokensOut: null,
  costUsd: null,
  costPerRequestUsd: null,
};

function probesOf(arm: Arm, { probes }: MigrationStatus): ArmView['probes'] {
  const { probes: all, failures, failedInARow } = probes[arm];
  return { all, failed: failures, failedInARow };
}

function quantilesOf(histogram: EvidenceCell['totalMs'] | undefined): Quantiles | null {
  if (histogram === undefined) return null;
  const p50Ms = rounded(quantile(histogram, 0.5));
  return p50Ms === null ? null : { p50Ms, p95Ms: rounded(quantile(histogram, 0.95)) };
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(3));
}
