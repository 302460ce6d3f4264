import { ActivityFailure, log, proxyActivities } from '@temporalio/workflow';
import { EFFECT_TASK_QUEUE, type MigrationResult, type ReportActivities } from '../contract';

/** Has the report of a migration written that is over; what it came to does not depend on a folder that is full. */
export async function requestReport({ outcome, reason }: MigrationResult): Promise<void> {
  const { writeReport: run } = proxyActivities<ReportActivities>({
    taskQueue: EFFECT_TASK_QUEUE,
    scheduleToCloseTimeout: '1 min',
    startToCloseTimeout: '30s',
    retry: { maximumAttempts: 3 },
    summary: 'Write the report',
  });
  try {
    await run({ outcome, reason, checkpoints: null });
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    log.warn('no report was written', { message: error.cause?.message ?? error.message });
  }
}
