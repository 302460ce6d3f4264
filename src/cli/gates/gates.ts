import type { Command } from 'commander';
import { JUDGING_RULES } from '../../core/gates/verdict';
import { outcomeText } from '../../core/gates/verdict-text';
import { formatShare } from '../../core/plan/plan';
import { type Explanation, explainWindow } from '../../core/rehearsal/explain-verdict';
import type { RecordedMigration } from '../../history/recorded-migration';
import { type HistoryFlags, migrationOf, withHistory } from '../history/history-source';
import { CliError, EXIT } from '../options/cli-error';
import { forRoute } from '../options/connection';
import { instantText } from '../options/instant';
import { positive } from '../options/option-value';
import { printJson, printLine, printNote, printTable } from '../options/output';
import { registerSimulate } from './gates-simulate';
import { printMetrics } from './verdict-table';

interface ExplainFlags extends HistoryFlags {
  readonly window?: number;
}

/** Adds `cutover gates explain|simulate`. */
export function registerGates(program: Command): void {
  const gates = program.command('gates').description('explain what gates said, or rehearse them');
  gates.addHelpText(
    'after',
    '\nExamples:\n  cutover gates explain chat --window 12\n  cutover gates simulate plan.yaml --runs 200',
  );
  withHistory(
    forRoute(
      gates.command('explain').description('compute stored verdicts again from their recorded evidence'),
    ),
  )
    .option('--window <number>', 'only this window of the migration, with every number', positive)
    .addHelpText(
      'after',
      '\nExit code 5: a stored verdict does not follow from its evidence. A verdict of a release that judged by other\n' +
        'rules is shown next to what these rules give, and is not counted as wrong.\n' +
        '\nExamples:\n  cutover gates explain chat\n  cutover gates explain --history chat.json --window 12',
    )
    .action(runExplain);
  registerSimulate(gates);
}

async function runExplain(given: string | undefined, flags: ExplainFlags): Promise<void> {
  const migration = await migrationOf(given, flags);
  const explained = chosen(migration, flags.window).map(explainWindow);
  const wrong = explained.filter(
    ({ rules, differences }) => rules === JUDGING_RULES && differences.length > 0,
  );
  const older = explained.filter(({ rules }) => rules !== JUDGING_RULES);
  if (flags.json === true) {
    const { migrationId, route } = migration;
    printJson({ migrationId, route, agrees: wrong.length === 0, windows: explained.map(asJson) });
  } else {
    printTable(['WINDOW', 'ENDED', 'STAGE', 'SHARE', 'VERDICT', 'STORED VERDICT', 'WHY'], explained.map(row));
    const [only] = explained;
    if (flags.window !== undefined && only !== undefined) {
      printLine();
      printMetrics(only.recomputed);
    }
    const [first] = older;
    if (first !== undefined) {
      printNote(
        `${older.length} of ${explained.length} verdicts were judged by the rules ${first.rules}; this release judges by the rules ${JUDGING_RULES}, which may give other numbers for the same evidence`,
      );
    }
    for (const { window, differences } of wrong) {
      for (const { path, stored, recomputed } of differences.slice(0, DIFFERENCES_TOLD)) {
        printNote(`window ${window.number}, ${path}: stored ${stored}, its evidence gives ${recomputed}`);
      }
    }
  }
  if (wrong.length === 0) return;
  throw new CliError(
    `${wrong.length} of ${explained.length} stored verdicts do not follow from their evidence`,
    EXIT.negative,
  );
}

const DIFFERENCES_TOLD = 5;

function chosen({ windows, migrationId }: RecordedMigration, wanted: number | undefined) {
  const picked = wanted === undefined ? windows : windows.filter(({ number }) => number === wanted);
  if (picked.length > 0) return picked;
  const has = windows.length === 0 ? 'no window that ended' : `the windows 1 to ${windows.length}`;
  throw new CliError(
    wanted === undefined
      ? `expected windows in the history of ${migrationId}, it has ${has}`
      : `expected one of its windows, got ${wanted}: ${migrationId} has ${has}`,
    EXIT.badInput,
  );
}

function row({ window, recomputed, rules, differences }: Explanation): string[] {
  const stored = outcomeText(window.result.verdict);
  const said = rules === JUDGING_RULES ? `DIFFERS: ${stored}` : `${stored} (rules ${rules})`;
  return [
    String(window.number),
    instantText(window.endedAtMs),
    `${window.stage.name} ${window.stageWindow}`,
    formatShare(window.share),
    outcomeText(recomputed),
    differences.length === 0 ? 'agrees' : said,
    recomputed.sentence,
  ];
}

function asJson({ window, recomputed, rules, differences }: Explanation) {
  const { number, stageWindow, startedAtMs, endedAtMs, epoch, share } = window;
  return {
    ...{ window: number, stageWindow, startedAtMs, endedAtMs, epoch, share },
    rules,
    agrees: differences.length === 0,
    differences,
    verdict: recomputed,
  };
}
