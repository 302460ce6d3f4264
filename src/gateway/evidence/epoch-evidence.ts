import type { BucketCount, BucketCounts, Evidence, EvidenceCell } from '../../core/evidence/evidence';
import { type JudgedPair, JudgeTally } from '../judge/judge-tally';
import type { ReportedOutcome } from '../outcomes/outcome';
import { OutcomeTally } from '../outcomes/outcome-tally';
import { breachOf, LastFingerprints, type SeenAnswer } from './answer-tally';
import { CellCounters, type Observation } from './evidence-cell';
import { LegacyLatencies, type Slowness } from './legacy-latencies';
import { PairTally, type SeenCopy } from './pair-tally';
import { SpendingTally } from './spending-tally';

const BUCKETS = 256;
/** Together with the pooled stream and plain ones: 12. */
const OWN_STRATA = 10;
const NAMED_AT_MOST = 100;

/** The name of the strata that hold what has no stratum of its own. */
const POOLED_MODEL = 'other';

type Stratum = Pick<EvidenceCell, 'side' | 'kind' | 'shape' | 'model'>;

/** An answer whose judgement came after its request was counted. */
export interface LateAnswer extends Stratum {
  readonly epoch: number;
  readonly bucket: number | null;
  readonly answer: SeenAnswer;
}

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
  readonly #latencies: LegacyLatencies;
  readonly #fingerprints: LastFingerprints;
  readonly #strata = new Set<string>();
  readonly #pooled = new Set<string>();
  readonly #buckets = { legacy: new BucketTally(), candidate: new BucketTally() };
  #outcomes = new OutcomeTally();
  #spending = new SpendingTally();
  #pairs = new PairTally();
  #judge = new JudgeTally();

  #candidateFailureStreak = 0;
  #candidateSucceeded = false;

  /** `ownStrata`: how many strata get counters of their own; the rest is pooled. */
  constructor(
    ownStrata = OWN_STRATA,
    latencies = new LegacyLatencies(),
    fingerprints = new LastFingerprints(),
  ) {
    this.#ownStrata = ownStrata;
    this.#latencies = latencies;
    this.#fingerprints = fingerprints;
  }

  /** Failures of the candidate in a row, up to its last judged live request. */
  get candidateFailureStreak(): number {
    return this.#candidateFailureStreak;
  }

  add(seen: Observation): void {
    const cell = this.#cellOf(seen);
    cell.add(seen);
    this.#spending.add(seen, this.#latencies);
    const { outcome, answer } = seen;
    if (answer !== null) this.#addAnswer(cell, seen, answer);
    const isJudged =
      seen.kind === 'live' && outcome !== 'aborted' && outcome !== 'refused' && outcome !== 'shed';
    if (isJudged && seen.side === 'candidate') {
      this.#candidateFailureStreak = seen.outcome === 'success' ? 0 : this.#candidateFailureStreak + 1;
      if (seen.outcome === 'success') this.#candidateSucceeded = true;
    }
    if (seen.bucket === null || !isJudged) return;
    const ms = seen.shape === 'plain' ? seen.totalMs : (seen.firstTokenMs ?? seen.totalMs);
    const slowness = this.#latencies.slownessOf(`${seen.shape} ${seen.model}`, ms, seen.side === 'legacy');
    this.#buckets[seen.side].add(seen.bucket, outcome !== 'success', slowness);
  }

  /** Counts what an application said of an answer; false when it has used too many names. */
  addOutcome(outcome: ReportedOutcome): boolean {
    return this.#outcomes.add(outcome);
  }

  /** Counts a copy of a request, and how its answer compares. */
  addCopy(seen: SeenCopy): void {
    this.#pairs.add(seen);
  }

  /** Counts what a judge said of a pair. */
  addJudged(pair: Omit<JudgedPair, 'epoch'>): void {
    this.#judge.add(pair);
  }

  /** Adds the judgement of an answer whose request has been added before. */
  addAnswer(late: LateAnswer): void {
    this.#addAnswer(this.#cellOf(late), late, late.answer);
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
    this.#spending.merge(evidence.spending ?? []);
    if (evidence.pairs !== undefined) this.#pairs.merge(evidence.pairs);
    if (evidence.judge !== undefined) this.#judge.merge(evidence.judge);
    for (const arm of ['legacy', 'candidate'] as const) this.#buckets[arm].merge(evidence.buckets[arm]);
    this.#candidateFailureStreak = candidateSucceeded
      ? candidateFailureStreak
      : this.#candidateFailureStreak + candidateFailureStreak;
  }

  copy(): EpochEvidence {
    const copy = new EpochEvidence();
    for (const [key, cell] of this.#cells) copy.#cells.set(key, cell.copy());
    for (const arm of ['legacy', 'candidate'] as const) {
      copy.#buckets[arm].copyFrom(this.#buckets[arm]);
    }
    copy.#outcomes = this.#outcomes.copy();
    copy.#spending = this.#spending.copy();
    copy.#pairs = this.#pairs.copy();
    copy.#judge = this.#judge.copy();
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
      legacy: this.#buckets.legacy.since(earlier.#buckets.legacy),
      candidate: this.#buckets.candidate.since(earlier.#buckets.candidate),
    };
    const outcomes = this.#outcomes.since(earlier.#outcomes);
    const spending = this.#spending.since(earlier.#spending);
    const pairs = this.#pairs.since(earlier.#pairs);
    const judge = this.#judge.since(earlier.#judge);
    const pooled = [...this.#pooled].sort();
    return {
      ...{ epoch, cells, buckets, pooled },
      ...(outcomes.length === 0 ? {} : { outcomes }),
      ...(spending.length === 0 ? {} : { spending }),
      ...(pairs === null ? {} : { pairs }),
      ...(judge === null ? {} : { judge }),
    };
  }

  #addAnswer(
    cell: CellCounters,
    { side, kind, shape, model, bucket }: Omit<LateAnswer, 'answer'>,
    answer: SeenAnswer,
  ): void {
    const { fingerprint } = answer;
    const isNew =
      fingerprint !== null && this.#fingerprints.changes(`${side} ${kind} ${shape} ${model}`, fingerprint);
    cell.answers.add(answer, isNew);
    if (bucket !== null && kind === 'live' && answer.judgement !== 'unchecked') {
      this.#buckets[side].addAnswer(bucket, breachOf(answer) !== null);
    }
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
}

