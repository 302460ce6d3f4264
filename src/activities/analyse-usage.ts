import { activityInfo, Context } from '@temporalio/activity';
import type { AnalyseUsageInput } from '../contract';
import type { UsageFindings } from '../core/assessment/usage-digest';
import type { Ports, UsageProgress } from '../ports';
import { asFailure } from './failures';
import { withHeartbeats } from './heartbeats';

const NOT_BEGUN: UsageProgress = {
  phase: 'opening',
  done: null,
  filesRead: 0,
  files: null,
  rows: 0,
  folder: null,
};

/**
 * Reads the plan's usage logs on this machine and judges what they show. Heartbeats carry the progress, which the
 * Temporal UI shows, and where a later attempt on this machine goes on: no file is read twice.
 */
export function createAnalyseUsage(ports: Ports): (input: AnalyseUsageInput) => Promise<UsageFindings> {
  return async ({ route, plan, effort = null }) => {
    const context = Context.current();
    const earlier = (activityInfo().heartbeatDetails as UsageProgress | undefined) ?? null;
    let progress = earlier ?? NOT_BEGUN;
    const hooks = {
      signal: context.cancellationSignal,
      earlier,
      progress: (reached: UsageProgress) => {
        progress = reached;
        context.heartbeat(progress);
      },
    };
    try {
      return await withHeartbeats(
        () => ports.usage.analyse({ route, plan, effort }, hooks),
        () => progress,
      );
    } catch (error) {
      throw asFailure(error);
    }
  };
}
