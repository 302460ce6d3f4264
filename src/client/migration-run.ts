import type { WorkflowExecutionInfo } from '@temporalio/client';
import type { MigrationResult } from '../contract';

/** One migration of a route as Temporal itself knows it, with no worker needed. */
export interface MigrationRun {
  readonly migrationId: string;
  readonly workflowId: string;
  readonly runId: string;
  /** Temporal's word: RUNNING, COMPLETED, TERMINATED and so on. */
  readonly status: string;
  readonly closedAt: Date | null;
}

/** A migration that has ended, with what it came to; null where it was terminated or failed. */
export interface PastMigration extends MigrationRun {
  readonly result: MigrationResult | null;
}

/** A run as Temporal describes or lists it. */
export function runOf(
  info: Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'status' | 'closeTime' | 'memo'>,
): MigrationRun {
  const { workflowId, runId, status, closeTime, memo } = info;
  const migrationId = memo?.['migrationId'];
  return {
    migrationId: typeof migrationId === 'string' ? migrationId : workflowId,
    workflowId,
    runId,
    status: status.name,
    closedAt: closeTime ?? null,
  };
}
