import type { Arm } from '../../core/routing/routing';
import { LastFingerprints } from '../evidence/answer-tally';
import { EpochEvidence, type LateAnswer } from '../evidence/epoch-evidence';
import type { Observation } from '../evidence/evidence-cell';
import { type KeyCounts, keyHash, type OpeningUse } from '../evidence/key-statistics';
import { LegacyLatencies } from '../evidence/legacy-latencies';
import type { SeenCopy } from '../evidence/pair-tally';
import type { JudgedPair } from '../judge/judge-tally';
import type { CountsReport } from './process-messages';

/** Counts one route's draws and evidence in a process that serves, until the primary takes them over. */
export class RouteCounts implements KeyCounts {
  readonly #counted: () => void;
  readonly #latencies = new LegacyLatencies();
  readonly #fingerprints = new LastFingerprints();
  #evidence = new Map<number, EpochEvidence>();
  #keys: number[] = [];
  #openings = { keyed: 0, shared: 0 };
  #low = 0;
  #total = 0;
  #assignedBefore: Readonly<Record<Arm, number>> = { legacy: 0, candidate: 0 };

  /** `counted` is called after each count. */
  constructor(counted: () => void) {
    this.#counted = counted;
  }

  observe(key: string | null, position: number, opening: OpeningUse): void {
    this.#total += 1;
    if (position < 0.5) this.#low += 1;
    if (key !== null) this.#keys.push(keyHash(key));
    if (opening !== 'unused') this.#openings[opening] += 1;
    this.#counted();
  }

  /** All of the old salt was taken before the new one came, so there is nothing to forget. */
  restartSaltCheck(): void {}

  record(seen: Observation): void {
    this.#evidenceOf(seen.epoch).add(seen);
    this.#counted();
  }

  recordAnswer(late: LateAnswer): void {
    this.#evidenceOf(late.epoch).addAnswer(late);
    this.#counted();
  }

  recordCopy(seen: SeenCopy): void {
    this.#evidenceOf(seen.epoch).addCopy(seen);
    this.#counted();
  }

  recordJudged({ epoch, ...pair }: JudgedPair): void {
    this.#evidenceOf(epoch).addJudged(pair);
    this.#counted();
  }

  #evidenceOf(epoch: number): EpochEvidence {
    let evidence = this.#evidence.get(epoch);
    if (evidence === undefined) {
      // Which strata are pooled is decided where all processes are added up.
      evidence = new EpochEvidence(Number.POSITIVE_INFINITY, this.#latencies, this.#fingerprints);
      this.#evidence.set(epoch, evidence);
    }
    return evidence;
  }

  /** The draws of a new epoch are counted from 0. */
  beginEpoch(): void {
    this.#assignedBefore = { legacy: 0, candidate: 0 };
  }

  /** What was counted since the last time, null when nothing was; `assigned` are all draws of the epoch so far. */
  take(epoch: number, assigned: Readonly<Record<Arm, number>>): CountsReport | null {
    if (this.#total === 0 && this.#evidence.size === 0) return null;
    const counted: CountsReport = {
      evidence: [...this.#evidence].map(([of, evidence]) => evidence.addition(of)),
      draws: {
        epoch,
        assigned: {
          legacy: assigned.legacy - this.#assignedBefore.legacy,
          candidate: assigned.candidate - this.#assignedBefore.candidate,
        },
        keys: this.#keys,
        openings: this.#openings,
        low: this.#low,
        total: this.#total,
      },
    };
    this.#assignedBefore = assigned;
    this.#evidence = new Map();
    this.#keys = [];
    this.#openings = { keyed: 0, shared: 0 };
    this.#low = 0;
    this.#total = 0;
    return counted;
  }
}
