import type { Command } from 'commander';
import type { SentCommand } from '../../client';
import { verdictLine } from '../../core/gates/verdict-text';
import type { CommandName } from '../../core/migration/command';
import type { MigrationStatus } from '../../core/migration/status';
import { formatShare } from '../../core/plan/plan';
import { CliError, EXIT } from '../options/cli-error';
import { type ConfirmationFlags, canAsk, confirm, withConfirmation } from '../options/confirmation';
import { forOperator, forRoute, type OperatorFlags, routeOf, withClient } from '../options/connection';
import { recordedOperator } from '../options/operator-name';
import { positive } from '../options/option-value';
import { printJson, printLine, printNote } from '../options/output';

/** Adds `cutover pause`. */
export function registerPause(program: Command): void {
  forOperator(
    forRoute(program.command('pause').description('stop advancing; the candidate is still watched')),
  )
    .addHelpText('after', '\nExample:\n  cutover pause chat --reason "release in progress"')
    .action((route: string | undefined, flags: OperatorFlags) => send('pause', route, flags, {}));
}

interface ResumeFlags extends OperatorFlags, ConfirmationFlags {
  readonly json?: boolean;
  readonly reapply?: boolean;
}

/** Adds `cutover resume`. */
export function registerResume(program: Command): void {
  withConfirmation(forOperator(forRoute(program.command('resume').description('continue after a pause'))))
    .option('--reapply', 'after drift: apply our routing again under a new epoch; asks first')
    .addHelpText(
      'after',
      '\nExamples:\n  cutover resume chat\n  cutover resume chat --reapply --reason "the change was a test"',
    )
    .action(async (given: string | undefined, flags: ResumeFlags) => {
      if (flags.reapply !== true) return send('resume', given, flags, {});
      const route = routeOf(given, flags);
      await confirmed(route, flags, reapplyText);
      return send('resume', route, flags, { accept: 'reapply' });
    });
}

/** Adds `cutover reevaluate`. */
export function registerReevaluate(program: Command): void {
  forOperator(
    forRoute(program.command('reevaluate').description('end the window now and judge the stage again')),
  )
    .addHelpText('after', '\nExample:\n  cutover reevaluate chat')
    .action((route: string | undefined, flags: OperatorFlags) => send('reevaluate', route, flags, {}));
}

interface ApproveFlags extends OperatorFlags {
  readonly checkpoint: number;
  readonly digest?: string;
}

/** Adds `cutover approve`: the answer to what a checkpoint asks for. */
export function registerApprove(program: Command): void {
  forOperator(forRoute(program.command('approve').description('approve what a checkpoint asks for')))
    .requiredOption(
      '--checkpoint <number>',
      'the checkpoint that asks, as `cutover status` shows it',
      positive,
    )
    .option(
      '--digest <hash>',
      'of the evidence that you looked at: refused if the question is now about other evidence',
    )
    .addHelpText(
      'after',
      '\nRefused when the question has changed meanwhile. To say no, pause or roll back.\n' +
        '\nExample:\n  cutover approve chat --checkpoint 7 --reason "compared 200 answers by hand"',
    )
    .action((route: string | undefined, { checkpoint, digest, ...flags }: ApproveFlags) =>
      send('approve', route, flags, { checkpoint, ...(digest === undefined ? {} : { digest }) }),
    );
}

/** Adds `cutover finish`. */
export function registerFinish(program: Command): void {
  withConfirmation(
    forOperator(forRoute(program.command('finish').description('close a migration that is in handover'))),
  )
    .addHelpText(
      'after',
      '\nNeeds --reason, and asks first: no rollback is possible afterwards. Without this command a migration closes on its own once every gateway declares `settled: candidate`.\n' +
        '\nExample:\n  cutover finish chat --reason "gateway 3 is gone for good"',
    )
    .action(
      async (given: string | undefined, flags: OperatorFlags & ConfirmationFlags & { json?: boolean }) => {
        const route = routeOf(given, flags);
        // Without a reason it is refused below, and nobody need be asked.
        if (flags.reason !== '') await confirmed(route, flags, finishText);
        return send('finish', route, flags, {});
      },
    );
}

