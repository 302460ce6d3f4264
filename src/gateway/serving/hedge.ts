import type { RequestFacts } from '../request/request-facts';
import type { Call } from './call/call';

/**
 * A caller that says how long it waits (`X-Stainless-Timeout`) is answered by legacy as well where the candidate
 * takes a good part of that time. The candidate is asked on, so that what it does is counted as if it had been
 * alone: its answer is given if it is the first, else only read.
 */

/** The part of a caller's time after which legacy is asked as well; legacy has the other three quarters. */
const CANDIDATES_PART = 0.25;

/** How long the candidate is asked alone, milliseconds; without end where nothing is known or it must stay alone. */
export function patienceMs(call: Call, facts: RequestFacts): number {
  if (facts.usesHostedTools || facts.store === true) return Number.POSITIVE_INFINITY;
  return Math.max(0, callerLeavesAt(call) - call.services.now()) * CANDIDATES_PART;
}

/** When the caller has waited as long as it said; monotonic milliseconds, Infinity where it did not say. */
export function callerLeavesAt({ startedMs, head }: Call): number {
  return startedMs + (head.callerTimeoutMs ?? Number.POSITIVE_INFINITY);
}

/** Whether legacy may be asked as well: it has room, and not too many were asked in vain. */
export function mayHedge({ route }: Call): boolean {
  const { legacy } = route.providers;
  return route.hedges.isLeft && legacy.inFlight < legacy.configuration.maxConcurrent;
}
