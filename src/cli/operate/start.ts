import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { MigrationClient, ReplacedMigration } from '../../client';
import { MigrationAlreadyRuns, NoMigration } from '../../client/errors';
import { defaultPlan, loadPlan, USUAL_PLAN } from '../../client/plan-file';
import { unservedStart } from '../../client/worker-build';
import { configurationPath, loadConfiguration } from '../../config';
import type { Configuration } from '../../core/configuration/configuration-schema';
import type { Plan } from '../../core/plan/plan';
import { servesSettledCandidate, settledRefusal } from '../../core/routing/routing';
import { formatDuration } from '../../core/text/duration';
import { CliError, EXIT } from '../options/cli-error';
import { type ConfirmationFlags, canAsk, confirm, withConfirmation } from '../options/confirmation';
import { forOperator, forRoute, type OperatorFlags, routeOf, withClient } from '../options/connection';
import { recordedOperator } from '../options/operator-name';
import { printJson, printLine } from '../options/output';
import { type GatewayAnswers, readGateways, UNWRITABLE_FIX } from './gateway-answers';

interface StartFlags extends OperatorFlags, ConfirmationFlags {
  readonly plan?: string;
  readonly defaultPlan?: boolean;
  readonly dryRun?: boolean;
  readonly moveBack?: boolean;
  readonly json?: boolean;
}

/** Adds `cutover start`: begins the migration of a route. */
export function registerStart(program: Command): void {
  withConfirmation(
    forOperator(forRoute(program.command('start').description('start the migration of a route'))),
  )
    .option('--plan <file>', 'the plan')
    .option('--default-plan', `the default plan, also where a ${USUAL_PLAN} is in this folder`)
    .option('--dry-run', 'show what would be started, and start nothing')
    .option(
      '--move-back',
      'also where the route is settled on the candidate: all of its traffic goes to legacy first',
    )
    .addHelpText(
      'after',
      '\nShows shares, gateways, duration and cost, and asks. Nothing starts unless a worker and every gateway answer,\n' +
        'and every gateway can write its state.\n' +
        'Exit code 3: a migration of this route is already running, or the route is settled on the candidate.\n' +
        'Exit code 4: no worker polls, a gateway does not answer, or its disk refuses its state.\n' +
        '\nExamples:\n  cutover start --plan plan.yaml --dry-run\n' +
        '  cutover start --plan plan.yaml --reason "contract ends in May"\n' +
        '  cutover start chat --default-plan --yes',
    )
    .action(runStart);
}

async function runStart(given: string | undefined, flags: StartFlags): Promise<void> {
  const configuration = loadConfiguration(configurationPath(flags.config));
  const { plan, planFile } = planOf(given, flags);
  refuseUnknownRoute(plan.route, planFile, configuration);
  const by = recordedOperator('cli', flags.by);
  const { reason, moveBack = false, dryRun = false } = flags;
  await withClient(flags, async (client) => {
    const answers = await readGateways(configuration, plan.route);
    if (!moveBack) refuseSettled(plan.route, answers);
    await refuseRunning(client, plan.route);
    refuseSilent(answers);
    refuseUnwritable(answers);
    await refuseWithoutWorker(client);
    if (dryRun || flags.json !== true) await show({ configuration, plan, planFile, answers }, flags);
    if (dryRun) return;
    await confirm(`Start the migration of ${plan.route}?`, flags);
    const started = await client.start({ plan, configuration, by, reason, moveBack });
    if (flags.json === true) return printJson({ route: plan.route, ...started, stages: plan.stages });
    printLine(`started ${started.migrationId}`);
    if (started.replaced !== null) printLine(replacedText(started.replaced, new Date()));
    printLine(`watch it: cutover watch ${plan.route}`);
  });
}

async function show(
  asked: {
    readonly configuration: Configuration;
    readonly plan: Plan;
    readonly planFile: string | null;
    readonly answers: GatewayAnswers;
  },
  flags: StartFlags,
): Promise<void> {
  // Price lists and estimates are loaded only where somebody reads them.
  const { previewStart, printPreview } = await import('./start-preview.js');
  const preview = await previewStart(asked);
  if (flags.json === true) printJson({ dryRun: true, ...preview, stages: asked.plan.stages });
  else printPreview(preview, asked.plan);
  if (flags.dryRun === true && canAsk(flags)) printLine('dry run: nothing was started');
}

/** What was there before: two people who start at once should not take each other's migration for their own. */
export function replacedText({ migrationId, wasOpen, closedAt }: ReplacedMigration, now: Date): string {
  if (wasOpen || closedAt === null) {
    return `${migrationId} was still open when this was asked for, and has just ended: somebody else may have started it`;
  }
  const agoMs = Math.max(0, now.getTime() - closedAt.getTime());
  return `the migration before it, ${migrationId}, ended ${formatDuration(Math.round(agoMs / 1_000) * 1_000)} ago`;
}

