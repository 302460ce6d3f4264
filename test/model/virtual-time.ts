/** Of one moment: more of them are a loop in which no time passes. */
const TURNS_MOST = 1_000;
const START_MS = Date.UTC(2026, 0, 5, 9);

/**
 * The time of a modelled world. Every timer of the program under test runs on it, and it moves only once nothing is
 * left to do at the moment, so that an order of events is the same each time it is run. Between `start` and `stop` no
 * real time passes.
 */
export class VirtualTime {
  start(): void {
    jest.useFakeTimers({
      now: START_MS,
      doNotFake: ['setImmediate', 'clearImmediate', 'nextTick', 'queueMicrotask', 'hrtime', 'performance'],
    });
  }

  stop(): void {
    jest.clearAllTimers();
    jest.useRealTimers();
  }

  get nowMs(): number {
    return Date.now();
  }

  /** Milliseconds since the world began. */
  get elapsedMs(): number {
    return Date.now() - START_MS;
  }

  /** Resolves after the time. */
  wait(durationMs: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, durationMs));
  }

  /** Lets everything happen that happens within a time, in its order, unless `isOver` says that it is enough. */
  async pass(durationMs: number, isOver: () => boolean): Promise<void> {
    let over = false;
    setTimeout(() => {
      over = true;
    }, durationMs);
    await settled();
    let [instantMs, turns] = [this.nowMs, 0];
    while (!over && !isOver()) {
      jest.advanceTimersToNextTimer();
      await settled();
      turns = this.nowMs === instantMs ? turns + 1 : 0;
      instantMs = this.nowMs;
      if (turns > TURNS_MOST) throw new Error(`time stands still: ${turns} turns at one moment`);
    }
  }
}

/** Resolves when every promise that could go on has gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
