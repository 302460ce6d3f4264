import { type History, historyToJSON } from '@temporalio/common/lib/proto-utils';

/** One run's history as Temporal writes it in JSON: what `temporal workflow show -o json` prints. */
export interface FetchedRun {
  readonly runId: string;
  readonly events: readonly unknown[];
}

/** All events of one run. */
export function fetchedRun(history: History, runId: string): FetchedRun {
  const { events } = JSON.parse(historyToJSON(history)) as { events: unknown[] };
  return { runId, events };
}
