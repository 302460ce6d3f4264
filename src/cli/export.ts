import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { coveredBy, exportRecord, verifyExport } from '../core/checkpoint-chain';
import { CliError, EXIT } from './cli-error';
import { type ConnectionFlags, forRoute, routeOf, withClient } from './connection';
import { exportHistory } from './export-history';
import { printJson, printLine, printNote } from './output';
import { readTextFile } from './text-file';

interface ExportFlags extends ConnectionFlags {
  readonly out?: string;
  readonly run?: string;
  readonly history?: string;
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
    .addHelpText(
      'after',
      '\nEvery command as it arrived, every verdict, every checkpoint: who, when, why and on what numbers.\n' +
        'The head that it tells proves later that a file is this one: keep it elsewhere. With --json and --out it is printed as JSON.\n' +
        '\nExamples:\n  cutover export chat --out chat.jsonl\n  cutover export chat | gzip > chat.jsonl.gz\n  cutover export chat --run chat-20260729t120005z-3f5a01 --out earlier.jsonl',
    )
    .action(runExport);
}

/** Adds `cutover verify`: whether an export is whole and unchanged. */
export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('verify an export, and name the first line that is not as it was written')
    .argument('<file>', 'what `cutover export` wrote')
    .option('--head <hash>', 'the head that the export told: another file is then refused')
    .option(
      '--record <hash>',
      'the record hash that a notification told: a file with another past is refused',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nNeeds no Temporal. Exit code 5: it was changed.\n\nExamples:\n  cutover verify chat.jsonl\n  cutover verify chat.jsonl --head 3f5a...',
    )
    .action(runVerify);
}

async function runExport(given: string | undefined, flags: ExportFlags): Promise<void> {
  const route = routeOf(given, flags);
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
  writeNew(flags.out, text);
  if (flags.json === true)
    printJson({ file: flags.out, migrationId, route, count, checkpoints, head, whole });
  else printLine(`wrote ${flags.out}: ${told}`);
}

interface VerifyFlags {
  readonly head?: string;
  readonly record?: string;
  readonly json?: boolean;
}

function runVerify(file: string, flags: VerifyFlags): void {
  const text = readTextFile(file);
  const verdict = verifyExport(text);
  const covered =
    verdict.ok && flags.record !== undefined ? coveredBy(text, verdict.migrationId, flags.record) : undefined;
  const otherHead = verdict.ok && flags.head !== undefined && flags.head !== verdict.head;
  if (flags.json === true)
    printJson(
      otherHead || covered === null
        ? { ...verdict, ok: false, expectedHead: flags.head, expectedRecord: flags.record }
        : { ...verdict, ...(covered === undefined ? {} : { recordCovers: covered }) },
    );
  if (!verdict.ok) throw new CliError(`${file}, line ${verdict.line}: ${verdict.problem}`, EXIT.negative);
  const { migrationId, count, checkpoints, head } = verdict;
  if (otherHead) {
    throw new CliError(
      `${file}: expected the head ${flags.head}, got ${head}: it is another export`,
      EXIT.negative,
    );
  }
  if (covered === null) {
    throw new CliError(
      `${file}: expected a beginning with the record hash ${flags.record}, got none: its past is another one`,
      EXIT.negative,
    );
  }
  if (flags.json !== true)
    printLine(
      `${file} is whole: ${count} entries of ${migrationId}, ${checkpoints} of them checkpoints, head ${head}`,
    );
}

function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'EEXIST' ? 'it is there already' : `it failed (${code})`;
    throw new CliError(`expected to write ${file}, but ${why}`, EXIT.badInput, { cause });
  }
}
