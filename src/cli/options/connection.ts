import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { MigrationClient } from '../../client';
import { NoMigration } from '../../client/errors';
import type { ConnectOptions } from '../../client/temporal-service';
import { configurationPath, environment, loadConfiguration } from '../../config';
import { nearestWord } from '../../core/configuration/known-fields';
import { nameSchema, parseDocument } from '../../core/configuration/schema-parts';
import { CliError, EXIT } from './cli-error';
import { operatorName } from './operator-name';

/** What every command that talks to a migration can be given. */
export interface ConnectionFlags {
  readonly config?: string;
  readonly address?: string;
  readonly namespace?: string;
  readonly dataConverter?: string;
  readonly json?: boolean;
}

/** What a command that changes something can be given beside. */
export interface OperatorFlags extends ConnectionFlags {
  readonly by?: string;
  readonly reason: string;
}

/** Adds the route and the flags of `ConnectionFlags` to a command. */
export function forRoute(command: Command): Command {
  return withConnection(command.argument('[route]', 'the route; optional if only one is configured'));
}

/** Adds the flags of `ConnectionFlags` to a command. */
export function withConnection(command: Command): Command {
  return withTemporal(
    command.option('--config <file>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)'),
  );
}

/** Adds what a command needs to reach Temporal, for those that read no configuration. */
export function withTemporal(command: Command): Command {
  return command
    .option(
      '--address <host:port>',
      "Temporal's address (default: TEMPORAL_ADDRESS or a profile, then 127.0.0.1:7233)",
    )
    .option(
      '--namespace <name>',
      'Temporal namespace (default: TEMPORAL_NAMESPACE or a profile, then default)',
    )
    .addOption(dataConverterOption())
    .option('--json', 'print JSON');
}

/** `--data-converter`, the same wherever Temporal is talked to. */
export function dataConverterOption(): Option {
  return new Option(
    '--data-converter <module>',
    'module with payloadCodecs that encode what Temporal keeps (default: CUTOVER_DATA_CONVERTER, else none)',
  );
}

/** Adds `--by` and `--reason`, which are recorded with what a command changes. */
export function forOperator(command: Command): Command {
  return command
    .option('--by <name>', `who asks; recorded before the user of this machine (${operatorName()})`)
    .option('--reason <text>', 'why; it is recorded', '');
}

/** What a command that reads a migration can be given. */
export interface RunFlags extends ConnectionFlags {
  readonly run?: string;
}

/** Adds `--run`. */
export function ofRun(command: Command): Command {
  return command.option(
    '--run <id>',
    'a migration or run id, as `cutover history` lists them (default: the newest)',
  );
}

/** The run id that a person's id means, for queries; nothing where none was given. Throws `NoMigration`. */
export async function runIdOf(
  client: MigrationClient,
  route: string,
  { run }: RunFlags,
): Promise<{ readonly runId?: string }> {
  return run === undefined ? {} : { runId: (await client.find(route, run)).runId };
}

/** The route that was given, or the only one of the configuration. */
export function routeOf(given: string | undefined, flags: ConnectionFlags): string {
  if (given !== undefined) return parseDocument(nameSchema, given, 'the route');
  const path = configurationPath(flags.config);
  if (flags.config === undefined && environment['CUTOVER_CONFIG'] === undefined && !existsSync(path)) {
    throw new CliError(
      `expected a route: none was given, and there is no ./${path} to take it from: name it, or write one with \`cutover init\``,
      EXIT.badInput,
    );
  }
  const routes = Object.keys(loadConfiguration(path).routes);
  const [only] = routes;
  if (routes.length === 1 && only !== undefined) return only;
  throw new CliError(`expected a route: ${path} has ${routes.join(', ')}`, EXIT.badInput);
}

/** Where a client finds Temporal by the flags of a command. */
export function connectOptions({ address, namespace, dataConverter }: ConnectionFlags): ConnectOptions {
  return {
    ...(address === undefined ? {} : { address }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(dataConverter === undefined ? {} : { dataConverter }),
  };
}

/** Connects, works, and closes the connection whatever happens. */
export async function withClient<T>(
  flags: ConnectionFlags,
  work: (client: MigrationClient) => Promise<T>,
): Promise<T> {
  const client = await MigrationClient.connect(connectOptions(flags));
  try {
    return await work(client);
  } catch (error) {
    throw error instanceof NoMigration ? withNearRoute(error, flags) : error;
  } finally {
    await client.close();
  }
}

/** A route that nobody has moved may be one that is misspelt. */
function withNearRoute(error: NoMigration, flags: ConnectionFlags): Error {
  try {
    const routes = Object.keys(loadConfiguration(configurationPath(flags.config)).routes);
    if (routes.includes(error.route)) return error;
    const near = nearestWord(error.route, routes);
    const known = near === null ? `expected one of ${routes.join(', ')}` : `did you mean ${near}?`;
    return new CliError(
      `there is no migration of the route "${error.route}", and the configuration has no such route: ${known}`,
      EXIT.badInput,
      {
        cause: error,
      },
    );
  } catch {
    // A fault in the configuration is not an answer to what was asked.
    return error;
  }
}
