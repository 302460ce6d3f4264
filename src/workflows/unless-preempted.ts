import { ActivityFailure, CancellationScope, condition } from '@temporalio/workflow';

/**
 * Does some work until it ends, and returns what it gave, or what `failed` makes of the message of an activity that
 * failed for good in it. Null when something pre-empted it: pre-empted work is cancelled and never awaited, so a rollback
 * does not wait for what it replaces. Callers return this promise as it is: one more `await` around it would come a turn
 * later, and recorded histories would no longer replay.
 */
export async function unlessPreempted<Event>(
  work: () => Promise<Event>,
  preempted: () => boolean,
  failed: (message: string) => Event,
): Promise<Event | null> {
  const scope = new CancellationScope();
  const ended: { outcome: { event: Event } | { error: unknown } | null } = { outcome: null };
  scope.run(work).then(
    (event) => {
      ended.outcome = { event };
    },
    (error: unknown) => {
      ended.outcome = { error };
    },
  );
  await condition(() => ended.outcome !== null || preempted());
  if (ended.outcome === null) {
    scope.cancel();
    return null;
  }
  if ('event' in ended.outcome) return ended.outcome.event;
  const { error } = ended.outcome;
  if (!(error instanceof ActivityFailure)) throw error;
  return failed(error.cause?.message ?? error.message);
}
