import type { EvidenceReading } from '../../core/evidence/evidence';
import { GAMMA } from '../../core/statistics/histogram';
import type { JudgedPair } from '../judge/judge-tally';
import type { ReportedOutcome } from '../outcomes/outcome';
import { LastFingerprints } from './answer-tally';
import { EpochEvidence, type EvidenceAddition, type LateAnswer } from './epoch-evidence';
import type { Observation } from './evidence-cell';
import type { SeenCopy } from './pair-tally';

const EPOCHS_KEPT = 4;
const CURSORS_KEPT = 32;

/** Thrown by `read` for a cursor of this incarnation that is forgotten or was never given out. */
export class UnknownCursor extends Error {
  override readonly name = 'UnknownCursor';
  constructor(readonly cursor: string) {
    super(
      `expected one of the last ${CURSORS_KEPT} cursors of this gateway and epoch, got "${cursor}"; read without \`since\``,
    );
  }
}

/**
 * The evidence of one route in this gateway. A reader passes the cursor of its last reading and gets what
 * came after it; the same cursor may be read again, so a lost answer loses nothing.
 */
export class EvidenceStore {
  readonly #incarnation: string;
  readonly #epochs = new Map<number, EpochEvidence>();
  readonly #fingerprints = new LastFingerprints();
  readonly #snapshots = new Map<string, EpochEvidence>();
  #sequence = 0;

  constructor(incarnation: string) {
    this.#incarnation = incarnation;
  }

  record(seen: Observation): void {
    const epoch = this.#epochs.get(seen.epoch) ?? this.#begin(seen.epoch);
    epoch?.add(seen);
  }

  /** Counts what an application said of an answer; false when its epoch is too old, or it uses too many names. */
  recordOutcome(outcome: ReportedOutcome): boolean {
    const epoch = this.#epochs.get(outcome.epoch) ?? this.#begin(outcome.epoch);
    return epoch?.addOutcome(outcome) ?? false;
  }

  recordAnswer(late: LateAnswer): void {
    (this.#epochs.get(late.epoch) ?? this.#begin(late.epoch))?.addAnswer(late);
  }

  recordCopy(seen: SeenCopy): void {
    (this.#epochs.get(seen.epoch) ?? this.#begin(seen.epoch))?.addCopy(seen);
  }

  recordJudged({ epoch, ...pair }: JudgedPair): void {
    (this.#epochs.get(epoch) ?? this.#begin(epoch))?.addJudged(pair);
  }

  /** Adds what another process of this gateway has counted. */
  merge(addition: EvidenceAddition): void {
    const { epoch } = addition.evidence;
    (this.#epochs.get(epoch) ?? this.#begin(epoch))?.merge(addition);
  }

  /** Throws `UnknownCursor`. A cursor of another incarnation is answered with all that this one has seen. */
  read(epoch: number, since?: string): EvidenceReading {
    const earlier =
      since !== undefined && this.#isOwn(since) ? this.#snapshot(since, epoch) : new EpochEvidence();
    const counted = this.#epochs.get(epoch) ?? new EpochEvidence();
    this.#sequence += 1;
    const cursor = `${this.#incarnation}:${epoch}:${this.#sequence}`;
    this.#keep(cursor, counted.copy());
    return {
      incarnation: this.#incarnation,
      cursor,
      evidence: counted.since(earlier, epoch),
      gamma: GAMMA,
      candidateFailureStreak: counted.candidateFailureStreak,
    };
  }

  /** All of an epoch, for whoever only looks: gives out no cursor, so that no reader's cursor is forgotten for it. */
  peek(epoch: number): EvidenceReading {
    const counted = this.#epochs.get(epoch) ?? new EpochEvidence();
    return {
      incarnation: this.#incarnation,
      cursor: '',
      evidence: counted.since(new EpochEvidence(), epoch),
    };
  }

  #begin(epoch: number): EpochEvidence | null {
    if (this.#epochs.size >= EPOCHS_KEPT) {
      const oldest = Math.min(...this.#epochs.keys());
      if (epoch < oldest) return null;
      this.#epochs.delete(oldest);
    }
    const begun = new EpochEvidence(undefined, undefined, this.#fingerprints);
    this.#epochs.set(epoch, begun);
    return begun;
  }

  #isOwn(cursor: string): boolean {
    return cursor.startsWith(`${this.#incarnation}:`);
  }

  #snapshot(cursor: string, epoch: number): EpochEvidence {
    const snapshot = this.#snapshots.get(cursor);
    if (snapshot === undefined || !cursor.startsWith(`${this.#incarnation}:${epoch}:`)) {
      throw new UnknownCursor(cursor);
    }
    this.#keep(cursor, snapshot);
    return snapshot;
  }

  #keep(cursor: string, snapshot: EpochEvidence): void {
    this.#snapshots.delete(cursor);
    this.#snapshots.set(cursor, snapshot);
    if (this.#snapshots.size <= CURSORS_KEPT) return;
    const leastUsed = this.#snapshots.keys().next().value;
    if (leastUsed !== undefined) this.#snapshots.delete(leastUsed);
  }
}
