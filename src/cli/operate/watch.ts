import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { MigrationClient } from '../../client';
import { environment } from '../../config';
import type { MigrationStatus } from '../../core/migration/status';
import { CliError, EXIT } from '../options/cli-error';
import { type ConnectionFlags, forRoute, routeOf, withClient } from '../options/connection';
import { failureOf } from '../options/failure';
import { durationOf } from '../options/option-value';
import { printJson, printLine, printNote } from '../options/output';
import { type GatewayAnswers, readConfiguredGateways } from './gateway-answers';
import { differencesIn, statusLine } from './status-view';
import { watchLive } from './watch-live';

interface WatchFlags extends ConnectionFlags {
  readonly interval?: number;
  readonly plain?: boolean;
}

const INTERVAL_MS = 1_000;
const interval = durationOf('a duration of at least 100ms, such as 10s', { leastMs: 100 });

/** Adds `cutover watch`: a live view on a terminal, one line a change elsewhere, until the migration closes. */
export function registerWatch(program: Command): void {
  forRoute(program.command('watch').description('watch a migration live until it closes (read-only)'))
    .option('--interval <duration>', 'how often to look, such as 500ms or 10s (default: 1s)', interval)
    .option('--plain', 'one line per change, as when the output is not a terminal')
    .addHelpText(
      'after',
      '\nOn a terminal a live view; q leaves it, NO_COLOR=1 removes its colours. Elsewhere one line per change, with --json one JSON document.\n' +
        'If there is a configuration, the gateways are read as well.\n' +
        '\nExit code 0: completed, or left with q. 5: rolled back or rejected.\n\nExamples:\n  cutover watch chat\n  cutover watch chat --interval 10s --json',
    )
    .action(runWatch);
}

async function runWatch(given: string | undefined, flags: WatchFlags): Promise<void> {
  const route = routeOf(given, flags);
  const { stdout } = process;
  const isLive =
    stdout.isTTY && flags.json !== true && flags.plain !== true && environment['TERM'] !== 'dumb';
  const last = await withClient(flags, (client) =>
    isLive
      ? watchLive(client, route, { config: flags.config, intervalMs: flags.interval ?? INTERVAL_MS })
      : watchUntilClosed(client, route, flags),
  );
  if (last === null || last.outcome === 'completed') return;
  throw new CliError(
    `${last.migrationId} ended: ${last.outcome ?? last.endedByTemporal ?? 'without an outcome'}`,
    EXIT.negative,
  );
}

async function watchUntilClosed(
  client: MigrationClient,
  route: string,
  flags: WatchFlags,
): Promise<MigrationStatus> {
  let status = await client.status(route);
  let shown = '';
  let trouble = '';
  // What gateways serve is asked at the same time: those that do not answer hold up nothing.
  let serving: GatewayAnswers = { gateways: [], problem: null };
  let isAsking = false;
  for (;;) {
    if (!isAsking) {
      isAsking = true;
      void readConfiguredGateways(flags.config, route)
        .then((answers) => {
          serving = answers;
        })
        .catch(() => undefined)
        .finally(() => {
          isAsking = false;
        });
    }
    const differs = differencesIn(serving, status);
    const sighting = { ...status, differs };
    const line =
      flags.json === true ? JSON.stringify(sighting) : [statusLine(status), ...differs].join('  DIFFERS: ');
    if (line !== shown) {
      if (flags.json === true) printJson(sighting);
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
