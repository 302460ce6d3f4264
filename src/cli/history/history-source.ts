import type { Command } from 'commander';
import { type MigrationClient, NoWorker } from '../../client';
import type { Checkpoint } from '../../core/migration/checkpoint';
import { isExport } from '../../core/record/record-chain';
import { type RecordedMigration, readMigration } from '../../history/recorded-migration';
import { InvalidHistory } from '../../history/temporal-history';
import { CliError, EXIT } from '../options/cli-error';
import { ofRun, type RunFlags, routeOf, runIdOf, withClient } from '../options/connection';
import { printNote } from '../options/output';
import { readTextFile } from '../options/text-file';

/** What commands that read a history can be given. */
export interface HistoryFlags extends RunFlags {
  readonly history?: string;
}

/** Adds `--history` and `--run`. */
export function withHistory(command: Command): Command {
  return ofRun(command).option(
    '--history <file>',
    'read this history instead of Temporal: what `temporal workflow show -o json` or `cutover export --history` wrote',
  );
}

/** A migration's history as a file keeps it: of all runs, with the checkpoints where a worker told them. */
export interface HistoryDocument {
  readonly format: 'cutover-history';
  readonly version: 1;
  readonly route: string;
  readonly exportedAt: string;
  readonly runs: readonly unknown[];
  readonly checkpoints: readonly Checkpoint[] | null;
}

/** The migration of a history file, or the newest one of a route as Temporal has it. */
export async function migrationOf(
  given: string | undefined,
  flags: HistoryFlags,
): Promise<RecordedMigration> {
  if (flags.history !== undefined) {
    if (flags.run !== undefined) throw new CliError('expected one of --history and --run', EXIT.badInput);
    return migrationIn(flags.history, given);
  }
  const route = routeOf(given, flags);
  return readMigration(await withClient(flags, (client) => fetchDocument(client, route, flags)));
}

/** Fetches everything that a history file holds; without a worker, without the checkpoints. */
export async function fetchDocument(
  client: MigrationClient,
  route: string,
  flags: RunFlags,
): Promise<HistoryDocument> {
  const runs = await client.fetchHistory(route, flags.run);
  return {
    format: 'cutover-history',
    version: 1,
    route,
    exportedAt: new Date().toISOString(),
    runs,
    checkpoints: await checkpointsOf(client, route, await runIdOf(client, route, flags)),
  };
}

const WORKER_WAIT_MS = 5_000;

async function checkpointsOf(
  client: MigrationClient,
  route: string,
  run: { readonly runId?: string },
): Promise<readonly Checkpoint[] | null> {
  try {
    const all: Checkpoint[] = [];
    for await (const entry of client.checkpoints(route, { ...run, workerWaitMs: WORKER_WAIT_MS }))
      all.push(entry);
    return all;
  } catch (error) {
    if (!(error instanceof NoWorker)) throw error;
    printNote('no worker answers: the checkpoints are retraced from the history');
    return null;
  }
}

function migrationIn(file: string, route: string | undefined): RecordedMigration {
  const migration = read(file);
  if (route !== undefined && route !== migration.route) {
    throw new CliError(
      `expected the history of "${route}", ${file} is of "${migration.route}"`,
      EXIT.badInput,
    );
  }
  return migration;
}

function read(file: string): RecordedMigration {
  const text = readTextFile(file);
  if (isExport(text)) {
    throw new CliError(
      `${file}: expected a history, got an exported record, which only \`cutover report --record\` reads`,
      EXIT.badInput,
    );
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new CliError(`${file}: expected a history as JSON`, EXIT.badInput, { cause });
  }
  try {
    return readMigration(document);
  } catch (error) {
    if (error instanceof InvalidHistory) {
      throw new CliError(`${file}: ${error.message}`, EXIT.badInput, { cause: error });
    }
    throw error;
  }
}
