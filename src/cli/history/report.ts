import type { Command } from 'commander';
import { isExport, verifyExport } from '../../core/record/record-chain';
import { fileProblem } from '../../core/text/file-problem';
import { readExportedRecord } from '../../history/exported-record';
import type { ReportedMigration } from '../../history/reported-migration';
import { InvalidHistory } from '../../history/temporal-history';
import { renderReport, replaceFile } from '../../history/write-report';
import { CliError, EXIT } from '../options/cli-error';
import { forRoute } from '../options/connection';
import { printJson, printNote } from '../options/output';
import { readTextFile } from '../options/text-file';
import { type HistoryFlags, migrationOf, withHistory } from './history-source';

interface ReportFlags extends HistoryFlags {
  readonly record?: string;
  readonly html?: string;
  readonly markdown?: string;
}

/** Adds `cutover report`: one page about a migration, for a change ticket. */
export function registerReport(program: Command): void {
  withHistory(
    forRoute(program.command('report').description('write what a migration did, for a change ticket')),
  )
    .option(
      '--record <file>',
      'the record that `cutover export` wrote, once Temporal no longer keeps the history',
    )
    .option('--html <file>', 'write it as one HTML file that loads nothing')
    .option('--markdown <file>', 'write it as Markdown (default: to standard output)')
    .addHelpText(
      'after',
      '\nOf the newest migration of the route, running or closed, or of the one that --run names. A file that is there is replaced.\n' +
        "--record needs no Temporal. A record does not contain the assessment's findings, or every attempt at a change of routing.\n" +
        'Exit code 5: the record was changed since it was exported.\n' +
        '\nExamples:\n  cutover report chat --html chat.html --markdown chat.md\n  cutover report --history chat.json\n  cutover report --record chat.jsonl --html chat.html',
    )
    .action(runReport);
}

async function runReport(given: string | undefined, flags: ReportFlags): Promise<void> {
  const migration = await reportedMigrationOf(given, flags);
  const { html, markdown } = renderReport(migration, Date.now());
  if (flags.html !== undefined) write(flags.html, html);
  if (flags.markdown !== undefined) write(flags.markdown, markdown);
  const { migrationId, route, outcome, checkpoints } = migration;
  const files = [flags.html, flags.markdown].filter((file) => file !== undefined);
  if (flags.json === true) {
    const { list, source, problem } = checkpoints;
    printJson({ migrationId, route, outcome, files, checkpoints: list.length, source, problem });
  } else if (files.length === 0) process.stdout.write(markdown);
  for (const file of files) printNote(`wrote ${file}: ${migrationId}, ${outcome}`);
}

async function reportedMigrationOf(
  given: string | undefined,
  flags: ReportFlags,
): Promise<ReportedMigration> {
  const { record, history } = flags;
  if (record === undefined) return migrationOf(given, flags);
  if (history !== undefined) throw new CliError('expected one of --record and --history', EXIT.badInput);
  const migration = migrationInRecord(record);
  if (given === undefined || given === migration.route) return migration;
  throw new CliError(
    `expected the record of "${given}", ${record} is of "${migration.route}"`,
    EXIT.badInput,
  );
}

function migrationInRecord(file: string): ReportedMigration {
  const text = readTextFile(file);
  if (!isExport(text)) {
    throw new CliError(
      `${file}: expected a record that \`cutover export --out\` wrote; --history reads a history`,
      EXIT.badInput,
    );
  }
  const verdict = verifyExport(text);
  if (!verdict.ok) throw new CliError(`${file}, line ${verdict.line}: ${verdict.problem}`, EXIT.negative);
  try {
    return readExportedRecord(text, verdict);
  } catch (cause) {
    if (!(cause instanceof InvalidHistory)) throw cause;
    throw new CliError(`${file}: ${cause.message}`, EXIT.badInput, { cause });
  }
}

function write(file: string, text: string): void {
  try {
    replaceFile(file, text);
  } catch (cause) {
    throw new CliError(`cannot write ${file}: ${fileProblem(cause)}`, EXIT.badInput, { cause });
  }
}
