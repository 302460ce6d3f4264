import type { Command } from 'commander';
import { loadPlan } from '../../client/plan-file';
import { configurationPath, loadConfiguration } from '../../config';
import { InvalidDocument } from '../../core/configuration/schema-parts';
import { planEffectProblems } from '../../core/effects/plan-effects';
import type { AmendmentPreview } from '../../core/migration/amendment/amendment';
import { changeTexts } from '../../core/plan/plan-change';
import { CliError, EXIT } from '../options/cli-error';
import { type ConfirmationFlags, canAsk, confirm, withConfirmation } from '../options/confirmation';
import { forOperator, forRoute, type OperatorFlags, withClient } from '../options/connection';
import { printJson, printLine, printTable } from '../options/output';
import { send } from './commands';

interface AmendFlags extends OperatorFlags, ConfirmationFlags {
  readonly plan: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Adds `cutover amend`: another plan for a migration that runs. */
export function registerAmend(program: Command): void {
  withConfirmation(
    forOperator(forRoute(program.command('amend').description('change the plan of a running migration'))),
  )
    .requiredOption('--plan <file>', 'the plan that applies from now on')
    .option('--dry-run', 'show what would change, and change nothing')
    .addHelpText(
      'after',
      '\nShows what changes, and asks. Needs --reason. Can be amended: rollout hours and notifications; soak, windows,\n' +
        'minimums and deadlines of the current stage (a deadline only to a later time) and of stages ahead; what a stage\n' +
        'that copies may cost, above what it has; margins and burn-in of stages that were never entered; a stage added ahead. What was judged stays as it is. Nothing is raised\n' +
        'before a window under the new plan has ended.\n' +
        'Exit code 3: it is refused; the reason names each field.\n' +
        '\nExamples:\n  cutover amend --plan plan.yaml --dry-run\n' +
        '  cutover amend --plan plan.yaml --reason "half the traffic at night: soak 12h, 200 requests"',
    )
    .action(runAmend);
}

async function runAmend(given: string | undefined, flags: AmendFlags): Promise<void> {
  const { plan: file, reason, dryRun = false, json = false } = flags;
  const plan = loadPlan(file);
  if (given !== undefined && given !== plan.route) {
    throw new CliError(`expected the route of ${file} ("${plan.route}"), got "${given}"`, EXIT.badInput);
  }
  if (reason === '' && !dryRun) {
    throw new CliError('expected --reason: it is recorded why the plan is amended, got none', EXIT.badInput);
  }
  const problems = planEffectProblems(plan, loadConfiguration(configurationPath(flags.config)));
  if (problems.length > 0) throw new InvalidDocument(file, problems);
  const preview = await withClient(flags, (client) => client.amendment(plan.route, plan));
  if (json && dryRun) printJson({ route: plan.route, dryRun, ...preview });
  if (!json) show(preview);
  if (preview.refusal !== null) throw new CliError(`not amended: ${preview.refusal}`, EXIT.refused);
  if (dryRun) {
    if (canAsk(flags)) printLine('dry run: nothing was changed');
    return;
  }
  await confirm(`Amend the plan of ${plan.route}?`, flags);
  await send('amend', plan.route, flags, { plan, digest: preview.digest });
}

function show({ changes }: AmendmentPreview): void {
  const rows = changes.map(changeTexts).map(({ what, from, to }) => [what, from, to]);
  if (rows.length > 0) printTable(['FIELD', 'NOW', 'AMENDED'], rows);
}
