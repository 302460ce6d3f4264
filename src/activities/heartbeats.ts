import type { Context } from '@temporalio/activity';
import type { ClockPort } from '../ports';

/** Well within any heartbeat timeout that a plan may set. */
const EVERY_MS = 500;

/** Shows life while something takes its time; `details` are what a later attempt is given. */
export async function withHeartbeats<T>(
  context: Context,
  clock: ClockPort,
  details: () => unknown,
  work: () => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const signal = AbortSignal.any([context.cancellationSignal, done.signal]);
  const beat = async (): Promise<void> => {
    while (!signal.aborted) {
      context.heartbeat(details());
      await clock.sleep(EVERY_MS, signal);
    }
  };
  const beating = beat();
  try {
    return await work();
  } finally {
    done.abort();
    await beating;
  }
}
