import type { History } from '@temporalio/common/lib/proto-utils';
import { Worker } from '@temporalio/worker';
import { firstLineOf } from './running-workers';
import { installRuntime } from './temporal-runtime';
import { builtWorkflows } from './workflow-bundle';

/** Why the workflows of this installation do not replay a history, in a line; null where they do. */
export async function replayProblem(history: History, workflowId: string): Promise<string | null> {
  await installRuntime({ metrics: false });
  try {
    await Worker.runReplayHistory({ workflowBundle: builtWorkflows }, history, workflowId);
    return null;
  } catch (error) {
    return firstLineOf(error);
  }
}
