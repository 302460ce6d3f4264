import type { BucketCounts, Evidence, EvidenceCell } from '../core/evidence';
import type { Side } from '../core/routing';
import { CellCounters, type Observation } from './evidence-cell';

const BUCKETS = 256;
/** Together with the pooled stream and plain ones: 12. */
const OWN_STRATA = 10;
const NAMED_AT_MOST = 100;

/** The name of the strata that hold what has no stratum of its own. */
const POOLED_MODEL = 'other';

/** Everything counted under one epoch of a route. Both arms and all kinds share their strata. */
export class EpochEvidence {
  readonly #cells = new Map<string, CellCounters>();
  readonly #strata = new Set<string>();
  readonly #pooled = new Set<string>();
  readonly #buckets = {
    legacy: { requests: new Uint32Array(BUCKETS), failures: new Uint32Array(BUCKETS) },
    candidate: { requests: new Uint32Array(BUCKETS), failures: new Uint32Array(BUCKETS) },
  };

  #candidateFailureStreak = 0;

  /** Failures of the candidate in a row, up to its last judged live request. */
  get candidateFailureStreak(): number {
    return this.#candidateFailureStreak;
  }

  add(seen: Observation): void {
    this.#cellOf(seen).add(seen);
    const isJudged = seen.kind === 'live' && seen.outcome !== 'aborted' && seen.outcome !== 'refused';
    if (isJudged && seen.side === 'candidate') {
      this.#candidateFailureStreak = seen.outcome === 'success' ? 0 : this.#candidateFailureStreak + 1;
    }
    if (seen.bucket === null || !isJudged) return;
    const { requests, failures } = this.#buckets[seen.side];
    requests[seen.bucket] = (requests[seen.bucket] as number) + 1;
    if (seen.outcome !== 'success') failures[seen.bucket] = (failures[seen.bucket] as number) + 1;
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

  #cellOf(seen: Observation): CellCounters {
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
  #stratumModel({ shape, model }: Observation): string {
    const stratum = `${shape} ${model}`;
    if (this.#strata.has(stratum)) return model;
    if (this.#strata.size < OWN_STRATA) {
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
