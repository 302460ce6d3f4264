#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { environment } from '../config';
import { EXIT } from './cli-error';
import { failureOf } from './failure';
import { printNote } from './output';

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
  ['demo', async () => (await import('./demo.js')).registerDemo],
  ['doctor', async () => (await import('./doctor.js')).registerDoctor],
  ['plan', async () => (await import('./plan.js')).registerPlan],
  ['start', async () => (await import('./start.js')).registerStart],
  ['status', async () => (await import('./status.js')).registerStatus],
  ['watch', async () => (await import('./watch.js')).registerWatch],
  ['checkpoints', async () => (await import('./checkpoints.js')).registerCheckpoints],
  ['verdicts', async () => (await import('./verdicts.js')).registerVerdicts],
  ['pause', async () => (await import('./commands.js')).registerPause],
  ['resume', async () => (await import('./commands.js')).registerResume],
  ['promote', async () => (await import('./commands.js')).registerPromote],
  ['reevaluate', async () => (await import('./commands.js')).registerReevaluate],
  ['rollback', async () => (await import('./rollback.js')).registerRollback],
  ['emergency-rollback', async () => (await import('./rollback.js')).registerEmergencyRollback],
  ['finish', async () => (await import('./commands.js')).registerFinish],
  ['kill', async () => (await import('./kill.js')).registerKill],
  ['capacity', async () => (await import('./capacity.js')).registerCapacity],
];

async function createProgram(asked: string | undefined): Promise<Command> {
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

function fail(error: unknown): void {
  const { message, exitCode } = failureOf(error);
  for (const line of message.split('\n')) printNote(line);
  if (environment['CUTOVER_DEBUG'] === '1' && error instanceof Error) printNote(error.stack ?? '');
  process.exitCode = exitCode;
}

async function main(): Promise<void> {
  // `cutover checkpoints | head` closes the pipe early: that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
  process.on('uncaughtException', (error) => {
    fail(error);
    process.exit();
  });
  try {
    const program = await createProgram(process.argv[2]);
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) return fail(error);
    // Commander has printed the message already; its own code for bad input is 1.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.badInput;
  }
}

void main();
