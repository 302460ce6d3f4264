import { readFileSync } from 'node:fs';
import { fileProblem } from '../../core/text/file-problem';
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
    throw new CliError(`cannot read ${file}: ${fileProblem(cause)}`, EXIT.badInput, { cause });
  }
}
