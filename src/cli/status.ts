import type { Command } from 'commander';
import { type ConnectionFlags, forRoute, routeOf, withClient } from './connection';
import { instantText } from './instant';
import { printJson, printLine, printTable } from './output';
import { statusLines } from './status-view';

interface StatusFlags extends ConnectionFlags {
  readonly all?: boolean;
}

/** Adds `cutover status`: where a migration stands. */
export function registerStatus(program: Command): void {
  forRoute(program.command('status').description('show where the migration of a route stands'))
    .option('--all', 'list all migrations of the route that Temporal still keeps; needs no worker')
    .addHelpText(
      'after',
      '\nExamples:\n  cutover status chat\n  cutover status chat --json\n  cutover status chat --all',
    )
    .action(runStatus);
}

async function runStatus(given: string | undefined, flags: StatusFlags): Promise<void> {
  const route = routeOf(given, flags);
  await withClient(flags, async (client) => {
    if (flags.all === true) {
      const migrations = await client.history(route);
      if (flags.json === true) return printJson({ route, migrations });
      return printTable(
        ['MIGRATION', 'TEMPORAL', 'ENDED', 'OUTCOME', 'REASON'],
        migrations.map(({ migrationId, status, closedAt, result }) => [
          migrationId,
          status.toLowerCase(),
          closedAt === null ? '-' : instantText(closedAt.getTime()),
          result?.outcome ?? '-',
          result?.reason ?? '',
        ]),
      );
    }
    const status = await client.status(route);
    if (flags.json === true) return printJson(status);
    for (const line of statusLines(status)) printLine(line);
  });
}
