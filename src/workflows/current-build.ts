import {
  continueAsNew,
  defineSignal,
  makeContinueAsNewFunc,
  setHandler,
  type Workflow,
  workflowInfo,
} from '@temporalio/workflow';
import { MOVE_DESCRIPTION, MOVE_TO_CURRENT_BUILD } from '../contract';

/** Takes the signal by which `cutover migrate-workers` asks a run to move; `asked` must not throw. */
export function handleMove(asked: (payload: unknown) => void): void {
  setHandler(defineSignal<[payload: unknown]>(MOVE_TO_CURRENT_BUILD), asked, {
    description: MOVE_DESCRIPTION,
  });
}

/**
 * Continues as new. Workers with a build pin their runs to it; the next run begins on the deployment's current build all
 * the same. Never in the middle of a run: another build may decide otherwise on what a run has recorded.
 */
export async function continueOnCurrentBuild<F extends Workflow>(...args: Parameters<F>): Promise<never> {
  // A worker without a deployment has a version too, whose name is empty; Temporal refuses its task with a behaviour.
  if (!workflowInfo().currentDeploymentVersion?.deploymentName) return continueAsNew<F>(...args);
  // Servers before upgrade-on-continue-as-new hand a pinned run's build to the next: the last task of this run is not
  // pinned. The SDK (1.24.0) has no public way to say so for a single task.
  activator().versioningBehavior = 'AUTO_UPGRADE';
  return makeContinueAsNewFunc<F>({ initialVersioningBehavior: 'AUTO_UPGRADE' })(...args);
}

function activator(): { versioningBehavior?: 'PINNED' | 'AUTO_UPGRADE' } {
  return (globalThis as unknown as { __TEMPORAL_ACTIVATOR__: ReturnType<typeof activator> })
    .__TEMPORAL_ACTIVATOR__;
}
