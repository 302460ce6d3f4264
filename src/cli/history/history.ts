import type { Command } from 'commander';
import { endText, type PastMigration } from '../../client';
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
  const migrations = await withClient(flags, (client) => client.history(route));
  if (flags.json === true) return printJson({ route, migrations });
  if (migrations.length === 0) return printNote(`Temporal keeps no migration of the route "${route}"`);
  printTable(
    ['MIGRATION', 'STARTED', 'ENDED', 'HOW IT ENDED', 'CHECKPOINTS', 'STARTED BY', 'STARTED FOR'],
    migrations.map(row),
  );
}

function row(past: PastMigration): string[] {
  const { migrationId, startedAt, closedAt, status, by, reason, result } = past;
  return [
    migrationId,
    instantText(startedAt.getTime()),
    closedAt === null ? '-' : instantText(closedAt.getTime()),
    closedAt === null ? status.toLowerCase() : endText(past),
    result === null ? '-' : String(result.checkpoints),
    by,
    reason,
  ];
}
