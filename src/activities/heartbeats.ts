import { Context } from '@temporalio/activity';

/** Well within any heartbeat timeout that a plan may set; the SDK sends fewer of them. */
const EVERY_MS = 500;

/**
 * Shows life at an interval, however long a step of the work takes: what hangs has a timeout of its own, and the
 * workflow's deadlines act meanwhile. A cancellation arrives with the answer to a heartbeat. `details` are what a later
 * attempt is given.
 */
export async function withHeartbeats<T>(
  work: () => Promise<T>,
  details: () => unknown = nothing,
): Promise<T> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(details()), EVERY_MS).unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

function nothing(): undefined {
  return undefined;
}
