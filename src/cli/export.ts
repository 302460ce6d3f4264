import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Checkpoint } from '../core/checkpoint';
import { coveredBy, exportCheckpoints, verifyExport } from '../core/checkpoint-chain';
import { CliError, EXIT } from './cli-error';
import { type ConnectionFlags, forRoute, routeOf, withClient } from './connection';
import { printJson, printLine, printNote } from './output';

interface ExportFlags extends ConnectionFlags {
  readonly out?: string;
}

/** Adds `cutover export`: all checkpoints as JSON Lines with a hash chain. */
export function registerExport(program: Command): void {
  forRoute(program.command('export').description('write all checkpoints as JSON Lines with a hash chain'))
    .option('--out <file>', 'where to write it; never over a file that is there (default: standard output)')
    .addHelpText(
      'after',
      '\nThe head that it tells proves later that a file is this one: keep it elsewhere. With --json and --out it is printed as JSON.\n' +
        '\nExamples:\n  cutover export chat --out chat.jsonl\n  cutover export chat | gzip > chat.jsonl.gz',
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
  const { migrationId, checkpoints } = await withClient(flags, async (client) => {
    const all: Checkpoint[] = [];
    for await (const checkpoint of client.checkpoints(route)) all.push(checkpoint);
    return { migrationId: (await client.status(route)).migrationId, checkpoints: all };
  });
  const text = exportCheckpoints({ migrationId, route, exportedAt: new Date().toISOString() }, checkpoints);
  const verdict = verifyExport(text);
  if (!verdict.ok) throw new Error(`the export does not verify at line ${verdict.line}: ${verdict.problem}`);
  const { count, head } = verdict;
  const told = `${count} checkpoints of ${migrationId}, head ${head}`;
  if (flags.out === undefined) {
    process.stdout.write(text);
    printNote(told);
    return;
  }
  writeNew(flags.out, text);
  if (flags.json === true) printJson({ file: flags.out, migrationId, route, count, head });
  else printLine(`wrote ${flags.out}: ${told}`);
}

interface VerifyFlags {
  readonly head?: string;
  readonly record?: string;
  readonly json?: boolean;
}

function runVerify(file: string, flags: VerifyFlags): void {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new CliError(`expected to read ${file}, but it failed (${code})`, EXIT.badInput, { cause });
  }
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
  const { migrationId, count, head } = verdict;
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
    printLine(`${file} is whole: ${count} checkpoints of ${migrationId}, head ${head}`);
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
