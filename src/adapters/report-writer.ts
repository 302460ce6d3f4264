import { Context } from '@temporalio/activity';
import type { PayloadCodec } from '@temporalio/common';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { readMigration } from '../history/recorded-migration';
import { type WrittenReport, writeReport } from '../history/write-report';
import { decodeEvents } from '../payload-codec/decoded-history';
import type { ReportPort } from '../ports';

/** Writes the report of the very migration whose activity asks, from its history, into a folder of this machine. */
export function createReportWriter(folder: string | null, codecs: readonly PayloadCodec[] = []): ReportPort {
  return {
    async write({ outcome, reason, checkpoints }): Promise<WrittenReport | null> {
      if (folder === null) return null;
      const nowMs = Date.now();
      const migration = readMigration({ runs: await ownRuns(codecs) }, checkpoints);
      // Its workflow is open as long as this activity runs, but what it came to is decided.
      const ended = { outcome, outcomeReason: reason, endedAtMs: nowMs };
      return writeReport({ ...migration, ...ended }, folder, nowMs);
    },
  };
}

/** The runs of the workflow to which the running activity belongs, oldest first. */
async function ownRuns(
  codecs: readonly PayloadCodec[],
): Promise<{ readonly runId: string; readonly events: readonly unknown[] }[]> {
  const { info, client } = Context.current();
  const { workflowExecution } = info;
  if (workflowExecution === undefined) throw new Error('expected an activity of a workflow');
  const { workflowId } = workflowExecution;
  const runs: { runId: string; events: unknown[] }[] = [];
  let runId: string | null | undefined = workflowExecution.runId;
  while (runId) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    await decodeEvents(history.events, codecs);
    const { events } = JSON.parse(historyToJSON(history)) as { events: unknown[] };
    runs.unshift({ runId, events });
    runId = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
  }
  return runs;
}
