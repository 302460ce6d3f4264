import type { BucketCounts, Evidence, EvidenceCell } from '../core/evidence';
import type { Side } from '../core/routing';
import { CellCounters, type Observation } from './evidence-cell';

const BUCKETS = 256;
/** Together with the pooled stream and plain ones: 12. */
const OWN_STRATA = 10;
const NAMED_AT_MOST = 100;

/** The name of the strata that hold what has no stratum of its own. */
const POOLED_MODEL = 'other';

type Stratum = Pick<EvidenceCell, 'side' | 'kind' | 'shape' | 'model'>;

/** What one process has counted under an epoch since it last said so. */
export interface EvidenceAddition {
  readonly evidence: Evidence;
  /** Failures of the candidate in a row at the end of it. */
  readonly candidateFailureStreak: number;
  /** A judged live request of the candidate succeeded in it, so that no earlier failure is in the row. */
  readonly candidateSucceeded: boolean;
}

/** Everything counted under one epoch of a route. Both arms and all kinds share their strata. */
export class EpochEvidence {
  readonly #cells = new Map<string, CellCounters>();
  readonly #ownStrata: number;
  readonly #strata = new Set<string>();
  readonly #pooled = new Set<string>();
  readonly #buckets = {
    legacy: { requests: new Uint32Array(BUCKETS), failures: new Uint32Array(BUCKETS) },
    candidate: { requests: new Uint32Array(BUCKETS), failures: new Uint32Array(BUCKETS) },
  };

  #candidateFailureStreak = 0;
  #candidateSucceeded = false;

  /** `ownStrata`: how many strata get counters of their own; the rest is pooled. */
  constructor(ownStrata = OWN_STRATA) {
    this.#ownStrata = ownStrata;
  }

  /** Failures of the candidate in a row, up to its last judged live request. */
  get candidateFailureStreak(): number {
    return this.#candidateFailureStreak;
  }

  add(seen: Observation): void {
    this.#cellOf(seen).add(seen);
    const isJudged = seen.kind === 'live' && seen.outcome !== 'aborted' && seen.outcome !== 'refused';
    if (isJudged && seen.side === 'candidate') {
      this.#candidateFailureStreak = seen.outcome === 'success' ? 0 : this.#candidateFailureStreak + 1;
      if (seen.outcome === 'success') this.#candidateSucceeded = true;
    }
    if (seen.bucket === null || !isJudged) return;
    const { requests, failures } = this.#buckets[seen.side];
    requests[seen.bucket] = (requests[seen.bucket] as number) + 1;
    if (seen.outcome !== 'success') failures[seen.bucket] = (failures[seen.bucket] as number) + 1;
  }

  /** All of this as an addition to what another process holds. */
  addition(epoch: number): EvidenceAddition {
    return {
      evidence: this.since(new EpochEvidence(), epoch),
      candidateFailureStreak: this.#candidateFailureStreak,
      candidateSucceeded: this.#candidateSucceeded,
    };
  }

  /** Adds what another process has counted; rows of failures are joined in the order of the additions. */
  merge({ evidence, candidateFailureStreak, candidateSucceeded }: EvidenceAddition): void {
    for (const cell of evidence.cells) this.#cellOf(cell).merge(cell);
    for (const side of ['legacy', 'candidate'] as const) {
      const { requests, failures } = this.#buckets[side];
      for (const [bucket, more, moreFailures] of evidence.buckets[side]) {
        requests[bucket] = (requests[bucket] as number) + more;
        failures[bucket] = (failures[bucket] as number) + moreFailures;
      }
    }
    this.#candidateFailureStreak = candidateSucceeded
      ? candidateFailureStreak
      : this.#candidateFailureStreak + candidateFailureStreak;
  }

  copy(): EpochEvidence {
    const copy = new EpochEvidence();
    for (const [key, cell] of this.#cells) copy.#cells.set(key, cell.copy());
    for (const side of ['legacy', 'candidate'] as const) {
      copy.#buckets[side].requests.set(this.#buckets[side].requests);
      copy.#buckets[side].failures.set(this.#buckets[side].failures);
    }
    return copy;
  }

  /** What was counted after an earlier copy. */
  since(earlier: EpochEvidence, epoch: number): Evidence {
    const cells: EvidenceCell[] = [];
    for (const [key, cell] of this.#cells) {
      const counted = cell.since(earlier.#cells.get(key));
      if (counted !== null) cells.push(counted);
    }
    const buckets: BucketCounts = {
      legacy: this.#bucketsSince(earlier, 'legacy'),
      candidate: this.#bucketsSince(earlier, 'candidate'),
    };
    return { epoch, cells, buckets, pooled: [...this.#pooled].sort() };
  }

  #cellOf(seen: Stratum): CellCounters {
    const model = this.#stratumModel(seen);
    const key = `${seen.side} ${seen.kind} ${seen.shape} ${model}`;
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = new CellCounters({ side: seen.side, kind: seen.kind, shape: seen.shape, model });
      this.#cells.set(key, cell);
    }
    return cell;
  }

  /** The first strata seen get their own counters: busy ones are seen first. */
  #stratumModel({ shape, model }: Stratum): string {
    const stratum = `${shape} ${model}`;
    if (this.#strata.has(stratum)) return model;
    if (this.#strata.size < this.#ownStrata) {
      this.#strata.add(stratum);
      return model;
    }
    if (this.#pooled.size < NAMED_AT_MOST) this.#pooled.add(model);
    return POOLED_MODEL;
  }

  #bucketsSince(earlier: EpochEvidence, side: Side): [number, number, number][] {
    const now = this.#buckets[side];
    const before = earlier.#buckets[side];
    const counts: [number, number, number][] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const requests = (now.requests[bucket] as number) - (before.requests[bucket] as number);
      const failures = (now.failures[bucket] as number) - (before.failures[bucket] as number);
      if (requests > 0) counts.push([bucket, requests, failures]);
    }
    return counts;
  }
}
