import type { Command } from 'commander';
import { renderReport, replaceFile } from '../../history/write-report';
import { CliError, EXIT } from '../options/cli-error';
import { forRoute } from '../options/connection';
import { printJson, printNote } from '../options/output';
import { type HistoryFlags, migrationOf, withHistory } from './history-source';

interface ReportFlags extends HistoryFlags {
  readonly html?: string;
  readonly markdown?: string;
}

/** Adds `cutover report`: one page about a migration, for a change ticket. */
export function registerReport(program: Command): void {
  withHistory(
    forRoute(program.command('report').description('write what a migration did, for a change ticket')),
  )
    .option('--html <file>', 'write it as one HTML file that loads nothing')
    .option('--markdown <file>', 'write it as Markdown (default: to standard output)')
    .addHelpText(
      'after',
      '\nOf the newest migration of the route, running or closed. A file that is there is replaced.\n' +
        '\nExamples:\n  cutover report chat --html chat.html --markdown chat.md\n  cutover report --history chat.json',
    )
    .action(runReport);
}

async function runReport(given: string | undefined, flags: ReportFlags): Promise<void> {
  const migration = await migrationOf(given, flags);
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

function write(file: string, text: string): void {
  try {
    replaceFile(file, text);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new CliError(`expected to write ${file}, but it failed (${code})`, EXIT.badInput, { cause });
  }
}
