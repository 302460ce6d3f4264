import type { Command } from 'commander';
import { CliError, EXIT } from '../options/cli-error';
import { type ConnectionFlags, withConnection } from '../options/connection';
import { printJson, printLine, printTable } from '../options/output';
import { type Check, isFault } from './doctor-check';
import { examine } from './doctor-checks';

/** Adds `cutover doctor`: whether a migration can start from here, and what to do about what is in its way. */
export function registerDoctor(program: Command): void {
  withConnection(
    program
      .command('doctor')
      .description('check whether a migration can start, and say how to fix what is in its way'),
  )
    .addHelpText(
      'after',
      '\nChanges nothing, and never shows a key. Exit code 5: something is missing or wrong.\n' +
        '\nExamples:\n  cutover doctor\n  cutover doctor --config cutover.yaml --json',
    )
    .action(runDoctor);
}

async function runDoctor(flags: ConnectionFlags): Promise<void> {
  const checks = await examine(flags);
  const faults = checks.filter(isFault);
  const summary = summaryOf(checks, faults);
  if (flags.json === true) printJson({ ok: faults.length === 0, summary, checks });
  else {
    printTable(
      ['CHECK', 'STATE', 'DETAIL'],
      checks.map(({ name, state, detail }) => [name, state, detail]),
    );
    if (faults.length > 0) printLine();
    for (const { name, fix = 'see above' } of faults) printLine(`fix ${name}: ${fix}`);
  }
  if (faults.length > 0) throw new CliError(summary, EXIT.negative);
  if (flags.json !== true) printLine(`\n${summary}`);
}

function summaryOf(checks: readonly Check[], faults: readonly Check[]): string {
  if (faults.length === 0) return `ready: all ${checks.length} checks passed`;
  const names = [...new Set(faults.map(({ name }) => name))].join(', ');
  return `not ready: ${faults.length} of ${checks.length} checks failed: ${names}`;
}