function refuseUnknownRoute(route: string, planFile: string | null, { routes }: Configuration): void {
  const known = Object.keys(routes);
  if (known.includes(route)) return;
  const where = planFile === null ? '' : ` as the route of ${planFile}`;
  throw new CliError(
    `expected one of the configuration's routes (${known.join(', ')})${where}, got "${route}"`,
    EXIT.badInput,
  );
}

/** The migration refuses as well; here a person is not asked for nothing. */
function refuseSettled(route: string, { gateways }: GatewayAnswers): void {
  const settled = gateways
    .filter(({ answer }) => answer.kind === 'ok' && servesSettledCandidate(answer.value))
    .map(({ name }) => name);
  if (settled.length > 0) throw new CliError(settledRefusal(route, settled), EXIT.refused);
}

async function refuseRunning(client: MigrationClient, route: string): Promise<void> {
  try {
    const { migrationId, closedAt } = await client.describe(route);
    if (closedAt === null) throw new MigrationAlreadyRuns(route, migrationId);
  } catch (error) {
    if (!(error instanceof NoMigration)) throw error;
  }
}

/** A gateway that does not answer now would keep the migration from its first change of routing. */
function refuseSilent({ gateways, problem }: GatewayAnswers): void {
  if (problem !== null) {
    throw new CliError(`the gateways cannot be asked, so nothing was started: ${problem}`, EXIT.unreachable);
  }
  if (gateways.length === 0) {
    throw new CliError(
      'expected at least one gateway, and the configuration has none: add it under `gateways`, or set `gatewayDiscovery`',
      EXIT.badInput,
    );
  }
  const silent = gateways.flatMap(({ name, admin, answer }) => {
    if (answer.kind === 'ok') return [];
    const why = answer.kind === 'refused' ? answer.refusal.error.message : answer.reason;
    return [`${name} at ${admin} (${why})`];
  });
  if (silent.length === 0) return;
  throw new CliError(
    `nothing was started: ${silent.join(', ')} ${silent.length === 1 ? 'does' : 'do'} not answer. Start it with \`cutover gateway --name NAME\` or \`cutover up\`, or take it out of \`gateways\`; \`cutover doctor\` shows more`,
    EXIT.unreachable,
  );
}

/** Such a gateway serves, and refuses every raise: the migration would be held at its first change of routing. */
function refuseUnwritable({ gateways }: GatewayAnswers): void {
  const refusing = gateways
    .filter(({ answer }) => answer.kind === 'ok' && answer.value.durable === false)
    .map(({ name, admin }) => `${name} at ${admin}`);
  if (refusing.length === 0) return;
  const is = refusing.length === 1;
  throw new CliError(
    `nothing was started: ${refusing.join(', ')} cannot write ${is ? 'its' : 'their'} state, and would refuse to raise the share. To fix ${is ? 'it' : 'each'}, ${UNWRITABLE_FIX}`,
    EXIT.unreachable,
  );
}

async function refuseWithoutWorker(client: MigrationClient): Promise<void> {
  if (await client.hasWorkers()) return refuseWithoutBuild(client);
  throw new CliError(
    `nothing was started: no worker polls namespace ${client.namespace} at ${client.address}. Start one with \`cutover worker\` or \`cutover up\``,
    EXIT.unreachable,
  );
}

/** Workers that only wait for a build to become current would leave a migration where it begins. */
async function refuseWithoutBuild(client: MigrationClient): Promise<void> {
  const problem = unservedStart(await client.routingBuilds());
  if (problem === null) return;
  throw new CliError(
    `nothing was started: ${problem}. \`cutover migrate-workers\` makes a build current`,
    EXIT.unreachable,
  );
}

function planOf(
  given: string | undefined,
  flags: StartFlags,
): { readonly plan: Plan; readonly planFile: string | null } {
  const { plan: file, defaultPlan: byDefault = false } = flags;
  if (file !== undefined && byDefault) {
    throw new CliError('expected --plan or --default-plan, got both', EXIT.badInput);
  }
  if (file === undefined) {
    if (!byDefault && existsSync(USUAL_PLAN)) {
      throw new CliError(
        `there is a ${USUAL_PLAN} here: \`--plan ${USUAL_PLAN}\` starts by it, \`--default-plan\` by the default plan`,
        EXIT.badInput,
      );
    }
    return { plan: defaultPlan(routeOf(given, flags)), planFile: null };
  }
  const plan = loadPlan(file);
  if (given !== undefined && given !== plan.route) {
    throw new CliError(`expected the route of ${file} ("${plan.route}"), got "${given}"`, EXIT.badInput);
  }
  return { plan, planFile: file };
}
