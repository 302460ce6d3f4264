import { SwapList, type SwapListEntry } from '../sockets/swap-list';

/** Something that has to end by a time which may be moved at any moment by assignment. */
export interface DeadlineEntry extends SwapListEntry {
  /** Monotonic milliseconds; Infinity for none. */
  deadlineMs: number;
  expire(): void;
  /** What `expire` threw: it has to give up its place all the same. */
  broke(error: unknown): void;
}

const SWEEP_MS = 25;

/**
 * One timer for all deadlines: a request adds itself and later moves its deadline by assignment, which
 * costs nothing. A deadline is noticed at most 25 ms late.
 */
export class Deadlines {
  readonly #entries = new SwapList<DeadlineEntry>();
  readonly #timer: NodeJS.Timeout;

  constructor(now: () => number) {
    this.#timer = setInterval(() => {
      const nowMs = now();
      this.#entries.each((entry) => {
        if (entry.deadlineMs > nowMs) return;
        try {
          entry.expire();
        } catch (error) {
          entry.broke(error);
        }
      });
    }, SWEEP_MS);
    this.#timer.unref();
  }

  add(entry: DeadlineEntry): void {
    this.#entries.add(entry);
  }

  remove(entry: DeadlineEntry): void {
    this.#entries.remove(entry);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
