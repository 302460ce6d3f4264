import type { Side } from '../routing/routing';
import { EMPTY_HISTOGRAM, GAMMA, type Histogram, mergeHistograms } from '../statistics/histogram';

/** What kind of request was counted. Only `live` is in an arm of the comparison. */
export type EvidenceKind = 'live' | 'probe' | 'shadow' | 'failover';

/** Streams and plain answers are never pooled: their latencies mean different things. */
export type AnswerShape = 'stream' | 'plain';

/** Why an attempt failed. `shed` was drawn while the candidate took nothing (breaker, cap), and is no failure. */
export type FailureClass =
  | 'connect'
  | 'timeout'
  | 'reset'
  | 'tls'
  | 'status_429'
  | 'status_4xx'
  | 'status_auth'
  | 'status_5xx'
  | 'error_event'
  | 'truncated'
  | 'malformed'
  | 'rejected'
  | 'shed';

/** Sums of one arm, kind and stratum. All are counts or sums, so that merging is addition. */
export interface EvidenceCell {
  readonly side: Side;
  readonly kind: EvidenceKind;
  readonly shape: AnswerShape;
  /** The model as the caller asked for it, or `other` where small strata are pooled. */
  readonly model: string;
  readonly attempts: number;
  readonly successes: number;
  readonly failures: Readonly<Partial<Record<FailureClass, number>>>;
  /** Callers who went away before an answer, and what says nothing of a provider; neither success nor failure. */
  readonly aborted: number;
  /** Of the aborted: refusals (4xx) that say nothing of a provider. Absent from gateways of older releases. */
  readonly refused?: number;
  /** SDK retries (`X-Stainless-Retry-Count` above 0) among the attempts. */
  readonly retries: number;
  /** Total time of plain answers, milliseconds; failures count as the time waited. */
  readonly totalMs: Histogram;
  /** Time to first token of streams, milliseconds. */
  readonly firstTokenMs: Histogram;
  /** Time between tokens of streams, milliseconds. */
  readonly interTokenMs: Histogram;
  readonly tokensIn: number;
  readonly tokensCached: number;
  readonly tokensOut: number;
  /** Natural log of the cost in USD: count, sum, and sum of squares, for the geometric mean; 0s when unpriced. */
  readonly costLog: LogMoments;
  readonly costUsd: number;
}

/** Sufficient statistics of ln(x). */
export interface LogMoments {
  readonly count: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/**
 * What one key bucket counted. The last two are the requests slower than legacy's median and p95 of their stratum at
 * that time: by them it is known how latencies cluster. Absent from gateways of older releases.
 */
export type BucketCount = readonly [
  bucket: number,
  requests: number,
  failures: number,
  aboveMedian?: number,
  aboveP95?: number,
];

/** Requests by the 256 key buckets of each arm; sparse, sorted by bucket. */
export interface BucketCounts {
  readonly legacy: readonly BucketCount[];
  readonly candidate: readonly BucketCount[];
}

/** What was seen under one epoch of a route: mergeable, plain JSON. */
export interface Evidence {
  readonly epoch: number;
  readonly cells: readonly EvidenceCell[];
  /** Only when assignment is sticky. */
  readonly buckets: BucketCounts;
  /** Names of the models that were pooled into `other`. */
  readonly pooled: readonly string[];
}

/** Answer to `GET /admin/v1/routes/ROUTE/evidence?epoch=E&since=CURSOR`, or `&peek=1` for whoever only looks. */
export interface EvidenceReading {
  readonly incarnation: string;
  /** Pass it as `since` next time: the answer is then what came after. Empty for a peek. */
  readonly cursor: string;
  /** What was seen since the cursor that was asked for, or since the epoch's first request here. */
  readonly evidence: Evidence;
  /** Failures of the candidate in a row, up to its last judged live request; absent from gateways of older releases. */
  readonly candidateFailureStreak?: number;
  /** The ratio of the gateway's histogram buckets; absent where it is not told. */
  readonly gamma?: number;
}

/** Why a gateway's evidence cannot be used at all, in a few words without a comma; null when it can. */
export function evidenceProblem({ evidence, gamma }: EvidenceReading, epoch: number): string | null {
  if (evidence.epoch !== epoch) return `expected epoch ${epoch} and got ${evidence.epoch}`;
  if (gamma !== undefined && Math.abs(gamma / GAMMA - 1) > 1e-9) {
    return `expected histograms of gamma ${GAMMA.toFixed(6)} and got ${gamma.toFixed(6)}`;
  }
  for (const cell of evidence.cells) {
    const judged = cell.attempts - cell.aborted;
    const counts = [
      ...[cell.attempts, cell.aborted, cell.successes, cell.retries],
      ...Object.values(cell.failures),
      ...[cell.totalMs, cell.firstTokenMs, cell.interTokenMs].flatMap(({ zero, buckets }) => [
        zero,
        ...buckets.map(([, count]) => count),
      ]),
    ];
    if (counts.some((count) => !(count >= 0)) || failureCount(cell) > judged) {
      return `its counters went backwards (${cell.side} ${cell.shape})`;
    }
  }
  return null;
}

/** Evidence of nothing. */
export function noEvidence(epoch: number): Evidence {
  return { epoch, cells: [], buckets: { legacy: [], candidate: [] }, pooled: [] };
}

/** The sum of evidence of ONE epoch, in any order; throws when epochs differ. */
export function mergeEvidence(parts: readonly Evidence[], epoch: number): Evidence {
  const cells = new Map<string, EvidenceCell[]>();
  for (const part of parts) {
    if (part.epoch !== epoch) {
      throw new RangeError(`expected evidence of epoch ${epoch}, got epoch ${part.epoch}`);
    }
    for (const cell of part.cells) {
      const key = JSON.stringify([cell.side, cell.kind, cell.shape, cell.model]);
      cells.set(key, [...(cells.get(key) ?? []), cell]);
    }
  }
  return {
    epoch,
    cells: [...cells].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, same]) => mergeCells(same)),
    buckets: {
      legacy: mergeBuckets(parts.map((part) => part.buckets.legacy)),
      candidate: mergeBuckets(parts.map((part) => part.buckets.candidate)),
    },
    pooled: [...new Set(parts.flatMap((part) => part.pooled))].sort(),
  };
}

