import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { TemporalUnreachable } from '../../client/errors';
import {
  cacheDirectory,
  configurationPath,
  environment,
  loadConfiguration,
  resolveSecret,
} from '../../config';
import { SEARCH_ATTRIBUTES } from '../../contract';
import { startGatewayServer } from '../../gateway/main';
import { refuseUnknownGateway } from '../../gateway/routing/configured-gateway';
import { loadWorker } from '../../load-worker';
import { startTemporalServer } from '../../temporal-server/dev-server';
import { findTemporal } from '../../temporal-server/temporal-source';
import { CliError, EXIT } from '../options/cli-error';
import { dataConverterOption } from '../options/connection';
import { portNumber } from '../options/option-value';
import { printJson, printNote } from '../options/output';
import { keepWorker } from './kept-worker';
import { showMigrations } from './migration-lines';
import { explainedListenProblem } from './port-taken';
import { stateDirectoryNote } from './state-directory';
import { type Stoppable, untilStopped } from './until-stopped';

interface UpOptions {
  readonly config?: string;
  readonly gateway?: string;
  readonly data: string;
  readonly dataConverter?: string;
  readonly temporalPort: number;
  readonly uiPort: number;
  readonly log?: string;
  readonly reports?: string;
  readonly json?: true;
}

/** `cutover up`: Temporal with a database file, worker and gateway in one terminal; Ctrl-C stops all. */
export function registerUp(program: Command): void {
  program
    .command('up')
    .description('run Temporal (embedded, unless one is configured), worker and gateway in one terminal')
    .option('--config <file>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)')
    .option('--gateway <name>', 'which gateway of the configuration to run (default: the first)')
    .option('--data <folder>', "where Temporal's database is kept", '.cutover')
    .option('--temporal-port <port>', "the embedded Temporal's port", portNumber, 7_233)
    .option('--ui-port <port>', "the embedded Temporal's UI", portNumber, 8_233)
    .option('--log <target>', 'request log: stdout, none, or a file (default: gateway.log in --data)')
    .option('--reports <folder>', 'write a report of every migration that ends, as HTML and Markdown')
    .addOption(dataConverterOption())
    .option('--json', 'print the addresses as one JSON line once everything runs')
    .addHelpText(
      'after',
      '\nAt a terminal it shows where each migration stands; the log of requests goes to a file.\n' +
        '\nExample:\n  $ cutover up --config cutover.yaml',
    )
    .action(async (options: UpOptions) => {
      const { startWorker } = await loadWorker(['@temporalio/testing']);
      const path = configurationPath(options.config);
      const configuration = loadConfiguration(path);
      const gatewayName = options.gateway ?? configuration.gateways[0]?.name;
      refuseUnknownGateway(gatewayName, configuration, false);
      const { dataConverter } = options;
      const converter = dataConverter === undefined ? {} : { dataConverter };
      const parts: Stoppable[] = [];
      try {
        const temporal = await startTemporal(options, parts);
        const startOne = () =>
          startWorker({
            connection: temporal.connection,
            namespace: temporal.namespace,
            configuration,
            resolveSecret,
            trains: true,
            ...converter,
            ...(options.reports === undefined ? {} : { reportsFolder: resolve(options.reports) }),
          });
        const worker = await keepWorker(startOne, { note: printNote });
        parts.push(worker);
        printNote('worker: running');
        const note = await stateDirectoryNote(configuration);
        if (note !== null) printNote(note);
        const log = options.log ?? join(options.data, 'gateway.log');
        const gateway = await startGatewayServer({
          configuration,
          readConfiguration: () => loadConfiguration(path),
          resolveSecret,
          log: log === 'stdout' || log === 'none' ? log : { file: log },
          ...(gatewayName === undefined ? {} : { name: gatewayName }),
        }).catch((error: unknown) => {
          throw explainedListenProblem(
            error,
            `stop what uses it, or change \`data\` or \`admin\` of the gateway in ${path}`,
          );
        });
        parts.push({ stopped: new Promise(() => undefined), stop: () => gateway.stop() });
        printNote(`gateway ${gateway.name}: ${gateway.dataUrl}, admin ${gateway.adminUrl}; log: ${log}`);
        const { address, uiUrl } = temporal;
        if (options.json)
          printJson({ temporal: address, ui: uiUrl, gateway: gateway.dataUrl, admin: gateway.adminUrl });
        if (uiUrl !== null && options.temporalPort !== 7_233) {
          printNote(`in other terminals first: export TEMPORAL_ADDRESS=${address}`);
        }
        printNote('running; Ctrl-C stops all');
        if (process.stderr.isTTY === true) {
          const { namespace } = temporal;
          const routes = Object.keys(configuration.routes);
          parts.push(showMigrations({ address, namespace, ...converter, routes, print: printNote }));
        }
      } catch (error) {
        for (const part of parts.reverse()) await part.stop();
        throw withoutAnother(error);
      }
      // A terminal that is closed must not leave a Temporal server behind, which would hold its ports.
      await untilStopped(parts, { atHangup: true });
    });
}

/** Where a configured Temporal does not answer, `up` could run one of its own. */
function withoutAnother(error: unknown): unknown {
  if (!(error instanceof TemporalUnreachable) || error.problem === undefined) return error;
  const hint = 'correct TEMPORAL_ADDRESS or the profile, or unset it: then `cutover up` runs one of its own';
  return new CliError(
    `cannot use Temporal at ${error.address}: ${error.problem}: ${hint}`,
    EXIT.unreachable,
    { cause: error },
  );
}

async function startTemporal(options: UpOptions, parts: Stoppable[]) {
  const source = await findTemporal({ env: environment, cacheDir: cacheDirectory(), report: printNote });
  if (source.kind === 'address') {
    const { tls, apiKey, metadata } = source.connectionOptions ?? {};
    printNote(`Temporal: ${source.address}, namespace ${source.namespace} (${source.foundBy})`);
    return {
      connection: {
        address: source.address,
        ...(tls === undefined ? {} : { tls }),
        ...(apiKey === undefined ? {} : { apiKey }),
        ...(metadata === undefined ? {} : { metadata }),
      },
      namespace: source.namespace,
      address: source.address,
      uiUrl: null,
    };
  }
  const server = await startTemporalServer({
    executable: source.path,
    searchAttributes: SEARCH_ATTRIBUTES,
    dbFilename: resolve(options.data, 'temporal.db'),
    port: options.temporalPort,
    uiPort: options.uiPort,
  });
  let stopping = false;
  parts.push({
    stopped: server.ended.then((how) => {
      if (!stopping) throw new Error(`Temporal ended unexpectedly: ${how}`);
    }),
    stop: () => {
      stopping = true;
      return server.stop();
    },
  });
  printNote(`Temporal: ${server.address}, UI ${server.uiUrl}`);
  const { address, namespace, uiUrl = null } = server;
  return { connection: { address }, namespace, address, uiUrl };
}
