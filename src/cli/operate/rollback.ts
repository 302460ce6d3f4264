import { type Command, InvalidArgumentError } from 'commander';
import { type CommandOutcome, CommandRefused, type MigrationClient } from '../../client';
import { utcMinuteText } from '../../core/migration/end-cause';
import type { MigrationStatus } from '../../core/migration/status';
import { CliError, EXIT } from '../options/cli-error';
import { forOperator, forRoute, type OperatorFlags, routeOf, withClient } from '../options/connection';
import { recordedOperator } from '../options/operator-name';
import { durationOf, positive } from '../options/option-value';
import { printJson, printLine, printNote } from '../options/output';
import { KillFallback } from './kill-fallback';

interface EmergencyFlags extends OperatorFlags {
  /** False after `--no-kill`. */
  readonly kill: boolean;
  readonly killAfter?: number;
}

interface RollbackFlags extends EmergencyFlags {
  readonly to?: number | 'previous';
}

/** Adds `cutover rollback`: back to legacy or to an earlier checkpoint, followed until it is verified. */
export function registerRollback(program: Command): void {
  withKillFallback(
    forOperator(
      forRoute(program.command('rollback').description('go back to legacy, and wait until it is verified')),
    ),
  )
    .option('--to <checkpoint>', 'a checkpoint that took effect, or `previous` (default: share 0)', target)
    .addHelpText(
      'after',
      `${CODES}\nExamples:\n  cutover rollback chat --reason "p95 doubled"\n  cutover rollback chat --to previous\n  cutover rollback chat --to 4`,
    )
    .action((route: string | undefined, flags: RollbackFlags) =>
      rollBack('rollback', route, flags, flags.to === undefined ? {} : { to: flags.to }),
    );
}

/** Adds `cutover emergency-rollback`: share 0 at once, requests in flight fail over. */
export function registerEmergencyRollback(program: Command): void {
  withKillFallback(
    forOperator(
      forRoute(
        program
          .command('emergency-rollback')
          .description('share 0 now; requests in flight fail over at once; wait until it is verified'),
      ),
    ),
  )
    .addHelpText('after', `${CODES}\nExample:\n  cutover emergency-rollback chat --reason "wrong answers"`)
    .action((route: string | undefined, flags: EmergencyFlags) =>
      rollBack('emergencyRollback', route, flags, {}),
    );
}

/** Adds the flags of the way that needs no Temporal. */
function withKillFallback(command: Command): Command {
  return command
    .option(
      '--kill-after <duration>',
      'how long the migration may take to record it (default: 10s)',
      patience,
    )
    .option('--no-kill', "do not set the gateways' kill switches where the migration does not answer");
}

const CODES = `
Sent as a signal: Temporal keeps it even with no worker alive. Where the migration does not record it in time, the
gateways' kill switches are set as by \`cutover kill\`, but not for a rollback to an earlier checkpoint.
Exit code 0: verified at every gateway, now or by an earlier rollback. 3: refused. 4: Temporal or a worker does not answer.
`;

const PROGRESS_AFTER_MS = 2_000;
const KILL_AFTER_MS = 10_000;
const patience = durationOf('a duration, such as 10s', { leastMs: 1 });

async function rollBack(
  name: 'rollback' | 'emergencyRollback',
  given: string | undefined,
  flags: EmergencyFlags,
  payload: { readonly to?: number | 'previous' },
): Promise<void> {
  const route = routeOf(given, flags);
  const by = recordedOperator('cli', flags.by);
  const { reason } = flags;
  const fallback =
    flags.kill && payload.to === undefined
      ? new KillFallback({
          ...{ route, config: flags.config, words: { by, reason }, note: printNote },
          afterMs: flags.killAfter ?? KILL_AFTER_MS,
        })
      : null;
  const outcome = await withClient(flags, async (client) => {
    try {
      const { commandId } = await client.command(route, name, { by, reason, ...payload });
      const followed = await follow(client, route, commandId, () => fallback?.cancel());
      if (followed.accepted || payload.to !== undefined) return followed;
      return (await alreadyBack(client, route)) ?? followed;
    } catch (error) {
      if (!(error instanceof CommandRefused) || payload.to !== undefined) throw error;
      const already = await alreadyBack(client, route);
      if (already === null) throw error;
      return already;
    }
  })
    .catch(async (error: unknown) => {
      throw await withWayOut(error, route, fallback);
    })
    .finally(() => fallback?.cancel());
  if ((await fallback?.result) != null) {
    printNote(`the kill switches stay set until \`cutover kill ${route} --clear\``);
  }
  if (flags.json === true) printJson({ route, command: name, ...outcome });
  if (!outcome.accepted) throw new CliError(`${name} was refused: ${outcome.message}`, EXIT.refused);
  if (flags.json !== true) printOutcome(outcome);
  if (!outcome.verified) throw new CliError(`not verified: ${outcome.message}`, EXIT.negative);
}

