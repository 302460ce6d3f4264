import { Context } from '@temporalio/activity';
import type { EffectActivities } from '../contract';
import type { Ports } from '../ports';
import { asFailure } from './failures';
import { withHeartbeats } from './heartbeats';

/** Effects and external gates: each asks its target and says what came of it. */
export function createEffectActivities({ effects }: Ports): EffectActivities {
  return {
    captureEffect: ({ effect, context }) =>
      alive(async (signal) => ({ captured: await effects.capture(effect, context, signal) })),
    applyEffect: ({ effect, key, context }) =>
      alive(async (signal) => ({ note: await effects.apply(effect, key, context, signal) })),
    restoreEffect: ({ effect, captured, key, context }) =>
      alive(async (signal) => ({ note: await effects.restore(effect, captured, key, context, signal) })),
    confirm: (question) => alive((signal) => effects.confirm(question, signal)),
  };
}

/** Shows its life while it waits for a target, and hands on the cancellation. */
async function alive<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const context = Context.current();
  try {
    return await withHeartbeats(() => work(context.cancellationSignal));
  } catch (error) {
    // What a target makes of an aborted signal is no failure of its own.
    if (context.cancellationSignal.aborted) await context.cancelled;
    throw asFailure(error);
  }
}