/** The counts of one arm by key bucket; they only grow. */
class BucketTally {
  readonly #requests = new Uint32Array(BUCKETS);
  readonly #failures = new Uint32Array(BUCKETS);
  readonly #aboveMedian = new Uint32Array(BUCKETS);
  readonly #aboveP95 = new Uint32Array(BUCKETS);
  readonly #checked = new Uint32Array(BUCKETS);
  readonly #breaches = new Uint32Array(BUCKETS);

  addAnswer(bucket: number, isBreach: boolean): void {
    this.#checked[bucket] = (this.#checked[bucket] as number) + 1;
    if (isBreach) this.#breaches[bucket] = (this.#breaches[bucket] as number) + 1;
  }

  add(bucket: number, failed: boolean, slowness: Slowness): void {
    this.#requests[bucket] = (this.#requests[bucket] as number) + 1;
    if (failed) this.#failures[bucket] = (this.#failures[bucket] as number) + 1;
    if (slowness === 'fast') return;
    this.#aboveMedian[bucket] = (this.#aboveMedian[bucket] as number) + 1;
    if (slowness === 'above p95') this.#aboveP95[bucket] = (this.#aboveP95[bucket] as number) + 1;
  }

  /** Adds what another process has counted. */
  merge(counts: readonly BucketCount[]): void {
    for (const [bucket, requests, failures, ...rest] of counts) {
      const [aboveMedian = 0, aboveP95 = 0, checked = 0, breaches = 0] = rest;
      this.#requests[bucket] = (this.#requests[bucket] as number) + requests;
      this.#failures[bucket] = (this.#failures[bucket] as number) + failures;
      this.#aboveMedian[bucket] = (this.#aboveMedian[bucket] as number) + aboveMedian;
      this.#aboveP95[bucket] = (this.#aboveP95[bucket] as number) + aboveP95;
      this.#checked[bucket] = (this.#checked[bucket] as number) + checked;
      this.#breaches[bucket] = (this.#breaches[bucket] as number) + breaches;
    }
  }

  copyFrom(other: BucketTally): void {
    this.#requests.set(other.#requests);
    this.#failures.set(other.#failures);
    this.#aboveMedian.set(other.#aboveMedian);
    this.#aboveP95.set(other.#aboveP95);
    this.#checked.set(other.#checked);
    this.#breaches.set(other.#breaches);
  }

  /** What was counted after an earlier copy. */
  since(earlier: BucketTally): BucketCount[] {
    const counts: BucketCount[] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const grown = (now: Uint32Array, before: Uint32Array) =>
        (now[bucket] as number) - (before[bucket] as number);
      const requests = grown(this.#requests, earlier.#requests);
      const checked = grown(this.#checked, earlier.#checked);
      if (requests + checked === 0) continue;
      counts.push([
        bucket,
        requests,
        grown(this.#failures, earlier.#failures),
        grown(this.#aboveMedian, earlier.#aboveMedian),
        grown(this.#aboveP95, earlier.#aboveP95),
        checked,
        grown(this.#breaches, earlier.#breaches),
      ]);
    }
    return counts;
  }
}
