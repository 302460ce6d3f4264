import type { Command } from 'commander';
import { type ConnectionFlags, forRoute, routeOf, withClient } from './connection';
import { printJson, printLine } from './output';
import { statusLines } from './status-view';

/** Adds `cutover status`: where a migration stands. */
export function registerStatus(program: Command): void {
  forRoute(program.command('status').description('show where the migration of a route stands'))
    .addHelpText('after', '\nExamples:\n  cutover status chat\n  cutover status chat --json')
    .action(runStatus);
}

async function runStatus(given: string | undefined, flags: ConnectionFlags): Promise<void> {
  const route = routeOf(given, flags);
  await withClient(flags, async (client) => {
    const status = await client.status(route);
    if (flags.json === true) return printJson(status);
    for (const line of statusLines(status)) printLine(line);
  });
}
