import { resolve } from 'node:path';
import type { Command } from 'commander';
import { configurationPath, loadConfiguration, metricsAddress, resolveSecret } from '../../config';
import { loadWorker } from '../../load-worker';
import { dataConverterOption } from '../options/connection';
import { listenAddress } from '../options/option-value';
import { printJson, printNote } from '../options/output';
import { asBuild, type BuildFlags, buildOf, withBuild } from '../options/worker-build';
import { explainedListenProblem } from './port-taken';
import { temporalTarget } from './temporal-target';
import { untilStopped } from './until-stopped';

const EXIT_AFTER_MS = 1_000;

interface WorkerFlags extends BuildFlags {
  readonly config?: string;
  readonly address?: string;
  readonly namespace?: string;
  readonly metrics?: string;
  readonly reports?: string;
  readonly trains?: boolean;
  readonly dataConverter?: string;
  readonly json?: true;
}

/** `cutover worker`: serves the task queues until it is told to stop. */
export function registerWorker(program: Command): void {
  const command = program
    .command('worker')
    .description('run the Temporal worker: workflow, routing and watching')
    .option('--config <file>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)')
    .option('--address <host:port>', 'Temporal (default: TEMPORAL_ADDRESS, the profile, or 127.0.0.1:7233)')
    .option('--namespace <name>', 'Temporal namespace')
    .option(
      '--metrics <host:port>',
      'show /metrics, /healthz and /readyz there (default: CUTOVER_METRICS, else nowhere)',
    )
    .option('--reports <folder>', 'write a report of every migration that ends, as HTML and Markdown')
    .option('--trains', 'also fine-tune models on this machine (`cutover train`)')
    .addOption(dataConverterOption())
    .option('--json', 'print where it serves as one JSON line');
  withBuild(command, 'the build that this worker is, such as the tag of its image')
    .addHelpText(
      'after',
      '\nBeyond loopback the metrics need `metricsToken` in the configuration.\n' +
        'With a build, open migrations stay on workers of the build that began their run, until they continue as new on\n' +
        'the current build: `cutover migrate-workers` makes a build current.\n' +
        '\nExamples:\n  $ cutover worker --config cutover.yaml\n  $ cutover worker --metrics 127.0.0.1:9464\n' +
        '  $ cutover worker --deployment cutover --build-id 1.4.0',
    )
    .action(async (options: WorkerFlags) => {
      const { startWorker } = await loadWorker();
      const configuration = loadConfiguration(configurationPath(options.config));
      const { address, ...target } = temporalTarget(options);
      const build = buildOf(options);
      const metrics = metricsAddress(options.metrics);
      const worker = await startWorker({
        ...target,
        configuration,
        resolveSecret,
        ...(metrics === undefined ? {} : { metrics: listenAddress(metrics) }),
        ...(build === undefined ? {} : { build }),
        ...(options.trains === true ? { trains: true } : {}),
        ...(options.reports === undefined ? {} : { reportsFolder: resolve(options.reports) }),
      }).catch((error: Error) => {
        endSoon();
        throw error.name === 'MetricsAddressTaken'
          ? explainedListenProblem(error.cause, 'stop what uses it, or choose another --metrics')
          : error;
      });
      const { metricsUrl } = worker;
      const { namespace } = target;
      if (options.json) printJson({ address, namespace, metrics: metricsUrl, ...build });
      else {
        const shown = metricsUrl === null ? '' : `, metrics at ${metricsUrl}`;
        printNote(`worker: serving ${namespace} at ${address}${asBuild(build)}${shown}; Ctrl-C stops it`);
      }
      await untilStopped([worker]).catch((error: unknown) => {
        endSoon();
        throw error;
      });
    });
}

/** What a failed worker still holds must not keep the process alive: only then a supervisor starts it again. */
function endSoon(): void {
  setTimeout(() => process.exit(), EXIT_AFTER_MS).unref();
}
