import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { MigrationClient } from '../client';
import { parseDuration } from '../core/duration';
import type { MigrationStatus } from '../core/status';
import { CliError, EXIT } from './cli-error';
import { type ConnectionFlags, forRoute, routeOf, withClient } from './connection';
import { failureOf } from './failure';
import { printJson, printLine, printNote } from './output';
import { statusLine } from './status-view';

interface WatchFlags extends ConnectionFlags {
  readonly interval?: number;
}

const INTERVAL_MS = 1_000;
const SHORTEST_INTERVAL_MS = 100;

/** Adds `cutover watch`: one line a change until the migration closes. */
export function registerWatch(program: Command): void {
  forRoute(program.command('watch').description('print a line a change until the migration closes'))
    .option('--interval <duration>', 'how often to look, such as 500ms or 10s (default: 1s)', interval)
    .addHelpText(
      'after',
      '\nExit code 0: completed. 5: rolled back or rejected.\n\nExamples:\n  cutover watch chat\n  cutover watch chat --interval 10s --json',
    )
    .action(runWatch);
}

async function runWatch(given: string | undefined, flags: WatchFlags): Promise<void> {
  const route = routeOf(given, flags);
  const last = await withClient(flags, (client) => watchUntilClosed(client, route, flags));
  if (last.outcome !== 'completed') {
    throw new CliError(`${last.migrationId} ended: ${last.outcome ?? 'without an outcome'}`, EXIT.negative);
  }
}

async function watchUntilClosed(
  client: MigrationClient,
  route: string,
  flags: WatchFlags,
): Promise<MigrationStatus> {
  let status = await client.status(route);
  let shown = '';
  let trouble = '';
  for (;;) {
    const line = flags.json === true ? JSON.stringify(status) : statusLine(status);
    if (line !== shown) {
      if (flags.json === true) printJson(status);
      else printLine(`${new Date().toLocaleTimeString('en-GB')}  ${line}`);
      shown = line;
    }
    if (status.phase === 'closed') return status;
    await sleep(flags.interval ?? INTERVAL_MS);
    try {
      status = await client.status(route);
      trouble = '';
    } catch (error) {
      // A worker or Temporal that restarts does not end a watch that has begun.
      const { message, exitCode } = failureOf(error);
      if (exitCode !== EXIT.unreachable) throw error;
      if (message !== trouble) printNote(`${message}; still watching`);
      trouble = message;
    }
  }
}

function interval(value: string): number {
  const intervalMs = parseDuration(value);
  if (intervalMs === null || intervalMs < SHORTEST_INTERVAL_MS) {
    throw new InvalidArgumentError(`expected a duration of at least ${SHORTEST_INTERVAL_MS}ms, such as 10s`);
  }
  return intervalMs;
}
