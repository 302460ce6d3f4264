import { HOUR_MS } from '../../core/text/duration';
import { keyHash } from '../evidence/key-statistics';

const SEGMENT_MS = 12 * HOUR_MS;
/** Each opening above a thousandth of the traffic is among this many (Misra and Gries, 1982). */
const CAPACITY = 1_024;
/** Part of the requests above which an opening is shared, and below which it no longer is. */
const SHARED_FROM = 0.01;
const SHARED_UNTIL = 0.005;
/** So often one conversation does not begin, with all repetitions of its first request. */
const BEGINNINGS_LEAST = 10;

interface OpeningCount {
  /** Counted requests, less what the sketch takes away. */
  requests: number;
  /** The shortest request that was seen, in messages, and how often one of this length came: conversations that began. */
  shortest: number;
  beginnings: number;
  isShared: boolean;
}

/**
 * Which beginnings of conversations many callers share, by the traffic of the last 12 to 24 hours in one process. Such
 * a beginning says nothing of who speaks, so requests with it are drawn one by one. A single long conversation is more
 * than a part of little traffic too: it begins once. Only hashes are kept, of at most 1,024 beginnings.
 */
export class SharedOpenings {
  readonly #now: () => number;
  #counts = new Map<number, OpeningCount>();
  #requests = 0;
  #sharedBefore: ReadonlySet<number> = new Set();
  #startedMs: number;

  /** `now` is monotonic, milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#startedMs = now();
  }

  /** Counts a request of the route, whether it has a key or not. */
  countRequest(): void {
    this.#rotate();
    this.#requests += 1;
  }

  /** Counts the opening of a request that has been counted, and says whether many callers share it. */
  isShared(key: string, messages: number): boolean {
    const hash = keyHash(key);
    const counted = this.#counts.get(hash);
    if (counted === undefined) {
      if (this.#counts.size < CAPACITY) {
        this.#counts.set(hash, { requests: 1, shortest: messages, beginnings: 1, isShared: false });
      } else this.#decrementAll();
      return this.#sharedBefore.has(hash);
    }
    counted.requests += 1;
    if (messages < counted.shortest) {
      counted.shortest = messages;
      counted.beginnings = 0;
    }
    if (messages === counted.shortest) counted.beginnings += 1;
    counted.isShared ||=
      counted.beginnings >= BEGINNINGS_LEAST && counted.requests > SHARED_FROM * this.#requests;
    return counted.isShared || this.#sharedBefore.has(hash);
  }

  /** Takes away as many requests as were counted since, so that each request costs the same in the end. */
  #decrementAll(): void {
    for (const [hash, counted] of this.#counts) {
      if (counted.requests === 1) this.#counts.delete(hash);
      else counted.requests -= 1;
    }
  }

  #rotate(): void {
    if (this.#now() - this.#startedMs < SEGMENT_MS) return;
    const least = SHARED_UNTIL * this.#requests;
    this.#sharedBefore = new Set(
      [...this.#counts].flatMap(([hash, { isShared, requests, beginnings }]) =>
        (isShared || this.#sharedBefore.has(hash)) && beginnings >= BEGINNINGS_LEAST && requests >= least
          ? [hash]
          : [],
      ),
    );
    this.#counts = new Map();
    this.#requests = 0;
    this.#startedMs = this.#now();
  }
}
