import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { MigrationStatus } from '../../core/migration/status';
import { CliError, EXIT } from '../options/cli-error';
import { type ConnectionFlags, forRoute, routeOf, withClient } from '../options/connection';
import { failureOf } from '../options/failure';
import { printJson, printLine, printNote } from '../options/output';
import { type GatewayAnswers, readConfiguredGateways } from './gateway-answers';
import { gatewayLines, statusLines } from './status-view';

/** How long the migration may take before what the gateways serve is shown without it, milliseconds. */
const PATIENCE_MS = 1_000;

/** Adds `cutover status`: where a migration stands. */
export function registerStatus(program: Command): void {
  forRoute(program.command('status').description('show where the migration of a route stands'))
    .addHelpText(
      'after',
      '\nIf there is a configuration and the admin token, it shows what each gateway serves, with Temporal up or down.\n' +
        'Exit code 4: the migration could not be asked.\n' +
        '\nExamples:\n  cutover status chat\n  cutover status chat --json',
    )
    .action(runStatus);
}

async function runStatus(given: string | undefined, flags: ConnectionFlags): Promise<void> {
  const route = routeOf(given, flags);
  const reading = readConfiguredGateways(flags.config, route);
  const asking = withClient(flags, (client) => client.status(route)).then(
    (status) => ({ status }),
    (error: unknown) => ({ error }),
  );
  const isSlow = await Promise.race([asking.then(() => false), sleep(PATIENCE_MS, true, { ref: false })]);
  const answers = await reading;
  if (isSlow && flags.json !== true) {
    showGateways(answers, null);
    printNote('the migration has not answered yet; still asking');
  }
  const asked = await asking;
  if ('error' in asked) throw withoutMigration(asked.error, route, answers, isSlow, flags);
  const { status } = asked;
  if (flags.json === true) return printJson({ ...status, gateways: answers.gateways });
  for (const line of statusLines(status, answers)) printLine(line);
}

/** Shows what the gateways serve where the migration could not be asked; what is to be thrown. */
function withoutMigration(
  error: unknown,
  route: string,
  answers: GatewayAnswers,
  areShown: boolean,
  { json }: ConnectionFlags,
): unknown {
  const { message, exitCode } = failureOf(error);
  if (exitCode !== EXIT.unreachable && exitCode !== EXIT.negative) return error;
  if (json === true) printJson({ route, migration: null, problem: message, gateways: answers.gateways });
  else if (!areShown) showGateways(answers, null);
  return new CliError(`the migration could not be asked: ${message}`, exitCode, { cause: error });
}

function showGateways(answers: GatewayAnswers, status: MigrationStatus | null): void {
  for (const line of gatewayLines(answers, status)) printLine(line);
}
