import type { Command } from 'commander';
import type { ReplacedMigration } from '../../client';
import { defaultPlan, loadPlan } from '../../client/plan-file';
import { configurationPath, loadConfiguration } from '../../config';
import type { Configuration } from '../../core/configuration/configuration-schema';
import type { Plan } from '../../core/plan/plan';
import { servesSettledCandidate, settledRefusal } from '../../core/routing/routing';
import { formatDuration } from '../../core/text/duration';
import { CliError, EXIT } from '../options/cli-error';
import { forOperator, forRoute, type OperatorFlags, routeOf, withClient } from '../options/connection';
import { recordedOperator } from '../options/operator-name';
import { printJson, printLine } from '../options/output';
import { printStages } from '../prepare/plan-table';
import { readGateways } from './gateway-answers';

interface StartFlags extends OperatorFlags {
  readonly plan?: string;
  readonly moveBack?: boolean;
}

/** Adds `cutover start`: begins the migration of a route. */
export function registerStart(program: Command): void {
  forOperator(forRoute(program.command('start').description('start the migration of a route')))
    .option('--plan <file>', 'the plan (default: the default plan of the route)')
    .option(
      '--move-back',
      'also where the route is settled on the candidate: all of its traffic goes to legacy first',
    )
    .addHelpText(
      'after',
      '\nExit code 3: a migration of this route is already running, or the route is settled on the candidate.\n' +
        '\nExamples:\n  cutover start chat\n  cutover start --plan plan.yaml --reason "contract ends in May"',
    )
    .action(runStart);
}

async function runStart(given: string | undefined, flags: StartFlags): Promise<void> {
  const configuration = loadConfiguration(configurationPath(flags.config));
  const plan = planOf(given, flags);
  const by = recordedOperator('cli', flags.by);
  const { reason, moveBack = false } = flags;
  if (!moveBack) await refuseSettled(configuration, plan.route);
  const started = await withClient(flags, (client) =>
    client.start({ plan, configuration, by, reason, moveBack }),
  );
  if (flags.json === true) {
    printJson({ route: plan.route, ...started, stages: plan.stages });
    return;
  }
  printLine(`started ${started.migrationId}`);
  if (started.replaced !== null) printLine(replacedText(started.replaced, new Date()));
  printStages(plan);
  printLine(`watch it: cutover watch ${plan.route}`);
}

/** What was there before: two people who start at once should not take each other's migration for their own. */
export function replacedText({ migrationId, wasOpen, closedAt }: ReplacedMigration, now: Date): string {
  if (wasOpen || closedAt === null) {
    return `${migrationId} was open when this was asked for, and ended just now: somebody else may have started it`;
  }
  const agoMs = Math.max(0, now.getTime() - closedAt.getTime());
  return `the migration before it, ${migrationId}, ended ${formatDuration(Math.round(agoMs / 1_000) * 1_000)} ago`;
}

/** Asks the gateways that answer; those that do not are asked again by the migration, which refuses as well. */
async function refuseSettled(configuration: Configuration, route: string): Promise<void> {
  const { gateways } = await readGateways(configuration, route);
  const settled = gateways
    .filter(({ answer }) => answer.kind === 'ok' && servesSettledCandidate(answer.value))
    .map(({ name }) => name);
  if (settled.length > 0) throw new CliError(settledRefusal(route, settled), EXIT.refused);
}

function planOf(given: string | undefined, flags: StartFlags): Plan {
  if (flags.plan === undefined) return defaultPlan(routeOf(given, flags));
  const plan = loadPlan(flags.plan);
  if (given !== undefined && given !== plan.route) {
    throw new CliError(
      `expected the route of ${flags.plan} ("${plan.route}"), got "${given}"`,
      EXIT.badInput,
    );
  }
  return plan;
}
