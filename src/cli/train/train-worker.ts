import type { Command } from 'commander';
import { trainingPython } from '../../config';
import { loadWorker } from '../../load-worker';
import { type ConnectionFlags, dataConverterOption } from '../options/connection';
import { printJson, printNote } from '../options/output';
import { asBuild, type BuildFlags, buildOf, withBuild } from '../options/worker-build';
import { temporalTarget } from '../run/temporal-target';
import { untilStopped } from '../run/until-stopped';

/** `cutover train worker`: serves fine-tuning alone, such as on a machine with a GPU. */
export function registerTrainWorker(train: Command): void {
  const command = train
    .command('worker')
    .description('run jobs on this machine; needs no configuration')
    .option(
      '--address <host:port>',
      "Temporal's address (default: TEMPORAL_ADDRESS, the profile, or 127.0.0.1:7233)",
    )
    .option('--namespace <name>', 'Temporal namespace')
    .addOption(dataConverterOption())
    .option('--json', 'print where it serves as one JSON line');
  withBuild(command, 'the build that this worker is')
    .addHelpText(
      'after',
      '\nCUTOVER_TRAINING_PYTHON names the Python that has the package cutover-training (default: python3).\n' +
        '\nExample:\n  CUTOVER_TRAINING_PYTHON=~/venv/bin/python cutover train worker',
    )
    .action(async (flags: ConnectionFlags & BuildFlags) => {
      const { address, ...target } = temporalTarget(flags);
      const { namespace } = target;
      const build = buildOf(flags);
      const { startTrainingWorker } = await loadWorker();
      const worker = await startTrainingWorker({ ...target, ...(build === undefined ? {} : { build }) });
      if (flags.json === true) printJson({ address, namespace, python: trainingPython(), ...build });
      printNote(
        `training worker: serving ${namespace} at ${address}${asBuild(build)} with ${trainingPython()}; Ctrl-C stops it`,
      );
      await untilStopped([worker]);
    });
}
