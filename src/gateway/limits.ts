import type { Side } from '../core/routing';
import type { Attempt } from './attempt';
import type { AttemptLimits } from './attempt-options';
import type { Call } from './call';

/**
 * How long an attempt may take. The candidate gets at most half of what the caller itself waits, so that
 * legacy still has the other half. Legacy, behind which nobody stands, is only stopped when it is hopeless.
 */
export function attemptLimits(call: Call, side: Side): AttemptLimits {
  const { timeouts } = call.route.providers[side].configuration;
  if (side === 'legacy') {
    return {
      answerMs: timeouts.plainTotal,
      firstContentMs: timeouts.plainTotal,
      idleMs: timeouts.streamIdle,
    };
  }
  const halfMs = (call.head.callerTimeoutMs ?? Number.POSITIVE_INFINITY) / 2;
  return {
    answerMs: Math.min(timeouts.plainTotal, halfMs),
    firstContentMs: Math.min(timeouts.firstContent, halfMs),
    idleMs: timeouts.streamIdle,
  };
}

/** Whether an answer of either arm came later than the candidate's deadlines allow: both are judged alike. */
export function isLate(call: Call, attempt: Attempt): boolean {
  const limits = attemptLimits(call, 'candidate');
  if (attempt.scanner !== null) {
    const { firstContentMs } = attempt.scanner;
    return firstContentMs !== null && firstContentMs - attempt.startedMs > limits.firstContentMs;
  }
  return attempt.endedMs - attempt.startedMs > limits.answerMs;
}
