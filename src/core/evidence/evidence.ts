import type { Arm } from '../routing/routing';
import { EMPTY_HISTOGRAM, GAMMA, type Histogram, mergeHistograms } from '../statistics/histogram';
import type { BreachClass } from './breach-classes';
import { type JudgeCounts, judgeProblem, mergeJudge } from './judge-counts';
import { mergeOutcomes, type OutcomeCounts, outcomesProblem } from './outcome-counts';
import { mergePairs, type PairCounts, pairsProblem } from './pair-counts';
import { mergeSpending, type SpendingCounts, spendingProblem } from './spending-counts';

/** What kind of request was counted. Only `live` is in an arm of the comparison; `cohort` is of those who alone are served. */
export type EvidenceKind = 'live' | 'probe' | 'shadow' | 'failover' | 'cohort';

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

/** How an answer ended: by its finish reason, `nothing` without one, or in a refusal of the model. */
export type AnswerEnd = 'stop' | 'length' | 'content_filter' | 'tool_calls' | 'refusal' | 'other' | 'nothing';

/**
 * What answers kept of their contract. A verdict may come a moment after its request was counted, so that what came
 * between two readings may hold more answers than requests; the breaches are always among the `checked` beside them.
 */
export interface AnswerCounts {
  /** Answers that were judged whole, breached or not. */
  readonly checked: number;
  /** Answers that could not be judged: too long, a schema that does not compile, no time. Never as good. */
  readonly unchecked: number;
  readonly breaches: Readonly<Partial<Record<BreachClass, number>>>;
  /** How answers ended, checked or not. */
  readonly ends: Readonly<Partial<Record<AnswerEnd, number>>>;
}

/** How often answers named a model as their own; beyond `ECHOED_AT_MOST` models they are counted as `other`. */
export interface EchoedModel {
  readonly model: string;
  readonly count: number;
}

/** Sums of one arm, kind and stratum. All are counts or sums, so that merging is addition. */
export interface EvidenceCell {
  /** The arm, or who was asked outside of both. Recorded, so the name stays. */
  readonly side: Arm;
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
  /** Of chat, completions and responses. Absent from gateways of older releases. */
  readonly answers?: AnswerCounts;
  /** The models that answers named, the most frequent first. Absent from gateways of older releases. */
  readonly echoed?: readonly EchoedModel[];
  /** How often `system_fingerprint` differed from that of the answer before. Absent from gateways of older releases. */
  readonly fingerprintChanges?: number;
}

/** Sufficient statistics of ln(x). */
export interface LogMoments {
  readonly count: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/**
 * What one key bucket counted. `aboveMedian` and `aboveP95` are the requests slower than legacy's median and p95 of
 * their stratum at that time: by them it is known how latencies cluster. `checked` and `breaches` are answers as in
 * `AnswerCounts`: by them it is known how breaches do. Absent from gateways of older releases.
 */
export type BucketCount = readonly [
  bucket: number,
  requests: number,
  failures: number,
  aboveMedian?: number,
  aboveP95?: number,
  checked?: number,
  breaches?: number,
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
  /** What applications said of answers. Absent where they said nothing, and from gateways of older releases. */
  readonly outcomes?: readonly OutcomeCounts[];
  /** What live answers cost, and how long they were. Absent where there were none, and from gateways of older releases. */
  readonly spending?: readonly SpendingCounts[];
  /** How answers to copies of legacy's requests compare. Absent where none were sent, and from older releases. */
  readonly pairs?: PairCounts;
  /** What a judge says of them. Absent where none was asked, and from older releases. */
  readonly judge?: JudgeCounts;
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
      ...answerNumbers(cell),
      ...[cell.totalMs, cell.firstTokenMs, cell.interTokenMs].flatMap(({ zero, buckets }) => [
        zero,
        ...buckets.map(([, count]) => count),
      ]),
    ];
    if (counts.some((count) => !(count >= 0)) || failureCount(cell) > judged) {
      return `its counters went backwards (${cell.side} ${cell.shape})`;
    }
    if (cell.answers !== undefined && breachCount(cell.answers) > cell.answers.checked) {
      return `it has more breaches than answers that were checked (${cell.side} ${cell.shape})`;
    }
  }
  const { outcomes = [], spending = [], pairs, judge } = evidence;
  return (
    outcomesProblem(outcomes) ??
    spendingProblem(spending) ??
    (pairs === undefined ? null : pairsProblem(pairs)) ??
    (judge === undefined ? null : judgeProblem(judge))
  );
}