interface PromoteFlags extends OperatorFlags, ConfirmationFlags {
  readonly json?: boolean;
  readonly route?: string;
  readonly override?: boolean;
  readonly checkpoint?: number;
}

/** Adds `cutover promote`: leave a stage that has passed, or override with a reason. */
export function registerPromote(program: Command): void {
  withConfirmation(
    forOperator(
      forRoute(
        program
          .command('promote')
          .description('leave a stage that has passed')
          .argument('<stage>', 'the stage to leave: the current one'),
      ),
    ),
  )
    .option('--override', 'without a pass: needs --reason and --checkpoint, and asks first')
    .option('--checkpoint <number>', 'the checkpoint in effect that you looked at', positive)
    .addHelpText(
      'after',
      '\nExamples:\n  cutover promote canary chat\n' +
        '  cutover promote canary chat --override --checkpoint 4 --reason "traffic is too low tonight"',
    )
    .action(async (stage: string, given: string | undefined, flags: PromoteFlags) => {
      const { override = false, checkpoint } = flags;
      const route = routeOf(given, flags);
      // What lacks reason or checkpoint is refused below, and nobody need be asked.
      if (override && flags.reason !== '' && checkpoint !== undefined) {
        await confirmed(route, flags, overrideText);
      }
      return send('promote', route, flags, {
        stage,
        override,
        ...(checkpoint === undefined ? {} : { checkpoint }),
      });
    });
}

/** Shows what a command is about to do to a migration, and asks; scripts that bring `--yes` wait for nothing. */
async function confirmed(
  route: string,
  flags: OperatorFlags & ConfirmationFlags,
  text: (status: MigrationStatus) => string,
): Promise<void> {
  if (flags.yes !== true && canAsk(flags)) {
    printNote(`${route}: ${text(await withClient(flags, (client) => client.status(route)))}`);
  }
  await confirm('Do it?', flags);
}

function overrideText({ stage, stages, share, verdict }: MigrationStatus): string {
  const next = stages[stages.findIndex(({ name }) => name === stage) + 1];
  const to = next === undefined ? 'its end' : `${next.name} at ${formatShare(next.share)}`;
  const why = verdict === null ? 'there is no verdict yet' : verdictLine(verdict, false);
  return `leaves ${stage} at ${formatShare(share)} for ${to} without a pass (${why})`;
}

function finishText({ share, roster, settled }: MigrationStatus): string {
  const open = roster.filter((name) => !settled.includes(name));
  const rest =
    open.length === 0
      ? 'every gateway declares `settled: candidate`'
      : `${open.join(', ')} ${open.length === 1 ? 'does' : 'do'} not declare \`settled: candidate\` yet`;
  return `closes at ${formatShare(share)}; nothing watches or rolls back from then on; ${rest}`;
}

function reapplyText({ share, stage, drift }: MigrationStatus): string {
  const over = drift === null ? '' : `, over what ${drift.gateway} holds (${drift.kind}: ${drift.detail})`;
  return `applies ${stage} at ${formatShare(share)} again at every gateway${over}`;
}

/** Sends a command as an update, or as a signal where no worker answers, and prints what came of it. */
export async function send(
  name: CommandName,
  given: string | undefined,
  flags: OperatorFlags,
  payload: Readonly<Record<string, unknown>>,
): Promise<void> {
  const route = routeOf(given, flags);
  const by = recordedOperator('cli', flags.by);
  const { reason } = flags;
  const sent: SentCommand = await withClient(flags, (client) =>
    client.command(route, name, { by, reason, ...payload }),
  );
  if (flags.json === true) printJson({ route, command: name, ...sent });
  if (sent.answer === null) {
    throw new CliError(
      `no worker answered: ${name} is recorded in Temporal and is decided when one runs; \`cutover status ${route}\` then shows what became of it`,
      EXIT.unreachable,
    );
  }
  const { message, checkpoint } = sent.answer;
  if (flags.json !== true) printLine(`${message}${checkpoint === null ? '' : ` (checkpoint ${checkpoint})`}`);
}
