import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { CliError, EXIT } from './cli-error';
import { printNote } from './output';

/** What a command that changes traffic can be given as an answer before it asks. */
export interface ConfirmationFlags {
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** Adds `--yes`. */
export function withConfirmation(command: Command): Command {
  return command.option(
    '--yes',
    'do not ask; required in scripts and with --json, where nobody can be asked',
  );
}

/** Whether a person can be asked: a terminal on both sides, and no program that reads the answer. */
export function canAsk({ json }: ConfirmationFlags): boolean {
  return json !== true && process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Throws `CliError` unless the person at the terminal says yes to `question`, or `--yes` did. */
export async function confirm(question: string, flags: ConfirmationFlags): Promise<void> {
  if (flags.yes === true) return;
  if (!canAsk(flags)) {
    throw new CliError(
      'expected --yes: this changes traffic, and nobody can be asked here. Nothing was changed',
      EXIT.badInput,
    );
  }
  if (/^y(es)?$/i.test(((await answerTo(`${question} [y/N] `)) ?? '').trim())) return;
  throw new CliError('not confirmed: nothing was changed', EXIT.negative);
}

/** What a person types; null where they end the input instead, by Ctrl-C or Ctrl-D. */
export async function answerTo(question: string): Promise<string | null> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const closed = new Promise<null>((resolve) => {
      terminal.once('close', () => resolve(null));
      terminal.once('SIGINT', () => {
        printNote('');
        terminal.close();
      });
    });
    return await Promise.race([terminal.question(question), closed]);
  } finally {
    terminal.close();
  }
}
