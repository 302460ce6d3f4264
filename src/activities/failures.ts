import { ApplicationFailure } from '@temporalio/activity';
import { FAILURES } from '../contract';
import { InvalidDocument } from '../core/configuration/schema-parts';
import { EffectProblem } from '../core/effects/effect-problem';

/** Classified once: a lost standing is retried at once, because a new attempt describes itself anew. */
export function noStanding(reason: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURES.noStanding,
    message: `this attempt may not grant leases: ${reason}`,
    category: 'BENIGN',
  });
}

/**
 * What an activity throws for a problem of the configuration: retried, because a person mends the file while
 * the migration waits. Causes, headers and addresses stay out of history.
 */
export function asFailure(error: unknown): unknown {
  if (error instanceof InvalidDocument || (error instanceof Error && error.name === 'UnresolvedSecret')) {
    return ApplicationFailure.create({ type: FAILURES.configuration, message: error.message });
  }
  if (error instanceof EffectProblem) {
    const { message, retryable, retryAfterMs } = error;
    return ApplicationFailure.create({
      type: retryable ? FAILURES.effectUnavailable : FAILURES.effectRefused,
      message,
      nonRetryable: !retryable,
      ...(retryAfterMs === null ? {} : { nextRetryDelay: retryAfterMs }),
    });
  }
  return error;
}
