import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { fileProblem } from '../../core/text/file-problem';
import { CliError, EXIT } from '../options/cli-error';
import { positive } from '../options/option-value';
import { printLine } from '../options/output';
import { isWanted, type LogFilter, logLineText } from './log-line';

interface LogFlags extends LogFilter {
  readonly follow?: boolean;
  readonly lines: number;
  readonly json?: boolean;
}

const USUAL_LOG = join('.cutover', 'gateway.log');
const LOOK_EVERY_MS = 300;

/** Adds `cutover logs`: a gateway's or worker's log, as people read it. */
export function registerLogs(program: Command): void {
  program
    .command('logs')
    .description("read a gateway's or worker's log: by route, arm or outcome, also as it grows")
    .argument('[file]', `the log, or - for standard input (default: ${USUAL_LOG}, which cutover up writes)`)
    .option('--route <name>', 'only requests of this route')
    .addOption(new Option('--arm <side>', 'only requests of this arm').choices(['legacy', 'candidate']))
    .option('--outcome <text>', 'only requests whose outcome begins like this, such as ok or status_5xx')
    .option('-f, --follow', 'keep showing new lines, until Ctrl-C')
    .option('--lines <number>', 'how many lines to show, counted from the end', positive, 50)
    .option('--json', 'print the lines as they are')
    .addHelpText(
      'after',
      '\nExamples:\n  cutover logs --follow\n  cutover logs --arm candidate --outcome status_5xx\n' +
        '  journalctl -u cutover-gateway -o cat | cutover logs - --route chat --lines 200',
    )
    .action(showLogs);
}

async function showLogs(given: string | undefined, flags: LogFlags): Promise<void> {
  const file = given ?? USUAL_LOG;
  const print = (line: string) => printLine(flags.json === true ? line : logLineText(line));
  if (file === '-') return showStream(flags, print);
  const log = await open(file).catch((cause: unknown) => {
    const hint =
      given === undefined
        ? ': `cutover up` writes it; else name the file of `cutover gateway --log FILE`'
        : '';
    throw new CliError(`cannot read ${file}: ${fileProblem(cause)}${hint}`, EXIT.badInput, { cause });
  });
  try {
    const text = (await log.readFile()).toString('utf8');
    // A line that is being written is shown once it is whole.
    const end = text.lastIndexOf('\n') + 1;
    const wanted = text
      .slice(0, end)
      .split('\n')
      .filter((line) => line !== '' && isWanted(line, flags));
    for (const line of wanted.slice(-flags.lines)) print(line);
    if (flags.follow !== true) return;
    let at = Buffer.byteLength(text.slice(0, end));
    for (;;) {
      await sleep(LOOK_EVERY_MS);
      const { size } = await log.stat();
      if (size < at) at = 0;
      if (size === at) continue;
      const { buffer, bytesRead } = await log.read(Buffer.alloc(size - at), 0, size - at, at);
      const whole = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
      at += whole;
      const lines = buffer.subarray(0, whole).toString('utf8').split('\n');
      for (const line of lines) if (line !== '' && isWanted(line, flags)) print(line);
    }
  } finally {
    await log.close();
  }
}

/** Each line as it comes; the last ones alone cannot be told before the end. */
async function showStream(flags: LogFlags, print: (line: string) => void): Promise<void> {
  const { createInterface } = await import('node:readline');
  const wanted: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === '' || !isWanted(line, flags)) continue;
    if (flags.follow === true) print(line);
    else {
      wanted.push(line);
      if (wanted.length > flags.lines) wanted.shift();
    }
  }
  for (const line of wanted) print(line);
}
