import { hash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { ReportedOutcome } from './outcome';

/** As many as the evidence has. */
const EPOCHS_KEPT = 4;
/** Outcomes of one epoch; further ones are not counted, in both arms alike. */
const MOST = 2 ** 20;
/** Bits of an epoch's filter, 2 MiB, and how many of them one outcome sets: at most 1 in 1,700 is taken for another. */
const BITS = 2 ** 24;
const BITS_EACH = 8;
const ENTRY_BYTES = 8;

/** What `remember` answers: `seen` was counted before, or looks like one that was. */
export type RememberReply = 'new' | 'seen' | 'too late' | 'full';

export interface CountedOutcomesOptions {
  /** Files of this name, a dot and an epoch. */
  readonly path: string;
  readonly warn: (message: string) => void;
}

/**
 * Which outcomes of which requests were counted: a Bloom filter for each of the last epochs, which never forgets and so
 * never lets one be counted twice. What it holds is written to a file before it counts and read back at a start; a
 * disk that refuses counts nothing.
 */
export class CountedOutcomes {
  readonly #options: CountedOutcomesOptions;
  readonly #epochs = new Map<number, EpochFilter>();
  #isWarned = false;

  constructor(options: CountedOutcomesOptions) {
    this.#options = options;
    const epochs = this.#epochsOnDisk().sort((a, b) => b - a);
    for (const epoch of epochs.slice(0, EPOCHS_KEPT)) this.#epochs.set(epoch, this.#load(epoch));
    for (const epoch of epochs.slice(EPOCHS_KEPT)) this.#forget(epoch);
  }

  /** Takes outcomes of requests; in their order, what is to become of each. All fail where the disk refuses. */
  remember(outcomes: readonly ReportedOutcome[]): RememberReply[] {
    const written = new Map<number, Buffer[]>();
    const remembered = outcomes.map(({ epoch, request, name }): RememberReply => {
      const filter = this.#epochs.get(epoch) ?? this.#begin(epoch);
      if (filter === null) return 'too late';
      const digest = hash('sha256', `${request}\n${name}`, 'buffer').subarray(0, ENTRY_BYTES);
      if (filter.has(digest)) return 'seen';
      if (filter.size >= MOST) return 'full';
      filter.add(digest);
      const entries = written.get(epoch);
      if (entries === undefined) written.set(epoch, [digest]);
      else entries.push(digest);
      return 'new';
    });
    for (const [epoch, entries] of written) {
      const filter = this.#epochs.get(epoch);
      if (filter === undefined || this.#write(epoch, filter, Buffer.concat(entries))) continue;
      outcomes.forEach((outcome, index) => {
        if (outcome.epoch === epoch && remembered[index] === 'new') remembered[index] = 'full';
      });
    }
    return remembered;
  }

  #begin(epoch: number): EpochFilter | null {
    if (this.#epochs.size >= EPOCHS_KEPT) {
      const oldest = Math.min(...this.#epochs.keys());
      if (epoch < oldest) return null;
      this.#epochs.delete(oldest);
      this.#forget(oldest);
    }
    const begun = new EpochFilter();
    this.#epochs.set(epoch, begun);
    return begun;
  }

  #fileOf(epoch: number): string {
    return `${this.#options.path}.${epoch}`;
  }

  #epochsOnDisk(): number[] {
    const { path } = this.#options;
    try {
      return readdirSync(dirname(path)).flatMap((name) => {
        const epoch = /\.(\d{1,15})$/.exec(name)?.[1];
        return epoch !== undefined && join(dirname(path), name) === this.#fileOf(Number(epoch))
          ? [Number(epoch)]
          : [];
      });
    } catch {
      return [];
    }
  }

  #load(epoch: number): EpochFilter {
    const filter = new EpochFilter();
    const bytes = readFileSync(this.#fileOf(epoch));
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      filter.add(bytes.subarray(at, at + ENTRY_BYTES));
    }
    filter.writtenBytes = filter.size * ENTRY_BYTES;
    filter.mayEndInPart = bytes.length > filter.writtenBytes;
    return filter;
  }

  #write(epoch: number, filter: EpochFilter, entries: Buffer): boolean {
    const file = this.#fileOf(epoch);
    try {
      mkdirSync(dirname(file), { recursive: true });
      if (filter.mayEndInPart && existsSync(file)) truncateSync(file, filter.writtenBytes);
      filter.mayEndInPart = true;
      appendFileSync(file, entries);
      filter.mayEndInPart = false;
      filter.writtenBytes += entries.length;
      this.#isWarned = false;
      return true;
    } catch (error) {
      if (!this.#isWarned) {
        const { message } = error as Error;
        this.#options.warn(`Outcomes are not counted, because they could not be saved: ${message}`);
      }
      this.#isWarned = true;
      return false;
    }
  }

  #forget(epoch: number): void {
    try {
      unlinkSync(this.#fileOf(epoch));
    } catch {
      // It was never written.
    }
  }
}

class EpochFilter {
  readonly #bits = new Uint32Array(BITS / 32);
  size = 0;
  /** Whole entries in the file. */
  writtenBytes = 0;
  /** An entry may have been cut short behind them. */
  mayEndInPart = false;

  has(digest: Buffer): boolean {
    const [at, by] = [digest.readUInt32LE(0), digest.readUInt32LE(4) | 1];
    for (let turn = 0; turn < BITS_EACH; turn += 1) {
      const bit = (at + Math.imul(turn, by)) & (BITS - 1);
      if (((this.#bits[bit >>> 5] as number) & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }

  add(digest: Buffer): void {
    const [at, by] = [digest.readUInt32LE(0), digest.readUInt32LE(4) | 1];
    for (let turn = 0; turn < BITS_EACH; turn += 1) {
      const bit = (at + Math.imul(turn, by)) & (BITS - 1);
      this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] as number) | (1 << (bit & 31));
    }
    this.size += 1;
  }
}
