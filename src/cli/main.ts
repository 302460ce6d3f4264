#!/usr/bin/env node
import { CommanderError } from 'commander';
import { environment } from '../config';
import { EXIT } from './options/cli-error';
import { failureOf } from './options/failure';
import { printNote } from './options/output';
import { createProgram } from './program';

function fail(error: unknown): void {
  const { message, exitCode } = failureOf(error);
  printNote(message);
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
