import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { type RunEvent, recordOfHistories } from '../../../src/client/migration-record';
import { exportRecord } from '../../../src/core/record/record-chain';
import { inOrder, type RecordEntry } from '../../../src/core/record/record-entry';
import { readMigration } from '../../../src/history/recorded-migration';
import { historyOf } from './recorded-history';

/** What `cutover export` writes of a history of test/histories: commands and verdicts as Temporal kept them. */
export function exportOf(name: string): {
  readonly migrationId: string;
  readonly route: string;
  readonly entries: readonly RecordEntry[];
} {
  const history = historyOf(name);
  const { migrationId, route, checkpoints, outcome, endedAtMs } = readMigration(history);
  const events = (historyFromJSON(history).events ?? []) as readonly RunEvent[];
  const end = { atMs: endedAtMs ?? 0, status: 'COMPLETED', outcome, reason: '' };
  const entries = inOrder([
    ...recordOfHistories([events], new Map()),
    ...checkpoints.list.map((checkpoint) => ({ checkpoint })),
    ...(endedAtMs === null ? [] : [{ end }]),
  ]);
  return { migrationId, route, entries };
}

/** Entries of a migration as an export: what a forger who can hash makes of entries that were changed. */
export function sealedText(
  { migrationId, route }: { readonly migrationId: string; readonly route: string },
  entries: readonly RecordEntry[],
): string {
  return exportRecord({ migrationId, route, exportedAt: '2026-01-06T00:00:00.000Z' }, entries);
}
