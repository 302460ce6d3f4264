import { setTimeout as delay } from 'node:timers/promises';
import type { ClockPort } from '../ports';

/** The machine's monotonic clock. */
export const systemClock: ClockPort = {
  now: () => performance.now(),
  sleep: async (durationMs, signal) => {
    try {
      await delay(durationMs, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  },
};
