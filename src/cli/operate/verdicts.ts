import type { Command } from 'commander';
import type { RecordedVerdict } from '../../client';
import { usageLines } from '../../core/assessment/usage-digest';
import { outcomeText } from '../../core/gates/verdict-text';
import type { AssessmentSummary } from '../../core/migration/migration-state';
import { formatShare } from '../../core/plan/plan';
import { printMetrics } from '../gates/verdict-table';
import { forRoute, ofRun, type RunFlags, routeOf, runIdOf, withClient } from '../options/connection';
import { instantText } from '../options/instant';
import { printJson, printLine, printTable } from '../options/output';

/** Adds `cutover verdicts`: what the gates said, with the numbers that it rests on. */
export function registerVerdicts(program: Command): void {
  ofRun(
    forRoute(program.command('verdicts').description('show the last verdicts and the numbers they rest on')),
  )
    .addHelpText(
      'after',
      '\nESTIMATE is how much worse the candidate is; its interval holds at every look at once. E-VALUE is the evidence\nand what decides. `cutover gates explain` computes a verdict again from what history recorded.\n' +
        '\nExamples:\n  cutover verdicts chat\n  cutover verdicts chat --json\n  cutover verdicts chat --run chat-20261104t091500z-1a2b3c',
    )
    .action(runVerdicts);
}

async function runVerdicts(given: string | undefined, flags: RunFlags): Promise<void> {
  const route = routeOf(given, flags);
  await withClient(flags, async (client) => {
    const run = await runIdOf(client, route, flags);
    const [assessment, verdicts] = await Promise.all([
      client.assessment(route, run),
      client.verdicts(route, run),
    ]);
    if (flags.json === true) return printJson({ route, assessment, verdicts });
    for (const line of usageOf(assessment)) printLine(line);
    for (const question of assessment?.approvals ?? []) printLine(`question: ${question.text}`);
    for (const blocker of assessment?.blockers ?? []) printLine(`blocker: ${blocker}`);
    for (const warning of assessment?.warnings ?? []) printLine(`warning: ${warning}`);
    printTable(
      ['AT', 'STAGE', 'WINDOW', 'VERDICT', 'LEGACY', 'CANDIDATE', 'SHARE', 'WHY'],
      verdicts.map(row),
    );
    const last = verdicts.at(-1);
    if (last === undefined || last.metrics.length === 0) return;
    printLine();
    printLine(`The last one, by metric (${last.stage}, window ${last.window}):`);
    printMetrics(last);
  });
}

function usageOf(assessment: AssessmentSummary | null): string[] {
  const digest = assessment?.usage?.digest ?? null;
  return digest === null ? [] : usageLines(digest);
}

function row(verdict: RecordedVerdict): string[] {
  const { atMs, stage, window, requests, observedShare, sentence } = verdict;
  return [
    instantText(atMs),
    stage,
    String(window),
    outcomeText(verdict),
    String(requests.legacy),
    String(requests.candidate),
    observedShare === null ? '-' : formatShare(observedShare),
    sentence,
  ];
}
