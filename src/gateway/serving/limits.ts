import type { Arm } from '../../core/routing/routing';
import type { Attempt } from '../upstream/attempt';
import type { AttemptLimits } from '../upstream/attempt-options';
import type { Call } from './call/call';

/**
 * How long an attempt may take. The deadlines of the candidate are its own: what a caller waits says nothing
 * about a provider. Legacy, behind which nobody stands, is only stopped when it is hopeless.
 */
export function attemptLimits(call: Call, provider: Arm): AttemptLimits {
  const { timeouts } = call.route.providers[provider].configuration;
  return {
    answerMs: timeouts.plainTotal,
    firstContentMs: provider === 'legacy' ? timeouts.plainTotal : timeouts.firstContent,
    idleMs: timeouts.streamIdle,
    patienceMs: Number.POSITIVE_INFINITY,
  };
}

/**
 * Whether an attempt of either arm had nothing to pass on within the candidate's deadlines: both are judged
 * alike, also where the caller left later than that.
 */
export function isLate(call: Call, { scanner, options, startedMs, endedMs }: Attempt): boolean {
  const { answerMs, firstContentMs } = attemptLimits(call, 'candidate');
  if (scanner === null && !options.streams) return endedMs - startedMs > answerMs;
  return (scanner?.firstContentMs ?? endedMs) - startedMs > firstContentMs;
}
