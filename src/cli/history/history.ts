import type { Command } from 'commander';
import { endText, type PastMigration } from '../../client';
import { headlineOf, utcMinuteText } from '../../core/migration/end-cause';
import { endingOfMigration } from '../../history/manager-sentences';
import { readMigration } from '../../history/recorded-migration';
import { InvalidHistory } from '../../history/temporal-history';
import { type ConnectionFlags, forRoute, routeOf, withClient } from '../options/connection';
import { instantText } from '../options/instant';
import { printJson, printNote, printTable } from '../options/output';

/** Adds `cutover history`: every migration of a route that Temporal still keeps. */
export function registerHistory(program: Command): void {
  forRoute(program.command('history').description('list all migrations of a route, newest first'))
    .addHelpText(
      'after',
      '\nAs long as Temporal keeps them (the retention of its namespace); needs no worker. Exports last longer.\n' +
        '\nExamples:\n  cutover history chat\n  cutover export chat --run chat-20260729t120005z-3f5a01 --out chat.jsonl',
    )
    .action(runHistory);
}

async function runHistory(given: string | undefined, flags: ConnectionFlags): Promise<void> {
  const route = routeOf(given, flags);
  const { migrations, ends } = await withClient(flags, async (client) => {
    const found = await client.history(route);
    const told: string[] = [];
    for (const past of found) {
      told.push(await howItEnded(past, async () => ({ runs: await client.fetchHistory(route, past.runId) })));
    }
    return { migrations: found, ends: told };
  });
  if (flags.json === true) {
    return printJson({ route, migrations: migrations.map((past, at) => ({ ...past, ended: ends[at] })) });
  }
  if (migrations.length === 0) return printNote(`Temporal keeps no migration of the route "${route}"`);
  printTable(
    ['MIGRATION', 'STARTED', 'ENDED', 'HOW IT ENDED', 'CHECKPOINTS', 'STARTED BY', 'STARTED FOR'],
    migrations.map((past, at) => row(past, ends[at] ?? '')),
  );
}

/**
 * How a migration ended and why, or why an open one does not advance, in a line. Results of older releases do not say why they were rolled back: their
 * histories do, which `fetch` brings.
 */
export async function howItEnded(past: PastMigration, fetch: () => Promise<unknown>): Promise<string> {
  const { closedAt, status, result, headline } = past;
  if (closedAt === null) return headline === '' ? status.toLowerCase() : `open. ${headline}`;
  if (result?.outcome !== 'rolled back' || result.headline !== undefined) return endText(past);
  try {
    const ending = endingOfMigration(readMigration(await fetch()));
    return ending === null ? endText(past) : headlineOf(ending, utcMinuteText);
  } catch (error) {
    if (error instanceof InvalidHistory) return endText(past);
    throw error;
  }
}

function row(past: PastMigration, ended: string): string[] {
  const { migrationId, startedAt, closedAt, by, reason, result } = past;
  return [
    migrationId,
    instantText(startedAt.getTime()),
    closedAt === null ? '-' : instantText(closedAt.getTime()),
    ended,
    result === null ? '-' : String(result.checkpoints),
    by,
    reason,
  ];
}
