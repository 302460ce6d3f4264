import type { WorkflowExecutionInfo } from '@temporalio/client';
import type { MigrationResult } from '../contract';
import { utcMinuteText } from '../core/migration/end-cause';
import type { RecordEntry } from '../core/record/record-entry';

/** One migration of a route as Temporal itself knows it, with no worker needed. */
export interface MigrationRun {
  readonly migrationId: string;
  readonly workflowId: string;
  readonly runId: string;
  /** Temporal's word: RUNNING, COMPLETED, TERMINATED and so on. */
  readonly status: string;
  readonly startedAt: Date;
  readonly closedAt: Date | null;
  /** Who started it and why; empty where Temporal does not keep it. */
  readonly by: string;
  readonly reason: string;
  /** How it ended and why, or why it does not advance; empty where Temporal does not keep it. */
  readonly headline: string;
}

/** A migration that has ended, with what it came to; null where it was terminated or failed. */
export interface PastMigration extends MigrationRun {
  readonly result: MigrationResult | null;
}

/** A run as Temporal describes or lists it. */
export function runOf(
  info: Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'status' | 'startTime' | 'closeTime' | 'memo'>,
): MigrationRun {
  const { workflowId, runId, status, startTime, closeTime, memo } = info;
  const noted = (name: string): string | null => {
    const value = memo?.[name];
    return typeof value === 'string' ? value : null;
  };
  const startedAt = noted('startedAt');
  return {
    migrationId: noted('migrationId') ?? workflowId,
    workflowId,
    runId,
    status: status.name,
    // A run that continues an earlier one began later than its migration.
    startedAt: startedAt === null ? startTime : new Date(startedAt),
    closedAt: closeTime ?? null,
    by: noted('by') ?? '',
    reason: noted('reason') ?? '',
    headline: noted('headline') ?? '',
  };
}

/** How Temporal ended a run that did not end by itself, in a word or two; null for all others. */
export function endedByTemporal({ status }: Pick<MigrationRun, 'status'>): string | null {
  return status === 'TERMINATED' || status === 'FAILED' || status === 'TIMED_OUT' || status === 'CANCELLED'
    ? status.toLowerCase().replace('_', ' ')
    : null;
}

/** How a migration ended and why, in a line; results of older releases say what was verified in place of why. */
export function endText({ status, closedAt, result }: PastMigration): string {
  if (result === null) return `its run was ${endedByTemporal({ status }) ?? status.toLowerCase()}`;
  const { headline, outcome, reason } = result;
  if (headline !== undefined) return headline;
  const when = closedAt === null ? '' : ` ${utcMinuteText(closedAt.getTime())}`;
  return `${outcome.charAt(0).toUpperCase()}${outcome.slice(1)}${when}${reason === '' ? '' : `: ${reason}`}`;
}

/** Whether a migration or run id names this one. */
export function isNamed({ migrationId, runId }: MigrationRun, wanted: string): boolean {
  return migrationId === wanted || runId === wanted;
}

/** The end of a migration as an entry of its record; none while it is open. */
export function endOf({ status, closedAt, result }: PastMigration): readonly RecordEntry[] {
  if (closedAt === null) return [];
  const { outcome = null, reason = '' } = result ?? {};
  return [{ end: { atMs: closedAt.getTime(), status, outcome, reason } }];
}
