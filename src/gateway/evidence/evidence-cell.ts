import type { AnswerShape, EvidenceCell, EvidenceKind, FailureClass } from '../../core/evidence/evidence';
import type { Arm } from '../../core/routing/routing';
import { AnswerTally, type SeenAnswer } from './answer-tally';
import { DenseHistogram } from './dense-histogram';

/** One finished request (or probe, mirror, failover attempt), as it is counted. */
export interface Observation {
  readonly epoch: number;
  /** As in the cell that counts it. */
  readonly side: Arm;
  readonly kind: EvidenceKind;
  readonly shape: AnswerShape;
  /** As the caller asked for it. */
  readonly model: string;
  /** `refused`: a 4xx that says nothing of a provider; counted with the aborted, outside of every rate. */
  readonly outcome: 'success' | 'aborted' | 'refused' | FailureClass;
  /** An SDK's retry: `X-Stainless-Retry-Count` above 0. */
  readonly retry: boolean;
  /** From dispatch to the end, or the time waited when there was no good end. */
  readonly totalMs: number;
  /** Null for plain answers and when none came. */
  readonly firstTokenMs: number | null;
  /** Read before `record` returns, so the caller may use one buffer again. */
  readonly interTokenMs: readonly number[];
  readonly tokensIn: number;
  readonly tokensCached: number;
  readonly tokensOut: number;
  /** Null when the model has no price. */
  readonly costUsd: number | null;
  readonly bucket: number | null;
  /** Null for what is no answer, and for one whose judgement comes later. */
  readonly answer: SeenAnswer | null;
}

const FAILURES: readonly FailureClass[] = [
  'connect',
  'timeout',
  'reset',
  'tls',
  'status_429',
  'status_4xx',
  'status_auth',
  'status_5xx',
  'error_event',
  'truncated',
  'malformed',
  'rejected',
  'shed',
];
const FAILURE_INDEX = new Map<string, number>(FAILURES.map((name, index) => [name, index]));

type CellIdentity = Pick<EvidenceCell, 'side' | 'kind' | 'shape' | 'model'>;

/** The counters of one arm, kind and stratum; they only grow. */
export class CellCounters {
  readonly identity: CellIdentity;
  attempts = 0;
  successes = 0;
  aborted = 0;
  refused = 0;
  retries = 0;
  tokensIn = 0;
  tokensCached = 0;
  tokensOut = 0;
  costCount = 0;
  costLogSum = 0;
  costLogSumOfSquares = 0;
  costUsd = 0;
  failures = new Float64Array(FAILURES.length);
  totalMs = new DenseHistogram();
  firstTokenMs = new DenseHistogram();
  interTokenMs = new DenseHistogram();
  answers = new AnswerTally();

  constructor(identity: CellIdentity) {
    this.identity = identity;
  }

  add(seen: Observation): void {
    this.attempts += 1;
    if (seen.retry) this.retries += 1;
    if (seen.outcome === 'success') this.successes += 1;
    else if (seen.outcome === 'aborted') this.aborted += 1;
    else if (seen.outcome === 'refused') {
      this.aborted += 1;
      this.refused += 1;
    } else {
      const index = FAILURE_INDEX.get(seen.outcome) as number;
      this.failures[index] = (this.failures[index] as number) + 1;
    }
    // Nothing was waited for when nothing was sent, and a refusal is no answer: times of milliseconds would
    // make a broken candidate look fast.
    if (seen.outcome !== 'shed' && seen.outcome !== 'refused') this.#addTimes(seen);
    this.tokensIn += seen.tokensIn;
    this.tokensCached += seen.tokensCached;
    this.tokensOut += seen.tokensOut;
    if (seen.costUsd !== null && seen.costUsd > 0) this.#addCost(seen.costUsd);
  }

  /** Adds what another process has counted. */
  merge(cell: EvidenceCell): void {
    this.attempts += cell.attempts;
    this.successes += cell.successes;
    this.aborted += cell.aborted;
    this.refused += cell.refused ?? 0;
    this.retries += cell.retries;
    FAILURES.forEach((name, index) => {
      this.failures[index] = (this.failures[index] as number) + (cell.failures[name] ?? 0);
    });
    this.totalMs.merge(cell.totalMs);
    this.firstTokenMs.merge(cell.firstTokenMs);
    this.interTokenMs.merge(cell.interTokenMs);
    this.tokensIn += cell.tokensIn;
    this.tokensCached += cell.tokensCached;
    this.tokensOut += cell.tokensOut;
    this.costCount += cell.costLog.count;
    this.costLogSum += cell.costLog.sum;
    this.costLogSumOfSquares += cell.costLog.sumOfSquares;
    this.costUsd += cell.costUsd;
    const { answers, echoed = [], fingerprintChanges = 0 } = cell;
    if (answers !== undefined) this.answers.merge(answers, echoed, fingerprintChanges);
  }

  copy(): CellCounters {
    const copy = Object.assign(new CellCounters(this.identity), this);
    copy.failures = this.failures.slice();
    copy.totalMs = this.totalMs.copy();
    copy.firstTokenMs = this.firstTokenMs.copy();
    copy.interTokenMs = this.interTokenMs.copy();
    copy.answers = this.answers.copy();
    return copy;
  }

  /** What was counted after an earlier copy, null when nothing was. */
  since(earlier: CellCounters = new CellCounters(this.identity)): EvidenceCell | null {
    const attempts = this.attempts - earlier.attempts;
    const seen = this.answers.since(earlier.answers);
    if (attempts === 0 && seen.answers.checked + seen.answers.unchecked === 0) return null;
    return {
      ...this.identity,
      ...seen,
      attempts,
      successes: this.successes - earlier.successes,
      failures: this.#failuresSince(earlier),
      aborted: this.aborted - earlier.aborted,
      refused: this.refused - earlier.refused,
      retries: this.retries - earlier.retries,
      totalMs: this.totalMs.since(earlier.totalMs),
      firstTokenMs: this.firstTokenMs.since(earlier.firstTokenMs),
      interTokenMs: this.interTokenMs.since(earlier.interTokenMs),
      tokensIn: this.tokensIn - earlier.tokensIn,
      tokensCached: this.tokensCached - earlier.tokensCached,
      tokensOut: this.tokensOut - earlier.tokensOut,
      costLog: {
        count: this.costCount - earlier.costCount,
        sum: this.costLogSum - earlier.costLogSum,
        sumOfSquares: this.costLogSumOfSquares - earlier.costLogSumOfSquares,
      },
      costUsd: this.costUsd - earlier.costUsd,
    };
  }

  #addTimes(seen: Observation): void {
    if (seen.shape === 'plain') {
      this.totalMs.add(seen.totalMs);
      return;
    }
    this.firstTokenMs.add(seen.firstTokenMs ?? seen.totalMs);
    for (const gapMs of seen.interTokenMs) this.interTokenMs.add(gapMs);
  }

  #addCost(costUsd: number): void {
    const log = Math.log(costUsd);
    this.costCount += 1;
    this.costLogSum += log;
    this.costLogSumOfSquares += log * log;
    this.costUsd += costUsd;
  }

  #failuresSince(earlier: CellCounters): Partial<Record<FailureClass, number>> {
    const failures: Partial<Record<FailureClass, number>> = {};
    FAILURES.forEach((name, index) => {
      const count = (this.failures[index] as number) - (earlier.failures[index] as number);
      if (count > 0) failures[name] = count;
    });
    return failures;
  }
}
