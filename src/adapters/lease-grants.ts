import { Context } from '@temporalio/activity';
import type { LeaseGrantPort } from '../ports';

/** `PENDING_ACTIVITY_STATE_CANCEL_REQUESTED` of temporal.api.enums.v1. */
const CANCEL_REQUESTED = 3;
const WORKFLOW_TASK_ATTEMPTS_MOST = 2;

/**
 * Asks Temporal about the very run that scheduled this activity. Where anything cannot be known, no lease is granted, and
 * the gateways fall back to legacy by themselves.
 */
export function createLeaseGrants(): LeaseGrantPort {
  return {
    async mayGrantLeases(leaseMs) {
      const { info, client } = Context.current();
      const { workflowExecution } = info;
      if (workflowExecution === undefined) return refused('it belongs to no workflow');
      let described: Description;
      try {
        described = await client.workflow
          .getHandle(workflowExecution.workflowId, workflowExecution.runId)
          .describe();
      } catch (error) {
        return refused(
          `Temporal does not answer (${error instanceof Error ? error.message : String(error)})`,
        );
      }
      return judgeGrant(described, { activityId: info.activityId, attempt: info.attempt }, leaseMs);
    },
  };
}

/** The part of a workflow description by which a grant is judged. */
interface Description {
  readonly status: { readonly name: string };
  readonly raw: {
    readonly pendingActivities?:
      | readonly {
          readonly activityId?: string | null;
          readonly attempt?: number | null;
          readonly state?: unknown;
        }[]
      | null;
    readonly pendingWorkflowTask?: {
      readonly attempt?: number | null;
      readonly originalScheduledTime?: { readonly seconds?: unknown; readonly nanos?: number | null } | null;
    } | null;
  };
}

function judgeGrant(
  { status, raw }: Description,
  activity: { readonly activityId: string; readonly attempt: number },
  leaseMs: number,
): { granted: boolean; reason: string } {
  if (status.name !== 'RUNNING') return refused(`the run is ${status.name.toLowerCase()}`);
  const pending = raw.pendingActivities?.find(({ activityId }) => activityId === activity.activityId);
  if (pending === undefined) return refused('the activity is no longer pending');
  if ((pending.attempt ?? 1) !== activity.attempt)
    return refused(`attempt ${pending.attempt} has replaced it`);
  if (pending.state === CANCEL_REQUESTED) return refused('it was asked to cancel');
  const task = raw.pendingWorkflowTask;
  if (task == null) return { granted: true, reason: 'open, pending, not cancelled' };
  if ((task.attempt ?? 1) > WORKFLOW_TASK_ATTEMPTS_MOST) {
    return refused(`the workflow task is at attempt ${task.attempt}: look at the worker's log`);
  }
  const scheduledMs = Number(task.originalScheduledTime?.seconds ?? 0) * 1_000;
  if (scheduledMs > 0 && Date.now() - scheduledMs > leaseMs) {
    return refused('a workflow task has waited for longer than one lease');
  }
  return { granted: true, reason: 'open, pending, not cancelled' };
}

function refused(reason: string): { granted: boolean; reason: string } {
  return { granted: false, reason };
}
