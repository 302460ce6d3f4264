import type { KeyStatistics, OpeningCounts } from '../../core/routing/routing';
import { HOUR_MS } from '../../core/text/duration';

const CAPACITY = 10_000;
const SEGMENT_MS = 12 * HOUR_MS;

/** What a conversation's beginning was for a draw: its key, shared by too many for that, or of no use. */
export type OpeningUse = 'keyed' | 'shared' | 'unused';

/** Who counts the keys of the traffic. */
export interface KeyCounts {
  /** One request: its key (null when it has none), where its salted hash fell, and whether its opening is the key. */
  observe(key: string | null, position: number, opening: OpeningUse): void;
  /** Starts the A/A check anew: another salt splits otherwise. */
  restartSaltCheck(): void;
}

/**
 * Counts assignment keys over the last 12 to 24 hours without keeping them: only a 53-bit hash of each.
 * Distinct keys are exact up to 10,000 and stay at 10,000 above; the heaviest key is found by
 * Misra-Gries counters, which miss at most 0.01% of the traffic.
 */
export class KeyObserver implements KeyCounts {
  readonly #now: () => number;
  #current = new Segment();
  #previous = new Segment();
  #segmentStartMs: number;
  #aaLow = 0;
  #aaTotal = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#segmentStartMs = now();
  }

  observe(key: string | null, position: number, opening: OpeningUse): void {
    this.#aaTotal += 1;
    if (position < 0.5) this.#aaLow += 1;
    if (key === null && opening === 'unused') return;
    this.#rotate();
    if (opening === 'keyed') this.#current.keyedOpenings += 1;
    if (opening === 'shared') this.#current.sharedOpenings += 1;
    if (key !== null) this.#current.add(keyHash(key));
  }

  /** Adds what another process has counted of openings. */
  addOpenings({ keyed, shared }: OpeningCounts): void {
    this.#rotate();
    this.#current.keyedOpenings += keyed;
    this.#current.sharedOpenings += shared;
  }

  /** Adds the hashed keys that another process has counted. */
  addKeys(hashes: readonly number[]): void {
    this.#rotate();
    for (const hash of hashes) this.#current.add(hash);
  }

  /** Adds what another process has counted for the A/A check of the current salt. */
  addSaltCheck(low: number, total: number): void {
    this.#aaLow += low;
    this.#aaTotal += total;
  }

  restartSaltCheck(): void {
    this.#aaLow = 0;
    this.#aaTotal = 0;
  }

  read(): KeyStatistics {
    this.#rotate();
    const keyedRequests = this.#current.requests + this.#previous.requests;
    let heaviest = 0;
    let distinct = this.#previous.counts.size;
    for (const [hash, count] of this.#current.counts) {
      const before = this.#previous.counts.get(hash);
      if (before === undefined) distinct += 1;
      heaviest = Math.max(heaviest, count + (before ?? 0));
    }
    for (const count of this.#previous.counts.values()) heaviest = Math.max(heaviest, count);
    const overflowed = this.#current.overflowed || this.#previous.overflowed;
    return {
      distinct: overflowed ? CAPACITY : Math.min(CAPACITY, distinct),
      heaviestShare: keyedRequests === 0 ? 0 : heaviest / keyedRequests,
      keyedRequests,
      openings: {
        keyed: this.#current.keyedOpenings + this.#previous.keyedOpenings,
        shared: this.#current.sharedOpenings + this.#previous.sharedOpenings,
      },
      aaLow: this.#aaLow,
      aaTotal: this.#aaTotal,
    };
  }

  #rotate(): void {
    const passedMs = this.#now() - this.#segmentStartMs;
    if (passedMs < SEGMENT_MS) return;
    this.#previous = passedMs < 2 * SEGMENT_MS ? this.#current : new Segment();
    this.#current = new Segment();
    this.#segmentStartMs += Math.floor(passedMs / SEGMENT_MS) * SEGMENT_MS;
  }
}

class Segment {
  readonly counts = new Map<number, number>();
  requests = 0;
  keyedOpenings = 0;
  sharedOpenings = 0;
  overflowed = false;

  add(hash: number): void {
    this.requests += 1;
    const count = this.counts.get(hash);
    if (count !== undefined) this.counts.set(hash, count + 1);
    else if (this.counts.size < CAPACITY) this.counts.set(hash, 1);
    else this.#decrementAll();
  }

  /** Each call takes 10,000 counted requests away, so that its cost per request stays constant. */
  #decrementAll(): void {
    this.overflowed = true;
    for (const [hash, count] of this.counts) {
      if (count === 1) this.counts.delete(hash);
      else this.counts.set(hash, count - 1);
    }
  }
}

/** A 53-bit hash for tables in memory (cyrb53); not for assignment, and not against an adversary. */
export function keyHash(key: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < key.length; index += 1) {
    const code = key.charCodeAt(index);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
