import type { Command } from 'commander';
import {
  type ChainVerdict,
  coveredBy,
  type RecordCoverage,
  verifyExport,
} from '../../core/record/record-chain';
import type { Seal } from '../../core/record/record-seal';
import { allowedPrincipal } from '../../history/allowed-signers';
import { fingerprintOf, RECORD_NAMESPACE, signerOf } from '../../history/ssh-signature';
import { InvalidSshData } from '../../history/ssh-wire';
import { CliError, EXIT } from '../options/cli-error';
import { printJson, printLine } from '../options/output';
import { readBytes, readTextFile } from '../options/text-file';

interface VerifyFlags {
  readonly head?: string;
  readonly record?: string;
  readonly signature?: string;
  readonly allowedSigners?: string;
  readonly json?: boolean;
}

/** Adds `cutover verify`: whether an export is whole and unchanged. */
export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('verify an export, and name the first line that is not as it was written')
    .argument('<file>', 'what `cutover export` wrote')
    .option('--head <hash>', 'the head that the export printed: another file is then refused')
    .option(
      '--record <hash>',
      'the record hash of a notification: a file with another past is refused, and what it covers is printed',
    )
    .option('--signature <file>', 'the signature of the export, with --allowed-signers')
    .option(
      '--allowed-signers <file>',
      'who may sign, as for `ssh-keygen -Y verify`: a line is NAME ssh-ed25519 KEY',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nNeeds neither Temporal nor a network. Exit code 5: it was changed, or no allowed signer signed it.\n' +
        'Without a head, a record hash or a signature from elsewhere, a file that was forged as a whole verifies too.\n' +
        `\nOpenSSH checks the same signature:\n  ssh-keygen -Y verify -n ${RECORD_NAMESPACE} -I NAME -f allowed_signers -s chat.jsonl.sig < chat.jsonl\n` +
        '\nExamples:\n  cutover verify chat.jsonl\n  cutover verify chat.jsonl --head 3f5a...\n  cutover verify chat.jsonl --signature chat.jsonl.sig --allowed-signers allowed_signers',
    )
    .action(runVerify);
}

type Whole = ChainVerdict & { readonly ok: true };

function runVerify(file: string, flags: VerifyFlags): void {
  if ((flags.signature === undefined) !== (flags.allowedSigners === undefined)) {
    throw new CliError('expected --signature and --allowed-signers together', EXIT.badInput);
  }
  // A signature is of bytes: what is no UTF-8 would be another text once read.
  const bytes = readBytes(file);
  const text = bytes.toString('utf8');
  const verdict = verifyExport(text);
  if (!verdict.ok) {
    refuse(`${file}, line ${verdict.line}: ${verdict.problem}`, verdict, flags);
  }
  const { migrationId, head } = verdict;
  if (flags.head !== undefined && flags.head !== head) {
    const sentence = `${file}: expected the head ${flags.head}, got ${head}: it is another export`;
    refuse(sentence, { ...verdict, ok: false, expectedHead: flags.head }, flags);
  }
  const covered = flags.record === undefined ? undefined : coveredBy(text, migrationId, flags.record);
  if (covered === null) {
    const sentence = `${file}: expected a beginning with the record hash ${flags.record}, found none: the file records another past`;
    refuse(sentence, { ...verdict, ok: false, expectedRecord: flags.record }, flags);
  }
  const signer = signerIn(bytes, flags);
  if (signer !== null && 'problem' in signer) {
    const sentence = `${file}: ${signer.problem}`;
    refuse(sentence, { ...verdict, ok: false, signature: signer }, flags);
  }
  if (flags.json === true) {
    const record = covered === undefined ? {} : { recordCovers: covered };
    printJson({ ...verdict, ...record, ...(signer === null ? {} : { signer }) });
    return;
  }
  for (const line of [
    ...wholeLines(file, verdict),
    ...(covered === undefined ? [] : [recordLine(covered, verdict)]),
    ...(signer === null
      ? ['Its signature: not checked; --signature and --allowed-signers check it.']
      : [`Signed by ${signer.name} with ${signer.key}; the signature covers every byte of the file.`]),
  ]) {
    printLine(line);
  }
}

