import { upsertMemo, workflowInfo } from '@temporalio/workflow';
import { headlineOfState } from '../core/migration/end-cause';
import { follows, type MigrationState } from '../core/migration/migration-state';

/** Characters of a headline in a list of runs. */
const HEADLINE_MOST = 500;

/**
 * Keeps beside the run how it ended, or why it does not advance, so that lists say it without asking a worker. Each
 * upsert is an event, so that an unchanged headline costs none. Releases before revision 5 kept it at the end alone.
 */
export function publishHeadline(state: MigrationState): void {
  if (!follows(state, 5)) return;
  const headline = headlineOfState(state)?.slice(0, HEADLINE_MOST) ?? null;
  if (headline !== (workflowInfo().memo?.['headline'] ?? null)) upsertMemo({ headline });
}

/** What releases before revision 5 kept when a migration had ended. */
export function publishLastHeadline(state: MigrationState, headline: string | undefined): void {
  if (!follows(state, 5) && headline !== undefined)
    upsertMemo({ headline: headline.slice(0, HEADLINE_MOST) });
}