function answerNumbers({ answers, echoed = [], fingerprintChanges = 0 }: EvidenceCell): number[] {
  const { checked, unchecked, breaches, ends } = answers ?? NO_ANSWERS;
  return [
    ...[checked, unchecked, fingerprintChanges],
    ...Object.values(breaches),
    ...Object.values(ends),
    ...echoed.map(({ count }) => count),
  ];
}

/** Echoed models that a cell names. */
const ECHOED_AT_MOST = 8;
/** The name under which further models are counted. */
const OTHER_MODELS = 'other';

/** No answer looked at. */
const NO_ANSWERS: AnswerCounts = { checked: 0, unchecked: 0, breaches: {}, ends: {} };

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
    ...(parts.some(({ outcomes }) => outcomes !== undefined)
      ? { outcomes: mergeOutcomes(parts.map(({ outcomes = [] }) => outcomes)) }
      : {}),
    ...(parts.some(({ spending }) => spending !== undefined)
      ? { spending: mergeSpending(parts.map(({ spending = [] }) => spending)) }
      : {}),
    ...(parts.some(({ pairs }) => pairs !== undefined)
      ? { pairs: mergePairs(parts.flatMap(({ pairs }) => pairs ?? [])) }
      : {}),
    ...(parts.some(({ judge }) => judge !== undefined)
      ? { judge: mergeJudge(parts.flatMap(({ judge }) => judge ?? [])) }
      : {}),
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

/** Breaches of all classes. */
export function breachCount({ breaches }: AnswerCounts): number {
  return Object.values(breaches).reduce((sum, count) => sum + count, 0);
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
    failures: mergeCounts(cells.map(({ failures }) => failures)),
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
    ...mergeAnswers(cells),
  };
}

/** Answers of gateways that did not look at them are unchecked beside those of gateways that did. */
function mergeAnswers(
  cells: readonly EvidenceCell[],
): Pick<EvidenceCell, 'answers' | 'echoed' | 'fingerprintChanges'> {
  if (cells.every(({ answers }) => answers === undefined)) return {};
  const counted = cells.map(({ answers, successes }) => answers ?? { ...NO_ANSWERS, unchecked: successes });
  return {
    answers: {
      checked: counted.reduce((sum, { checked }) => sum + checked, 0),
      unchecked: counted.reduce((sum, { unchecked }) => sum + unchecked, 0),
      breaches: mergeCounts(counted.map(({ breaches }) => breaches)),
      ends: mergeCounts(counted.map(({ ends }) => ends)),
    },
    echoed: mergeEchoedModels(cells.flatMap(({ echoed = [] }) => echoed)),
    fingerprintChanges: cells.reduce((sum, cell) => sum + (cell.fingerprintChanges ?? 0), 0),
  };
}

function mergeEchoedModels(lists: readonly EchoedModel[]): EchoedModel[] {
  const merged = new Map<string, number>();
  for (const { model, count } of lists) merged.set(model, (merged.get(model) ?? 0) + count);
  const rest = merged.get(OTHER_MODELS) ?? 0;
  merged.delete(OTHER_MODELS);
  const sorted = [...merged].sort(([a, more], [b, less]) => less - more || (a < b ? -1 : 1));
  const beyond = sorted.slice(ECHOED_AT_MOST).reduce((sum, [, count]) => sum + count, rest);
  const named = sorted.slice(0, ECHOED_AT_MOST).map(([model, count]) => ({ model, count }));
  return beyond === 0 ? named : [...named, { model: OTHER_MODELS, count: beyond }];
}

function mergeCounts<K extends string>(
  parts: readonly Readonly<Partial<Record<K, number>>>[],
): Partial<Record<K, number>> {
  const merged: Partial<Record<K, number>> = {};
  for (const part of parts) {
    for (const [name, count] of Object.entries(part) as [K, number][]) {
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

/** A number that one of both did not count is not counted, nor are those after it. */
function addBucket(a: BucketCount, b: BucketCount): BucketCount {
  const sums = [a[1] + b[1], a[2] + b[2]] as const;
  const latencies = sumsOf(a[3], b[3], a[4], b[4]);
  if (latencies === null) return [a[0], ...sums];
  const answers = sumsOf(a[5], b[5], a[6], b[6]);
  return answers === null ? [a[0], ...sums, ...latencies] : [a[0], ...sums, ...latencies, ...answers];
}

function sumsOf(a1?: number, b1?: number, a2?: number, b2?: number): readonly [number, number] | null {
  return a1 === undefined || b1 === undefined || a2 === undefined || b2 === undefined
    ? null
    : [a1 + b1, a2 + b2];
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
