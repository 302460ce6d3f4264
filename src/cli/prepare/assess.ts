import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { assessUsage } from '../../assess/assess-usage';
import { type AssessmentReport, digestReport } from '../../assess/assessment-report';
import { assessmentDocument } from '../../assess/assessment-sections';
import { fetchOpenAiUsage } from '../../assess/usage/formats/openai-fetch';
import { resolveSecret, UnresolvedSecret } from '../../config';
import { BadInput } from '../../core/configuration/bad-input';
import { DAY_MS } from '../../core/text/duration';
import { cellText } from '../../report/report-document';
import { reportHtml } from '../../report/report-html';
import { reportMarkdown } from '../../report/report-markdown';
import { CliError, EXIT } from '../options/cli-error';
import { printJson, printLine, printNote, printTable } from '../options/output';
import { untilInterrupted } from '../run/until-interrupted';
import { type AssessOptions, addAssessOptions } from './assess-options';
import { askedByOptions, askedByPlan } from './assess-request';

const PROGRESS_AFTER_MS = 2000;

/** Adds `cutover assess`: what is used, what it would cost at the candidate, and what stands in the way. */
export function registerAssess(program: Command): void {
  const command = program
    .command('assess')
    .description('read usage logs; print usage, cost now and at the candidate, and readiness');
  addAssessOptions(command)
    .addHelpText(
      'after',
      '\nExit code 5: rejected, a blocker stands in the way. Exit code 2: a file or price that cannot be used.\n' +
        '\nExamples:\n  cutover assess usage.csv\n  cutover assess --plan plan.yaml\n' +
        "  cutover assess 'logs/*.jsonl.gz' --candidate deepseek --mapping gpt-4o=deepseek-v4-flash --html report.html\n" +
        '  cutover assess usage.csv --route chat --ask --attest sla=yes --attest dataResidency=yes --by ana',
    )
    .action(runAssess);
}

async function runAssess(files: readonly string[], options: AssessOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-fetched-'));
  // What was read is put away before the process ends: it is a copy of the logs.
  const { signal, release } = untilInterrupted();
  try {
    const fetched = options.fetchOpenai === true ? await fetchUsage(options, folder, signal) : [];
    const given = [...files, ...fetched];
    if (given.length === 0 && options.plan === undefined) {
      throw new CliError('expected at least one usage file, --plan or --fetch-openai', EXIT.badInput);
    }
    const { request, finder, inquiry } =
      options.plan === undefined ? askedByOptions(given, options) : askedByPlan(options.plan, given, options);
    const report = await assessUsage(request, {
      finder,
      inquiry,
      now: new Date(),
      progress: progressNotes(),
      signal,
    });
    output(report, options);
    if (report.readiness?.verdict === 'rejected') process.exitCode = EXIT.negative;
  } catch (error) {
    if (signal.aborted) throw new CliError('interrupted', EXIT.failure, { cause: error });
    throw asCliError(error);
  } finally {
    release();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fetchUsage(options: AssessOptions, folder: string, signal: AbortSignal): Promise<string[]> {
  if (options.key === undefined)
    throw new CliError('--fetch-openai needs --key env:NAME of an admin key', EXIT.badInput);
  const key = resolveSecret(options.key);
  const toMs = options.to ?? Date.now();
  const fromMs = options.from ?? toMs - options.days * DAY_MS;
  const files: string[] = [];
  for (const what of ['usage/completions', 'usage/embeddings', 'costs'] as const) {
    const pages = await fetchOpenAiUsage({
      what,
      fromMs,
      toMs,
      key,
      signal,
      ...(options.openaiUrl === undefined ? {} : { address: options.openaiUrl }),
      progress: (count) => printNote(`fetched page ${count} of ${what}`),
    }).catch((error: unknown) => {
      throw new CliError(error instanceof Error ? error.message : String(error), EXIT.unreachable, {
        cause: error,
      });
    });
    const file = join(folder, `openai-${what.replace('/', '-')}.json`);
    writeFileSync(file, JSON.stringify(pages), { mode: 0o600 });
    files.push(file);
  }
  return files;
}

function output(report: AssessmentReport, options: AssessOptions): void {
  const document = assessmentDocument(report);
  noteFormats(report);
  if (options.html !== undefined) {
    writeFileSync(options.html, reportHtml(document, report.madeAt));
    printNote(`wrote ${options.html}`);
  }
  if (options.markdown === '-') {
    process.stdout.write(reportMarkdown(document));
    return;
  }
  if (options.markdown !== undefined) {
    writeFileSync(options.markdown, reportMarkdown(document));
    printNote(`wrote ${options.markdown}`);
  }
  if (options.json === true) {
    printJson({ ...report, digest: digestReport(report) });
    return;
  }
  for (const { title: heading, lines, table } of document.sections) {
    printLine(heading);
    for (const line of lines) printLine(`  ${line}`);
    if (table !== null && table.rows.length > 0)
      printTable(
        table.head,
        table.rows.map((cells) => cells.map(cellText)),
      );
    printLine();
  }
}

const FILES_NAMED = 5;

/** Says which format was taken for which file; of many files how many there are of each. */
function noteFormats({ usage: { sources } }: AssessmentReport): void {
  if (sources.length <= FILES_NAMED) {
    for (const { file, title, chosen } of sources) printNote(`${file}: ${title} (${chosen})`);
    return;
  }
  const counts = new Map<string, number>();
  for (const { title, chosen } of sources) {
    const format = `${title} (${chosen})`;
    counts.set(format, (counts.get(format) ?? 0) + 1);
  }
  for (const [format, files] of counts) printNote(`${files} files: ${format}`);
}

/** Says what takes long, from two seconds on. */
function progressNotes(): (what: string, done: number | null) => void {
  let startedAt = Date.now();
  let last = '';
  return (what, done) => {
    if (what !== last) startedAt = Date.now();
    last = what;
    if (Date.now() - startedAt < PROGRESS_AFTER_MS) return;
    printNote(done === null ? `${what} ...` : `${what}: ${Math.round(done * 100)}%`);
  };
}

function asCliError(error: unknown): unknown {
  if (error instanceof CliError) return error;
  return error instanceof BadInput || error instanceof UnresolvedSecret
    ? new CliError(error.message, EXIT.badInput, { cause: error })
    : error;
}
