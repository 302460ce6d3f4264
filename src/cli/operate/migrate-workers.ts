import type { Command } from 'commander';
import { BuildMove, type MovePlan, type RunMove } from '../../client/build-move';
import { buildText, isSameBuild } from '../../client/worker-build';
import type { OpenRun } from '../../client/worker-builds';
import { loadOptional } from '../../optional-package';
import { CliError, EXIT } from '../options/cli-error';
import { type ConfirmationFlags, canAsk, confirm, withConfirmation } from '../options/confirmation';
import { type ConnectionFlags, connectOptions, withTemporal } from '../options/connection';
import { durationOf } from '../options/option-value';
import { printJson, printLine, printNote, printTable } from '../options/output';
import { type BuildFlags, buildOf, withBuild } from '../options/worker-build';

interface MigrateFlags extends ConnectionFlags, ConfirmationFlags, BuildFlags {
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly wait: number;
}

const WAIT = '10m';

/** Adds `cutover migrate-workers`: a build becomes current, and open runs move to it. */
export function registerMigrateWorkers(program: Command): void {
  withConfirmation(
    withBuild(
      withTemporal(
        program
          .command('migrate-workers')
          .description('make a build of the workers current, and move open migrations to it'),
      ),
      'the build that takes over',
    ),
  )
    .option('--dry-run', 'show what would move, and change nothing')
    .option(
      '--wait <duration>',
      'for how long open migrations may take',
      durationOf('a duration above zero, such as 10m', { leastMs: 1 }),
      durationOf('a duration', { leastMs: 1 })(WAIT),
    )
    .addHelpText(
      'after',
      '\nMoves no traffic. Each open migration and fine-tuning ends its run at the next safe point and continues as new on\n' +
        'workers of the build; what has moved is printed, and then the previous workers can be stopped. If no worker polls\n' +
        'for the build of a migration any more, it is moved in the middle of its run, provided that this release replays its history.\n' +
        'Exit code 2: no worker has the build; 3: refused, and nothing was changed; 4: not all have moved in time.\n' +
        '\nExamples:\n  cutover migrate-workers --deployment cutover --build-id 1.4.0 --dry-run\n' +
        '  cutover migrate-workers --deployment cutover --build-id 1.4.0 --yes',
    )
    .action(runMigrateWorkers);
}

async function runMigrateWorkers(flags: MigrateFlags): Promise<void> {
  const { dryRun = false, json = false } = flags;
  const target = buildOf(flags);
  if (target === undefined) {
    throw new CliError(
      'expected --deployment and --build-id: the build that takes over, got none',
      EXIT.badInput,
    );
  }
  const move = await BuildMove.connect(connectOptions(flags));
  try {
    const plan = await move.plan(target);
    if (json && dryRun) return printJson({ dryRun, ...planJson(plan) });
    if (!json) show(plan);
    if (dryRun) {
      if (canAsk(flags)) printLine('dry run: nothing was changed');
      return;
    }
    const { replayProblem } = await loadOptional(
      () => import('../../workflow-replay.js'),
      'replaying what is open needs @temporalio/worker',
      ['@temporalio/worker'],
    );
    const moving = plan.moves.filter(({ how }) => how !== 'there').length;
    await confirm(`Make ${buildText(target)} current and move ${openText(moving)}?`, flags);
    const left = await move.carryOut(plan, {
      replayProblem,
      waitMs: flags.wait,
      ...(json ? {} : { onMoved: (run: OpenRun) => printLine(`${run.name}: on ${buildText(target)}`) }),
    });
    if (json) printJson({ dryRun, ...planJson(plan), left: left.map(({ kind, name }) => ({ kind, name })) });
    if (left.length > 0) {
      throw new CliError(
        `not moved in time: ${left.map(({ name, build }) => `${name} (${buildText(build)})`).join(', ')}. Keep the workers of these builds, and run this again`,
        EXIT.unreachable,
      );
    }
    if (!json) printNote(`nothing is left on other builds: their workers can be stopped`);
  } finally {
    await move.close();
  }
}

function show({ target, current, moves }: MovePlan): void {
  const now = isSameBuild(current, target) ? 'is current' : `takes over from ${buildText(current)}`;
  printLine(`${buildText(target)} ${now}; ${openText(moves.length)}`);
  if (moves.length === 0) return;
  printTable(
    ['OPEN', 'KIND', 'ON', 'HOW IT MOVES'],
    moves.map((each) => [each.run.name, each.run.kind, each.run.build?.buildId ?? '-', howText(each)]),
  );
}

function howText({ run, how }: RunMove): string {
  switch (how) {
    case 'there':
      return 'is there';
    case 'continue':
      return 'continues as new';
    case 'replay':
      return run.build === null
        ? 'in the middle of its run'
        : 'in the middle of its run: no worker of its build polls';
    default:
      return how satisfies never;
  }
}

function openText(count: number): string {
  return `${count} open ${count === 1 ? 'run' : 'runs'}`;
}

function planJson({ target, current, moves }: MovePlan): object {
  return {
    target,
    current,
    runs: moves.map(({ run: { kind, name, runId, build }, how }) => ({ kind, name, runId, build, how })),
  };
}
