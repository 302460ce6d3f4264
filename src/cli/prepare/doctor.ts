import type { Command } from 'commander';
import { CliError, EXIT } from '../options/cli-error';
import { type ConnectionFlags, withConnection } from '../options/connection';
import { printJson, printTable } from '../options/output';
import { examine } from './doctor-checks';

/** Adds `cutover doctor`: what would be used, and what is missing. */
export function registerDoctor(program: Command): void {
  withConnection(program.command('doctor').description('show what would be used, and what is missing'))
    .addHelpText(
      'after',
      '\nExit code 5: something that is needed is missing.\n\nExamples:\n  cutover doctor\n  cutover doctor --config cutover.yaml --json',
    )
    .action(runDoctor);
}

async function runDoctor(flags: ConnectionFlags): Promise<void> {
  const checks = await examine(flags);
  const missing = checks.filter(({ state }) => state === 'missing');
  if (flags.json === true) printJson({ ok: missing.length === 0, checks });
  else
    printTable(
      ['CHECK', 'STATE', 'DETAIL'],
      checks.map(({ name, state, detail }) => [name, state, detail]),
    );
  if (missing.length > 0) {
    throw new CliError(`missing: ${missing.map(({ name }) => name).join(', ')}`, EXIT.negative);
  }
}
