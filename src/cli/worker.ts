import type { Command } from 'commander';
import { configurationPath, environment, loadConfiguration, resolveSecret } from '../config';
import { configuredAddress } from '../temporal-server/configured-address';
import { startWorker } from '../worker';
import { printJson, printNote } from './output';
import { untilStopped } from './until-stopped';

/** `cutover worker`: serves both task queues until it is told to stop. */
export function registerWorker(program: Command): void {
  program
    .command('worker')
    .description('run the Temporal worker: workflow, routing and watching')
    .option('--config <path>', 'configuration file (default: CUTOVER_CONFIG or ./cutover.yaml)')
    .option('--address <host:port>', 'Temporal (default: TEMPORAL_ADDRESS, the profile, or 127.0.0.1:7233)')
    .option('--namespace <name>', 'Temporal namespace')
    .option('--json', 'print where it serves as one JSON line')
    .addHelpText('after', '\nExample:\n  $ cutover worker --config cutover.yaml')
    .action(async (options: { config?: string; address?: string; namespace?: string; json?: true }) => {
      const configuration = loadConfiguration(configurationPath(options.config));
      const found = configuredAddress({
        ...environment,
        ...(options.address === undefined ? {} : { TEMPORAL_ADDRESS: options.address }),
        ...(options.namespace === undefined ? {} : { TEMPORAL_NAMESPACE: options.namespace }),
      });
      const { tls, apiKey, metadata } = found?.connectionOptions ?? {};
      const address = found?.address ?? '127.0.0.1:7233';
      const namespace = found?.namespace ?? 'default';
      const worker = await startWorker({
        connection: {
          address,
          ...(tls === undefined ? {} : { tls }),
          ...(apiKey === undefined ? {} : { apiKey }),
          ...(metadata === undefined ? {} : { metadata }),
        },
        namespace,
        configuration,
        resolveSecret,
      });
      if (options.json) printJson({ address, namespace });
      else printNote(`worker: serving ${namespace} at ${address}; Ctrl-C stops it`);
      await untilStopped([worker]);
    });
}