/** What was asked for is so already: the newest migration of the route was rolled back before. Null where it was not. */
async function alreadyBack(client: MigrationClient, route: string): Promise<CommandOutcome | null> {
  const { result, closedAt } = await client.newestPast(route);
  if (result?.outcome !== 'rolled back') return null;
  const { headline, reason, by = 'cutover', endedAtMs = closedAt?.getTime() ?? 0 } = result;
  // Results of older releases do not say who.
  const who = headline === undefined ? '' : ` by ${by}`;
  return {
    ...{ commandId: '', accepted: true, verified: true, checkpoint: null, share: 0, epoch: null },
    ...{ gateways: [], lapsed: [], missing: [] },
    message: [
      `already rolled back at ${utcMinuteText(endedAtMs)}${who}, ${reason}`,
      ...(headline === undefined ? [] : [headline]),
    ].join('\n'),
  };
}

async function follow(
  client: MigrationClient,
  route: string,
  commandId: string,
  onRecorded: () => void,
): Promise<CommandOutcome> {
  const startedMs = Date.now();
  let shown = '';
  const onProgress = (status: MigrationStatus): void => {
    const elapsedMs = Date.now() - startedMs;
    if (elapsedMs < PROGRESS_AFTER_MS) return;
    const missing = status.pending?.missing.join(', ') ?? '';
    const line = `waiting: ${missing === '' ? status.doing : `${missing} not confirmed yet`}`;
    if (line === shown) return;
    shown = line;
    printNote(`${line} (${Math.round(elapsedMs / 1_000)} s)`);
  };
  const silence = setTimeout(() => printNote('sent to Temporal; waiting for a worker'), PROGRESS_AFTER_MS);
  try {
    return await client.follow(route, commandId, {
      onProgress: (status) => {
        clearTimeout(silence);
        if (status.commands.some((command) => command.commandId === commandId)) onRecorded();
        onProgress(status);
      },
    });
  } finally {
    clearTimeout(silence);
  }
}

function printOutcome({
  message,
  checkpoint,
  verified,
  epoch,
  gateways,
  lapsed,
  missing,
}: CommandOutcome): void {
  printLine(`${message}${checkpoint === null ? '' : ` (checkpoint ${checkpoint})`}`);
  const facts = [
    `verified: ${verified}`,
    ...(epoch === null ? [] : [`epoch ${epoch}`]),
    ...(gateways.length === 0 ? [] : [`gateways ${gateways.join(', ')}`]),
    ...(lapsed.length === 0 ? [] : [`lease over at ${lapsed.join(', ')}`]),
    ...(missing.length === 0 ? [] : [`missing ${missing.join(', ')}`]),
  ];
  printLine(facts.join(', '));
}

/** Where the way through Temporal is blocked, the one that needs none is taken, or named where it must not be. */
async function withWayOut(error: unknown, route: string, fallback: KillFallback | null): Promise<unknown> {
  if (!(error instanceof Error)) return error;
  const { name, message } = error;
  // Sent without the right key it may reach nobody, and what came of it cannot be read.
  const isUnreadable = name === 'EncodedPayloads' || name === 'CodecFailed';
  if (name !== 'TemporalUnreachable' && name !== 'NoWorker' && !isUnreadable) return error;
  const kept =
    name === 'NoWorker'
      ? 'the rollback is recorded in Temporal and begins when a worker runs; '
      : isUnreadable
        ? 'whether the rollback was taken cannot be read here; '
        : '';
  const way =
    fallback === null
      ? `\`cutover kill ${route}\` takes the candidate off now, without Temporal`
      : `${await fallback.kill(isUnreadable ? 'the migration cannot be read here' : 'Temporal or a worker does not answer')}; \`cutover kill ${route}\` takes the candidate off now, without Temporal, and \`--clear\` ends that`;
  const exitCode = isUnreadable ? EXIT.badInput : EXIT.unreachable;
  return new CliError(`${message}\n${kept}${way}`, exitCode, { cause: error });
}

function target(value: string): number | 'previous' {
  if (value === 'previous') return value;
  try {
    return positive(value);
  } catch {
    throw new InvalidArgumentError('expected a checkpoint number, or `previous`');
  }
}
