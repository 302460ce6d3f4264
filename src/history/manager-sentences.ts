import { callersText, moneyText } from '../core/evidence/tally-text';
import { addTallies, type TrafficTally } from '../core/evidence/traffic-tally';
import { type EndCause, endCauseOf, headlineOf, utcMinuteText } from '../core/migration/end-cause';
import { formatShare } from '../core/plan/plan';
import { formatDuration } from '../core/text/duration';
import type { ReportedMigration } from './reported-migration';

/** Three sentences for whoever reads no further: what happened and why, what callers noticed, what it cost and saves. */
export function managerSentences(migration: ReportedMigration, untilMs: number): readonly string[] {
  const tally = tallyOfMigration(migration);
  return [
    happened(migration, untilMs),
    callersText(tally) ?? callersUncounted(migration),
    moneyText(tally) ?? costUnknown(migration),
  ].map((text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`);
}

/** How it ended, by its checkpoints and verdicts; null while it is open and does not go back. */
export function endingOfMigration({ checkpoints, windows }: ReportedMigration): EndCause | null {
  const { list, archived } = checkpoints;
  return endCauseOf({
    checkpoints: list,
    archived: { count: archived?.count ?? 0, head: archived?.head ?? '', effects: [], newSalts: 0 },
    verdicts: windows.map(({ stageWindow, endedAtMs, result: { verdict } }) => ({
      ...verdict,
      window: stageWindow,
      atMs: endedAtMs,
    })),
  });
}

function happened(migration: ReportedMigration, untilMs: number): string {
  const { outcome, outcomeReason, startedAtMs, changes } = migration;
  const ending = endingOfMigration(migration);
  const lasted = formatDuration(untilMs - startedAtMs);
  if (ending !== null) return `${headlineOf(ending, utcMinuteText)}, after ${lasted}`;
  const share = changes.findLast(({ confirmedAtMs }) => confirmedAtMs !== null)?.share ?? 0;
  if (outcome === 'running') {
    const passed = isInHandover(migration) ? 'every stage has passed, ' : '';
    const left = passed === '' ? '' : '; what is left is to settle every gateway on the candidate';
    return `It has run for ${lasted}, ${passed}and ${formatShare(share)} of the traffic goes to the candidate${left}`;
  }
  return `It ended as ${outcome} after ${lasted}${outcomeReason === '' ? '' : `: ${outcomeReason}`}`;
}

/** Whether the last stage has passed, and nothing was moved back since. */
function isInHandover({ checkpoints: { list } }: ReportedMigration): boolean {
  const handover = list.findLastIndex((entry) => entry.kind === 'recorded' && entry.what === 'handover');
  return handover > list.findLastIndex(({ kind }) => kind === 'intended');
}

function costUnknown({ windows }: ReportedMigration): string {
  return windows.some(({ result }) => result.verdict.requests.candidate > 0)
    ? 'What it cost is not known: the configuration has no price for any request of the candidate'
    : 'It cost no more than its probes: no request was judged at the candidate';
}

/** Windows of workers before this release did not say who answered what the candidate failed. */
function callersUncounted({ windows }: ReportedMigration): string {
  const last = windows.findLast(({ result }) => result.verdict.requests.candidate > 0)?.result.verdict;
  if (last === undefined) return 'Callers noticed nothing: no request was judged at the candidate';
  const { candidate } = last.requests;
  const errors = last.metrics.find(({ metric }) => metric === 'errors')?.candidate ?? null;
  const failed = errors === null ? '' : `, of which it failed ${Math.round(errors * candidate)}`;
  return `What callers noticed was not counted: the last stage judged ${candidate.toLocaleString('en-US')} requests of the candidate${failed}, and what legacy answered in its place is not in these records`;
}

function tallyOfMigration({ windows }: ReportedMigration): TrafficTally | undefined {
  return windows.reduce<TrafficTally | undefined>(
    (sum, { result: { traffic } }) => (traffic === undefined ? sum : addTallies(sum, traffic)),
    undefined,
  );
}
