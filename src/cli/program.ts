import { Command } from 'commander';
import { packageVersion } from '../package-version';
import { withOutputFormats } from './options/output-format';
import { asTyped } from './options/typed-command';

const HELP = `
Exit codes:
  0  done
  1  an unexpected failure; CUTOVER_DEBUG=1 shows where
  2  bad input: an option, a plan, a configuration, an unknown name
  3  refused by the migration or by a gateway
  4  Temporal, a worker, a gateway or a provider could not be reached
  5  the answer is no: rolled back, rejected, a check failed

Example:
  cutover init && cutover up        # then, in another terminal:
  cutover start --plan plan.yaml && cutover watch`;

type Register = (program: Command) => void;

/**
 * In the order of the help, ten to begin with first. Each is loaded only when it is asked for: an emergency rollback must
 * not wait until a worker, a database and the rest have been loaded.
 */
const COMMANDS: Readonly<
  Record<string, readonly (readonly [name: string, load: () => Promise<Register>])[]>
> = {
  'Begin here:': [
    ['init', async () => (await import('./init/init.js')).registerInit],
    ['doctor', async () => (await import('./doctor/doctor.js')).registerDoctor],
    ['up', async () => (await import('./run/up.js')).registerUp],
    ['plan', async () => (await import('./prepare/plan.js')).registerPlan],
    ['start', async () => (await import('./operate/start.js')).registerStart],
    ['status', async () => (await import('./operate/status.js')).registerStatus],
    ['watch', async () => (await import('./operate/watch.js')).registerWatch],
    ['pause', async () => (await import('./operate/commands.js')).registerPause],
    ['rollback', async () => (await import('./operate/rollback.js')).registerRollback],
    ['kill', async () => (await import('./operate/kill.js')).registerKill],
  ],
  'Run:': [
    ['worker', async () => (await import('./run/worker.js')).registerWorker],
    ['gateway', async () => (await import('./run/gateway.js')).registerGateway],
    ['ui', async () => (await import('./run/ui.js')).registerUi],
    ['demo', async () => (await import('./run/demo.js')).registerDemo],
  ],
  'Observe:': [
    ['checkpoints', async () => (await import('./operate/checkpoints.js')).registerCheckpoints],
    ['verdicts', async () => (await import('./operate/verdicts.js')).registerVerdicts],
    ['history', async () => (await import('./history/history.js')).registerHistory],
    ['gates', async () => (await import('./gates/gates.js')).registerGates],
    ['logs', async () => (await import('./operate/logs.js')).registerLogs],
    ['report', async () => (await import('./history/report.js')).registerReport],
    ['replay', async () => (await import('./history/replay.js')).registerReplay],
  ],
  'Decide:': [
    ['resume', async () => (await import('./operate/commands.js')).registerResume],
    ['promote', async () => (await import('./operate/commands.js')).registerPromote],
    ['approve', async () => (await import('./operate/commands.js')).registerApprove],
    ['amend', async () => (await import('./operate/amend.js')).registerAmend],
    ['reevaluate', async () => (await import('./operate/commands.js')).registerReevaluate],
    ['finish', async () => (await import('./operate/commands.js')).registerFinish],
    ['emergency-rollback', async () => (await import('./operate/rollback.js')).registerEmergencyRollback],
    ['forget', async () => (await import('./operate/forget.js')).registerForget],
    ['migrate-workers', async () => (await import('./operate/migrate-workers.js')).registerMigrateWorkers],
  ],
  'Before you move:': [
    ['assess', async () => (await import('./prepare/assess.js')).registerAssess],
    ['parity', async () => (await import('./prepare/parity.js')).registerParity],
    ['judge', async () => (await import('./prepare/judge.js')).registerJudge],
    ['identity', async () => (await import('./prepare/identity.js')).registerIdentity],
    ['prices', async () => (await import('./prepare/prices.js')).registerPrices],
    ['capacity', async () => (await import('./prepare/capacity.js')).registerCapacity],
    ['train', async () => (await import('./train/train.js')).registerTrain],
    ['effects', async () => (await import('./operate/effects.js')).registerEffects],
  ],
  'Records and setup:': [
    ['export', async () => (await import('./history/export.js')).registerExport],
    ['verify', async () => (await import('./history/verify.js')).registerVerify],
    ['completion', completion],
  ],
};

/** Completes every command, so that it needs the whole program when it runs. */
async function completion(): Promise<Register> {
  const { registerCompletion } = await import('./completion/completion.js');
  return (program) => registerCompletion(program, () => createProgram(undefined));
}

/** The program with the command that is asked for; with all of them when it is none of ours, as for the help, and none for `--version`. */
export async function createProgram(asked: string | undefined): Promise<Command> {
  const program = new Command('cutover')
    .description('Moves production LLM traffic from one OpenAI-compatible provider to another, in stages.')
    .version(packageVersion())
    .exitOverride()
    // So that a command with commands of its own may share names of options with them.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => process.stdout.write(asTyped(text)),
      writeErr: (text) => process.stderr.write(asTyped(text)),
    })
    .showHelpAfterError('(add --help for its options and an example)')
    .addHelpText('after', HELP);
  const all = Object.entries(COMMANDS).flatMap(([group, commands]) =>
    commands.map(([name, load]) => ({ name, load, group })),
  );
  const known = all.filter(({ name }) => name === asked);
  const needed = asked === '--version' || asked === '-V' ? [] : known.length > 0 ? known : all;
  for (const { load, group } of needed) {
    (await load())(program);
    program.commands.at(-1)?.helpGroup(group);
  }
  withOutputFormats(program);
  return program;
}