function refuse(sentence: string, verdict: object, flags: VerifyFlags): never {
  if (flags.json === true) printJson(verdict);
  throw new CliError(sentence, EXIT.negative);
}

function wholeLines(
  file: string,
  { migrationId, count, head, entries, sealed, version, archived }: Whole,
): string[] {
  const { start, command, verdict, checkpoint, end } = entries;
  const commands = counted(command, 'command');
  const kinds = `${counted(start, 'start')}, ${commands}, ${counted(verdict, 'verdict')}, ${counted(checkpoint, 'checkpoint')}, ${counted(end, 'end')}`;
  const lines = [
    `${file} is whole: ${counted(count, 'entry', 'entries')} of ${migrationId}: ${kinds}`,
    `Its head ${head} covers the header and all ${count} entries: give it as --head.`,
    ...(archived === 0
      ? []
      : [
          `Checkpoints 1 to ${archived} were in runs that Temporal no longer kept and are not in this file; a record hash covers them.`,
        ]),
  ];
  if (version === 1) {
    return [
      ...lines,
      'Format 1, of an older release: a record hash covers its checkpoints only. Whoever can rewrite the file can change or remove commands and verdicts, unless its head is known.',
    ];
  }
  if (sealed === null) {
    return [
      ...lines,
      'Its checkpoints seal no commands and verdicts: they were written by an older release.',
    ];
  }
  const missing =
    sealed.missing === 0
      ? ''
      : `; ${sealed.missing} of them were in runs that Temporal no longer kept and are not in this file`;
  const after = command + verdict + sealed.missing - sealed.commands - sealed.verdicts;
  return [
    ...lines,
    `Its checkpoints up to ${sealed.checkpoint} seal the plan, ${counted(sealed.commands, 'command')} and ${counted(sealed.verdicts, 'verdict')}${missing}.`,
    ...(after === 0
      ? []
      : [
          `${counted(after, 'command or verdict', 'commands and verdicts')} came after that or too late to count: no seal covers them.`,
        ]),
  ];
}

/** What a record hash covers, and what it does not. */
function recordLine({ checkpoints, seal }: RecordCoverage, { entries, archived }: Whole): string {
  const those = `The record hash covers checkpoints 1 to ${checkpoints} of ${archived + entries.checkpoint}`;
  if (checkpoints === 0) return 'The record hash covers the name of the migration and nothing else.';
  if (seal === null) {
    return `${those} and nothing else: an older release sent it. Commands and verdicts are not covered.`;
  }
  return `${those}, the plan, and what had been taken in by then: ${counted(commandsIn(seal), 'command')} of ${entries.command} and ${counted(seal.windows, 'verdict')} of ${entries.verdict}. Not covered: when and from which process a command came, how it was answered, and the end as Temporal knows it.`;
}

function commandsIn({ signals, updates, cancels }: Seal): number {
  return signals + updates + cancels;
}

function counted(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}

function signerIn(
  bytes: Buffer,
  { signature, allowedSigners }: VerifyFlags,
): { readonly name: string; readonly key: string } | { readonly problem: string } | null {
  if (signature === undefined || allowedSigners === undefined) return null;
  const [signed, allowed] = [readTextFile(signature), readTextFile(allowedSigners)];
  let key: Buffer;
  try {
    key = signerOf(bytes, signed);
  } catch (error) {
    if (error instanceof InvalidSshData) return { problem: `${signature}: ${error.message}` };
    throw error;
  }
  try {
    const question = { key, namespace: RECORD_NAMESPACE, atMs: Date.now() };
    const name = allowedPrincipal(allowed, question);
    const fingerprint = fingerprintOf(key);
    return name === null
      ? { problem: `${signature} is by ${fingerprint}, which ${allowedSigners} does not allow now` }
      : { name, key: fingerprint };
  } catch (cause) {
    if (!(cause instanceof InvalidSshData)) throw cause;
    throw new CliError(`${allowedSigners}: ${cause.message}`, EXIT.badInput, { cause });
  }
}
