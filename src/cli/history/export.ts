import { existsSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { resolveSecret, UnresolvedSecret } from '../../config';
import { exportRecord, verifyExport } from '../../core/record/record-chain';
import { fileProblem } from '../../core/text/file-problem';
import { readSigningKey, type SigningKey } from '../../history/signing-key';
import { fingerprintOf, signBytes } from '../../history/ssh-signature';
import { InvalidSshData } from '../../history/ssh-wire';
import { CliError, EXIT } from '../options/cli-error';
import { type ConnectionFlags, forRoute, routeOf, withClient } from '../options/connection';
import { printJson, printLine, printNote } from '../options/output';
import { exportHistory } from './export-history';

interface ExportFlags extends ConnectionFlags {
  readonly out?: string;
  readonly run?: string;
  readonly history?: string;
  readonly sign?: string;
}

/** Adds `cutover export`: the whole record of a migration as JSON Lines with a hash chain. */
export function registerExport(program: Command): void {
  forRoute(
    program.command('export').description('write the record of a migration as JSON Lines with a hash chain'),
  )
    .option('--run <id>', 'a migration id or run id of `cutover history` (default: the newest)')
    .option('--out <file>', 'where to write it; never over a file that is there (default: standard output)')
    .option(
      '--history <file>',
      'instead: write the whole Temporal history for gates explain, replay and report',
    )
    .option(
      '--sign <reference>',
      'an Ed25519 private key as env:NAME or file:PATH: signs the export into FILE.sig, as ssh-keygen does',
    )
    .addHelpText(
      'after',
      '\nEvery command as it arrived, every verdict, every checkpoint: who, when, why and on what numbers.\n' +
        'The head that it prints proves later that a file is this one: keep it elsewhere. With --json and --out it is printed as JSON.\n' +
        '\nExamples:\n  cutover export chat --out chat.jsonl\n  cutover export chat --out chat.jsonl --sign file:/run/secrets/record-key\n  cutover export chat | gzip > chat.jsonl.gz\n  cutover export chat --run chat-20260729t120005z-3f5a01 --out earlier.jsonl',
    )
    .action(runExport);
}

async function runExport(given: string | undefined, flags: ExportFlags): Promise<void> {
  const route = routeOf(given, flags);
  const key = flags.sign === undefined ? null : signingKey(flags.sign);
  if (key !== null && (flags.out === undefined || flags.history !== undefined)) {
    throw new CliError('expected --out with --sign: the signature is written to FILE.sig', EXIT.badInput);
  }
  if (flags.history !== undefined) return exportHistory(route, flags.history, flags);
  const { migrationId, entries, whole } = await withClient(flags, (client) =>
    client.record(route, flags.run),
  );
  const text = exportRecord({ migrationId, route, exportedAt: new Date().toISOString() }, entries);
  const verdict = verifyExport(text);
  if (!verdict.ok) throw new Error(`the export does not verify at line ${verdict.line}: ${verdict.problem}`);
  const { count, checkpoints, head } = verdict;
  const told = `${count} entries of ${migrationId}, ${checkpoints} of them checkpoints, head ${head}`;
  if (!whole) {
    printNote('Temporal no longer keeps the first runs of this migration: their commands are missing');
  }
  if (flags.out === undefined) {
    process.stdout.write(text);
    printNote(told);
    return;
  }
  const signature = key === null ? null : `${flags.out}.sig`;
  if (signature !== null && existsSync(signature)) {
    throw new CliError(`cannot write ${signature}: it is there already`, EXIT.badInput);
  }
  writeNew(flags.out, text);
  if (key !== null && signature !== null) writeNew(signature, signBytes(Buffer.from(text), key));
  if (flags.json === true)
    printJson({ file: flags.out, migrationId, route, count, checkpoints, head, whole, signature });
  else {
    printLine(`wrote ${flags.out}: ${told}`);
    if (key !== null) printLine(`wrote ${signature}: signed by ${fingerprintOf(key.publicBlob)}`);
  }
}

function signingKey(reference: string): SigningKey {
  try {
    return readSigningKey(resolveSecret(reference));
  } catch (cause) {
    if (cause instanceof InvalidSshData)
      throw new CliError(`${reference}: ${cause.message}`, EXIT.badInput, { cause });
    if (cause instanceof UnresolvedSecret) throw new CliError(cause.message, EXIT.badInput, { cause });
    throw cause;
  }
}

function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' });
  } catch (cause) {
    throw new CliError(`cannot write ${file}: ${fileProblem(cause)}`, EXIT.badInput, { cause });
  }
}
