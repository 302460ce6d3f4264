import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';

const HELP = `
Exit codes:
  0  done
  1  an unexpected failure; CUTOVER_DEBUG=1 shows where
  2  bad input: an option, a plan, a configuration, a name that nothing has
  3  refused by the migration or by a gateway
  4  Temporal, a worker, a gateway or a provider could not be reached
  5  the answer is no: rolled back, rejected, a check failed

Example:
  cutover doctor && cutover plan init chat && cutover start --plan plan.yaml && cutover watch`;

type Register = (program: Command) => void;

/**
 * In the order of the help. Each is loaded only when it is asked for: an emergency rollback must not wait until
 * a worker, a database and the rest have been loaded.
 */
const COMMANDS: readonly (readonly [name: string, load: () => Promise<Register>])[] = [
  ['up', async () => (await import('./up.js')).registerUp],
  ['worker', async () => (await import('./worker.js')).registerWorker],
  ['gateway', async () => (await import('./gateway.js')).registerGateway],
  ['demo', async () => (await import('./demo.js')).registerDemo],
  ['doctor', async () => (await import('./doctor.js')).registerDoctor],
  ['plan', async () => (await import('./plan.js')).registerPlan],
  ['start', async () => (await import('./start.js')).registerStart],
  ['status', async () => (await import('./status.js')).registerStatus],
  ['watch', async () => (await import('./watch.js')).registerWatch],
  ['ui', async () => (await import('./ui.js')).registerUi],
  ['checkpoints', async () => (await import('./checkpoints.js')).registerCheckpoints],
  ['verdicts', async () => (await import('./verdicts.js')).registerVerdicts],
  ['history', async () => (await import('./history.js')).registerHistory],
  ['gates', async () => (await import('./gates.js')).registerGates],
  ['replay', async () => (await import('./replay.js')).registerReplay],
  ['report', async () => (await import('./report.js')).registerReport],
  ['pause', async () => (await import('./commands.js')).registerPause],
  ['resume', async () => (await import('./commands.js')).registerResume],
  ['promote', async () => (await import('./commands.js')).registerPromote],
  ['reevaluate', async () => (await import('./commands.js')).registerReevaluate],
  ['approve', async () => (await import('./commands.js')).registerApprove],
  ['rollback', async () => (await import('./rollback.js')).registerRollback],
  ['emergency-rollback', async () => (await import('./rollback.js')).registerEmergencyRollback],
  ['forget', async () => (await import('./forget.js')).registerForget],
  ['finish', async () => (await import('./commands.js')).registerFinish],
  ['kill', async () => (await import('./kill.js')).registerKill],
  ['effects', async () => (await import('./effects.js')).registerEffects],
  ['export', async () => (await import('./export.js')).registerExport],
  ['verify', async () => (await import('./verify.js')).registerVerify],
  ['assess', async () => (await import('./assess.js')).registerAssess],
  ['parity', async () => (await import('./parity.js')).registerParity],
  ['prices', async () => (await import('./prices.js')).registerPrices],
  ['capacity', async () => (await import('./capacity.js')).registerCapacity],
  ['completion', completion],
];

/** Completes every command, so that it needs the whole program when it runs. */
async function completion(): Promise<Register> {
  const { registerCompletion } = await import('./completion.js');
  return (program) => registerCompletion(program, () => createProgram(undefined));
}

/** The program with the command that is asked for; with all of them when it is none of ours, as for the help. */
export async function createProgram(asked: string | undefined): Promise<Command> {
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as {
    version: string;
  };
  const program = new Command('cutover')
    .description('Moves production LLM traffic from one OpenAI-compatible provider to another, in stages.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(add --help for its options and an example)')
    .addHelpText('after', HELP);
  const known = COMMANDS.filter(([name]) => name === asked);
  for (const [, load] of known.length > 0 ? known : COMMANDS) (await load())(program);
  return program;
}
