/** One migration of any route as Temporal lists it, with no worker needed. */
export interface ListedMigration {
  readonly route: string;
  readonly migrationId: string;
  readonly runId: string;
  /** Temporal's word: RUNNING, COMPLETED, TERMINATED and so on. */
  readonly status: string;
  /** The stage, or how it ended; null where Temporal does not know our search attributes. */
  readonly stage: string | null;
  readonly share: number | null;
  readonly paused: boolean;
  readonly startedAtMs: number;
  readonly closedAtMs: number | null;
  readonly by: string;
  readonly reason: string;
  /**
   * In a line: how it ended and why, or why it does not advance. Empty while nothing is in its way, and where an older
   * release did not keep it.
   */
  readonly headline: string;
}

/** What is read of Temporal's own record of a run. */
interface ListedRun {
  readonly workflowId: string;
  readonly runId: string;
  readonly status: { readonly name: string };
  readonly startTime: Date;
  readonly closeTime?: Date;
  readonly memo?: Readonly<Record<string, unknown>>;
}

/** A run with its search attributes as a migration. */
export function listedMigration(
  run: ListedRun,
  attributes: Readonly<Record<string, unknown>>,
): ListedMigration {
  const { workflowId, runId, status, startTime, closeTime, memo = {} } = run;
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const migrationId = text(memo['migrationId']) || workflowId;
  const { CutoverStage: stage, CutoverShare: share, CutoverPaused: paused } = attributes;
  return {
    route: text(memo['route']) || workflowId.replace(/^cutover\//, ''),
    migrationId,
    runId,
    status: status.name,
    stage: text(stage) || null,
    share: typeof share === 'number' ? share : null,
    paused: paused === true,
    startedAtMs: startOf(migrationId) ?? startTime.getTime(),
    closedAtMs: closeTime?.getTime() ?? null,
    by: text(memo['by']),
    reason: text(memo['reason']),
    headline: text(memo['headline']),
  };
}

/** The start that the migration's id bears: a run that continues another has started later. */
function startOf(migrationId: string): number | null {
  const stamp = /-(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)z-[0-9a-f]+$/.exec(migrationId);
  if (stamp === null) return null;
  const [, year, month, day, hour, minute, second] = stamp.map(Number) as number[];
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second);
}
