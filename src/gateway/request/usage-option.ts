import type { Attempt } from '../upstream/attempt';

/**
 * Whether an answer refuses the usage option that the gateway added in the caller's place. Whether that was the
 * reason shows when the request is made again without it.
 */
export function refusesUsageOption(attempt: Attempt): boolean {
  if (!attempt.options.removesUsage || attempt.failure?.kind !== 'status_4xx') return false;
  return /stream_options|include_usage/.test(attempt.heldBody.toString('latin1'));
}
