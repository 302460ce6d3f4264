import { readFileSync } from 'node:fs';
import { CliError, EXIT } from './cli-error';

/** The text of a file that a person named; throws what to tell them. */
export function readTextFile(file: string): string {
  return readBytes(file).toString('utf8');
}

/** The bytes of a file that a person named; throws what to tell them. */
export function readBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new CliError(`expected to read ${file}, but it failed (${code})`, EXIT.badInput, { cause });
  }
}
