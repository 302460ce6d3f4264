import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';

/** One run's history as Temporal writes it in JSON: what `temporal workflow show -o json` prints. */
export interface FetchedRun {
  readonly runId: string;
  readonly events: readonly unknown[];
}

/** All events of one run. */
export async function fetchRun(handle: WorkflowHandle, runId: string): Promise<FetchedRun> {
  const history = await handle.fetchHistory();
  const { events } = JSON.parse(historyToJSON(history)) as { events: unknown[] };
  return { runId, events };
}
