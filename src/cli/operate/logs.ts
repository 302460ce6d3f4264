import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Command, Option } from 'commander';
import { fileProblem } from '../../core/text/file-problem';
import { visibleJson } from '../../core/text/visible-text';
import { CliError, EXIT } from '../options/cli-error';
import { positive } from '../options/option-value';
import { printLine, printNote } from '../options/output';
import { followLog, openWhenThere, readLogEnd } from './log-file';
import { isWanted, type LogFilter, logLineText } from './log-line';

interface LogFlags extends LogFilter {
  readonly follow?: boolean;
  readonly lines: number;
  readonly json?: boolean;
}

const USUAL_LOG = join('.cutover', 'gateway.log');

/** Adds `cutover logs`: a gateway's or worker's log, as people read it. */
export function registerLogs(program: Command): void {
  program
    .command('logs')
    .description("read a gateway's or worker's log: by route, arm or outcome, also as it grows")
    .argument('[file]', `the log, or - for standard input (default: ${USUAL_LOG}, which cutover up writes)`)
    .option('--route <name>', 'only requests of this route')
    .addOption(new Option('--arm <arm>', 'only requests of this arm').choices(['legacy', 'candidate']))
    .option(
      '--outcome <outcome>',
      'only what ended for the caller like this: success, timeout, status_5xx, ...',
    )
    .option(
      '--attempt <outcome>',
      'only where an attempt at a provider ended like this, also behind a failover',
    )
    .option('-f, --follow', 'keep showing new lines, until Ctrl-C')
    .option('--lines <number>', 'how many lines to show, counted from the end', positive, 50)
    .option('--json', 'print the lines as they are')
    .addHelpText(
      'after',
      '\nTimes are UTC.\n' +
        '\nExamples:\n  cutover logs --follow\n  cutover logs --arm candidate --attempt status_5xx\n' +
        '  journalctl -u cutover-gateway -o cat | cutover logs - --route chat --lines 200',
    )
    .action(showLogs);
}

async function showLogs(given: string | undefined, flags: LogFlags): Promise<void> {
  const path = given ?? USUAL_LOG;
  const print = (line: string) =>
    flags.json === true
      ? void process.stdout.write(`${visibleJson(line)}\n`)
      : printLine(logLineText(line, Date.now()));
  if (path === '-') return showStream(process.stdin, flags, print);
  const whoWrites =
    given === undefined ? ': `cutover up` writes it; else name the file of `cutover gateway --log FILE`' : '';
  const log = await (flags.follow === true
    ? openWhenThere(path, () => printNote(`waiting for ${path}, which is not there yet${whoWrites}`))
    : open(path)
  ).catch((cause: unknown) => {
    throw unreadable(path, cause, whoWrites);
  });
  const kind = await log.stat();
  if (kind.isDirectory()) {
    await log.close();
    throw new CliError(`cannot read ${path}: it is a folder: name the file in it`, EXIT.badInput);
  }
  if (!kind.isFile()) {
    // A pipe, such as that of <(zcat FILE), cannot be read from its end.
    await log.close();
    return showStream(createReadStream(path), flags, print);
  }
  await showFile(path, log, flags, print);
}

async function showFile(
  path: string,
  log: FileHandle,
  flags: LogFlags,
  print: (line: string) => void,
): Promise<void> {
  const isAsked = (line: string) => isWanted(line, flags);
  const { lines, unfinished, wholeBytes } = await readLogEnd(log, flags.lines, isAsked);
  // A line that is being written is shown once it is whole, by those who wait for it.
  const isLast = flags.follow !== true && unfinished !== '' && isAsked(unfinished);
  const shown = isLast ? [...lines, unfinished].slice(-flags.lines) : lines;
  for (const line of shown) print(line);
  if (shown.length === 0) noteNothing(path, flags, wholeBytes + unfinished.length === 0);
  if (flags.follow !== true) return log.close();
  for await (const line of followLog(path, log, wholeBytes, printNote)) if (isAsked(line)) print(line);
}

/** Nothing on the screen can mean a quiet route or a mistyped one. */
function noteNothing(path: string, { route, arm, outcome, attempt }: LogFlags, isEmpty: boolean): void {
  const asked = Object.entries({ route, arm, outcome, attempt }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} ${value}`],
  );
  printNote(
    isEmpty || asked.length === 0 ? `${path} is empty` : `no line of ${path} matches ${asked.join(' ')}`,
  );
}

function unreadable(path: string, cause: unknown, hint: string): CliError {
  return new CliError(`cannot read ${path}: ${fileProblem(cause)}${hint}`, EXIT.badInput, { cause });
}

/** Each line as it comes; which are the last ones shows only at the end. */
async function showStream(input: Readable, flags: LogFlags, print: (line: string) => void): Promise<void> {
  const { createInterface } = await import('node:readline');
  const wanted: string[] = [];
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line === '' || !isWanted(line, flags)) continue;
    if (flags.follow === true) print(line);
    else {
      wanted.push(line);
      if (wanted.length > flags.lines) wanted.shift();
    }
  }
  for (const line of wanted) print(line);
}