/** The sum of all cells that a test picks, under the identity of the first; null when none is picked. */
export function sumCells(evidence: Evidence, picked: (cell: EvidenceCell) => boolean): EvidenceCell | null {
  const cells = evidence.cells.filter(picked);
  return cells.length === 0 ? null : mergeCells(cells);
}

/** Failures of all classes. */
export function failureCount(cell: EvidenceCell): number {
  return Object.values(cell.failures).reduce((sum, count) => sum + count, 0);
}

function mergeCells(cells: readonly EvidenceCell[]): EvidenceCell {
  const first = cells[0];
  if (first === undefined) throw new RangeError('expected at least one cell to merge, got none');
  const sum = (read: (cell: EvidenceCell) => number) => cells.reduce((total, cell) => total + read(cell), 0);
  return {
    side: first.side,
    kind: first.kind,
    shape: first.shape,
    model: first.model,
    attempts: sum((cell) => cell.attempts),
    successes: sum((cell) => cell.successes),
    failures: mergeFailures(cells),
    aborted: sum((cell) => cell.aborted),
    ...(cells.every(({ refused }) => refused !== undefined)
      ? { refused: sum((cell) => cell.refused ?? 0) }
      : {}),
    retries: sum((cell) => cell.retries),
    totalMs: mergeHistograms(cells.map((cell) => cell.totalMs)),
    firstTokenMs: mergeHistograms(cells.map((cell) => cell.firstTokenMs)),
    interTokenMs: mergeHistograms(cells.map((cell) => cell.interTokenMs)),
    tokensIn: sum((cell) => cell.tokensIn),
    tokensCached: sum((cell) => cell.tokensCached),
    tokensOut: sum((cell) => cell.tokensOut),
    costLog: {
      count: sum((cell) => cell.costLog.count),
      sum: sum((cell) => cell.costLog.sum),
      sumOfSquares: sum((cell) => cell.costLog.sumOfSquares),
    },
    costUsd: sum((cell) => cell.costUsd),
  };
}

function mergeFailures(cells: readonly EvidenceCell[]): Partial<Record<FailureClass, number>> {
  const merged: Partial<Record<FailureClass, number>> = {};
  for (const cell of cells) {
    for (const [name, count] of Object.entries(cell.failures) as [FailureClass, number][]) {
      merged[name] = (merged[name] ?? 0) + count;
    }
  }
  return merged;
}

function mergeBuckets(lists: readonly (readonly BucketCount[])[]): BucketCount[] {
  const merged = new Map<number, BucketCount>();
  for (const count of lists.flat()) {
    const held = merged.get(count[0]);
    merged.set(count[0], held === undefined ? count : addBucket(held, count));
  }
  return [...merged.values()].sort((a, b) => a[0] - b[0]);
}

function addBucket(a: BucketCount, b: BucketCount): BucketCount {
  const sums = [a[0], a[1] + b[1], a[2] + b[2]] as const;
  const [medianA, medianB, p95A, p95B] = [a[3], b[3], a[4], b[4]];
  return medianA === undefined || medianB === undefined || p95A === undefined || p95B === undefined
    ? sums
    : [...sums, medianA + medianB, p95A + p95B];
}

/** A cell with every count at zero. */
export function emptyCell(identity: Pick<EvidenceCell, 'side' | 'kind' | 'shape' | 'model'>): EvidenceCell {
  return {
    side: identity.side,
    kind: identity.kind,
    shape: identity.shape,
    model: identity.model,
    attempts: 0,
    successes: 0,
    failures: {},
    aborted: 0,
    refused: 0,
    retries: 0,
    totalMs: EMPTY_HISTOGRAM,
    firstTokenMs: EMPTY_HISTOGRAM,
    interTokenMs: EMPTY_HISTOGRAM,
    tokensIn: 0,
    tokensCached: 0,
    tokensOut: 0,
    costLog: { count: 0, sum: 0, sumOfSquares: 0 },
    costUsd: 0,
  };
}
