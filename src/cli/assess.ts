import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type AssessmentRequest, assessUsage } from '../assess/assess-usage';
import { type AssessmentReport, digestReport } from '../assess/assessment-report';
import { openAiInquiry } from '../assess/openai-inquiry';
import { type PriceBook, parsePriceBook } from '../assess/prices/price-book-schema';
import { MissingPrice, PriceFinder } from '../assess/prices/price-finder';
import { ATTESTATION_ITEMS, type Attestation, type AttestationItem } from '../assess/readiness';
import { reportHtml } from '../assess/report-html';
import { reportMarkdown } from '../assess/report-markdown';
import { reportSections } from '../assess/report-sections';
import { UnreadableUsage } from '../assess/usage/content-kind';
import { parseMapping } from '../assess/usage/mapping-schema';
import { fetchOpenAiUsage } from '../assess/usage/openai-fetch';
import { TooManyRejects } from '../assess/usage/usage-loader';
import {
  configurationPath,
  loadConfiguration,
  readDocument,
  resolveSecret,
  UnresolvedSecret,
} from '../config';
import type { Configuration } from '../core/configuration-schema';
import { InvalidDocument } from '../core/schema-parts';
import { attestations, collected, instant, lengths, pairs, part, price, ratio } from './assess-value';
import { CliError, EXIT } from './cli-error';
import { operatorName } from './operator-name';
import { amount, fraction, positive } from './option-value';
import { printJson, printLine, printNote, printTable } from './output';

interface AssessOptions {
  readonly route?: string;
  readonly config?: string;
  readonly format?: string;
  readonly mappingFile?: string[];
  readonly maxRejects: number;
  readonly from?: number;
  readonly to?: number;
  readonly days: number;
  readonly fetchOpenai?: boolean;
  readonly legacy?: string;
  readonly candidate?: string;
  readonly mapping?: Map<string, string>;
  readonly prices?: string[];
  readonly candidatePrice?: { input: number; cachedInput?: number; output: number };
  readonly tokenizerRatio?: { low: number; point: number; high: number };
  readonly warmUpDays: number;
  readonly candidateUrl?: string;
  readonly key?: string;
  readonly ask?: boolean;
  readonly contextLength?: Map<string, number>;
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly measuredP50?: number;
  readonly maxP50?: number;
  readonly maxErrorRate?: number;
  readonly minSaving?: number;
  readonly attest?: { item: AttestationItem; holds: boolean }[];
  readonly by?: string;
  readonly json?: boolean;
  readonly markdown?: string;
  readonly html?: string;
}

const PROGRESS_AFTER_MS = 2000;

/** Adds `cutover assess`: what is used, what it would cost at the candidate, and what stands in the way. */
export function registerAssess(program: Command): void {
  program
    .command('assess')
    .description('read usage logs; print usage, cost now and at the candidate, and readiness')
    .argument('[files...]', 'usage logs: CSV, JSON, JSON lines, Parquet, zip; globs and .gz too')
    .option('--route <name>', 'take providers, model mapping and prices from this route of the configuration')
    .option('--config <path>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)')
    .option('--format <name>', 'the format of the files (default: told from their content)')
    .option('--mapping-file <path>', 'a usage mapping of your own, YAML or JSON; repeatable', collected)
    .option('--max-rejects <part>', 'part of the rows that may be rejected', part, 0.01)
    .option('--from <time>', 'start of the window, ISO 8601', instant)
    .option('--to <time>', 'end of the window', instant)
    .option('--days <days>', 'days up to the last record, without --from', positive, 30)
    .option('--fetch-openai', 'also fetch organization usage and costs from OpenAI, with --key')
    .option('--legacy <provider>', 'whose prices hold now (default: whoever lists the model)')
    .option('--candidate <provider>', 'whose prices would hold')
    .option(
      '--mapping <old=new>',
      'a model of legacy and the candidate’s; repeatable (default: same names)',
      pairs,
    )
    .option('--prices <book>', 'a price book, YAML or JSON; repeatable, earlier ones win', collected)
    .option(
      '--candidate-price <input,output[,cached]>',
      'dollars a million tokens for every mapped model',
      price,
    )
    .option(
      '--tokenizer-ratio <low:point:high>',
      'candidate tokens for one of legacy’s, measured by parity',
      ratio,
    )
    .option('--warm-up-days <days>', 'days a month of cold prompt cache, at worst', amount, 7)
    .option('--candidate-url <url>', 'ask this OpenAI-compatible endpoint, with --key')
    .option('--ask', 'ask the candidate of --route for its models, and probe each feature in use once')
    .option('--key <reference>', 'env:NAME or file:/path of the key of --candidate-url or --fetch-openai')
    .option('--context-length <model=tokens>', 'context of a candidate model; repeatable', lengths)
    .option('--requests-per-minute <limit>', "the candidate's limit", positive)
    .option('--tokens-per-minute <limit>', "the candidate's limit", positive)
    .option('--measured-p50 <ms>', "the candidate's p50, from probes", amount)
    .option('--max-p50 <ms>', "the plan's target", amount)
    .option('--max-error-rate <part>', "the plan's target", fraction)
    .option('--min-saving <percent>', 'reject below this saving', amount)
    .option(
      '--attest <item=yes|no>',
      `what you vouch for, with --by: ${ATTESTATION_ITEMS.join(', ')}; repeatable`,
      attestations,
    )
    .option('--by <name>', 'who attests')
    .option('--json', 'print the report as one JSON document')
    .option('--markdown <file>', 'write the report as Markdown; - for standard output')
    .option('--html <file>', 'write the report as one self-contained page')
    .addHelpText(
      'after',
      '\nExit code 5: rejected, a blocker stands in the way. Exit code 2: a file or price that cannot be used.\n' +
        '\nExamples:\n  cutover assess usage.csv\n' +
        "  cutover assess 'logs/*.jsonl.gz' --candidate deepseek --mapping gpt-4o=deepseek-chat --html report.html\n" +
        '  cutover assess usage.csv --route chat --ask --attest sla=yes --attest dataResidency=yes --by ana',
    )
    .action(runAssess);
}

async function runAssess(files: readonly string[], options: AssessOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-fetched-'));
  try {
    const route = options.route === undefined ? null : routeOf(options);
    const fetched = options.fetchOpenai === true ? await fetchUsage(options, folder) : [];
    if (files.length + fetched.length === 0) {
      throw new CliError('expected at least one usage file, or --fetch-openai', EXIT.badInput);
    }
    const report = await assessUsage(requestOf([...files, ...fetched], options, route), {
      finder: new PriceFinder(priceBooks(options, route)),
      inquiry: inquiryOf(options, route),
      now: new Date(),
      progress: progressNotes(),
    });
    output(report, options);
    if (report.readiness?.verdict === 'rejected') process.exitCode = EXIT.negative;
  } catch (error) {
    throw asCliError(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A route with both providers, as the configuration gives them. */
interface ResolvedRoute {
  readonly name: string;
  readonly legacy: string;
  readonly candidate: string;
  readonly modelMapping: ReadonlyMap<string, string>;
  readonly providers: Configuration['providers'];
}

function routeOf(options: AssessOptions): ResolvedRoute {
  const configuration = loadConfiguration(configurationPath(options.config));
  const name = options.route ?? '';
  const route = Object.hasOwn(configuration.routes, name) ? configuration.routes[name] : undefined;
  if (route === undefined) {
    const known = Object.keys(configuration.routes).join(', ');
    throw new CliError(`expected one of the routes (${known}), got "${name}"`, EXIT.badInput);
  }
  return {
    name,
    legacy: route.legacy,
    candidate: route.candidate,
    modelMapping: new Map(Object.entries(route.models).map(([model, { candidate }]) => [model, candidate])),
    providers: configuration.providers,
  };
}

function requestOf(
  files: readonly string[],
  options: AssessOptions,
  route: ResolvedRoute | null,
): AssessmentRequest {
  const candidate =
    options.candidate ?? (options.candidatePrice === undefined ? route?.candidate : CANDIDATE);
  if (candidate === undefined && options.mapping !== undefined) {
    throw new CliError('--mapping needs --candidate, --candidate-price or --route', EXIT.badInput);
  }
  const mappings = (options.mappingFile ?? []).map((path) => parseMapping(readDocument(path), path));
  return {
    route: route?.name ?? null,
    files,
    load: {
      mappings,
      maxRejectShare: options.maxRejects,
      ...(options.format === undefined ? {} : { format: options.format }),
    },
    window: { fromMs: options.from ?? null, toMs: options.to ?? null, days: options.days },
    legacyProvider: options.legacy ?? route?.legacy ?? null,
    candidate:
      candidate === undefined
        ? null
        : {
            provider: candidate,
            modelMapping: options.mapping ?? route?.modelMapping ?? null,
            tokenizerRatio: options.tokenizerRatio ?? null,
          },
    warmUpDays: options.warmUpDays,
    readiness:
      candidate === undefined
        ? null
        : {
            contextLengths: options.contextLength ?? new Map(),
            rateLimits: {
              requestsPerMinute: options.requestsPerMinute ?? null,
              tokensPerMinute: options.tokensPerMinute ?? null,
            },
            measuredP50Ms: options.measuredP50 ?? null,
            attestations: attested(options),
            demands: {
              ...(options.maxP50 === undefined ? {} : { maxP50Ms: options.maxP50 }),
              ...(options.maxErrorRate === undefined ? {} : { maxErrorRate: options.maxErrorRate }),
              ...(options.minSaving === undefined ? {} : { minSavingPercent: options.minSaving }),
            },
          },
  };
}

/** The name of a candidate that is known by its price only. */
const CANDIDATE = 'candidate';

function attested(options: AssessOptions): Attestation[] {
  const on = new Date().toISOString().slice(0, 10);
  return (options.attest ?? []).map((each) => ({ ...each, by: options.by ?? operatorName(), on }));
}

function priceBooks(options: AssessOptions, route: ResolvedRoute | null): PriceBook[] {
  const books = (options.prices ?? []).map((path) => parsePriceBook(readDocument(path), path));
  const today = new Date().toISOString().slice(0, 10);
  const written: object[] = [];
  if (options.candidatePrice !== undefined) {
    const provider = options.candidate ?? CANDIDATE;
    const models = new Set([
      ...(options.mapping ?? route?.modelMapping ?? new Map<string, string>()).values(),
    ]);
    if (models.size === 0)
      throw new CliError('--candidate-price needs --mapping, which names the models', EXIT.badInput);
    for (const model of models) {
      written.push({ provider, model, ...options.candidatePrice, source: 'command line', asOf: today });
    }
  }
  for (const [provider, { prices }] of Object.entries(route?.providers ?? {})) {
    for (const [model, rates] of Object.entries(prices)) {
      const cached = rates.cachedInputPerMillion;
      written.push({
        provider,
        model,
        input: rates.inputPerMillion,
        ...(cached === undefined ? {} : { cachedInput: cached }),
        output: rates.outputPerMillion,
        source: 'configuration',
        asOf: today,
      });
    }
  }
  return [...books, parsePriceBook({ version: 1, prices: written }, 'prices of the command')];
}

function inquiryOf(options: AssessOptions, route: ResolvedRoute | null) {
  if (options.candidateUrl !== undefined) {
    if (options.key === undefined) throw new CliError('--candidate-url needs --key env:NAME', EXIT.badInput);
    return openAiInquiry({
      baseUrl: options.candidateUrl,
      apiKey: resolveSecret(options.key),
      timeoutMs: 60_000,
    });
  }
  if (options.ask !== true) return null;
  const provider = route?.providers[route.candidate];
  if (provider === undefined)
    throw new CliError('--ask needs --route, or --candidate-url and --key', EXIT.badInput);
  const { auth } = provider;
  const bearer = auth !== undefined && 'bearer' in auth ? resolveSecret(auth.bearer) : null;
  return openAiInquiry({
    baseUrl: provider.baseUrl,
    apiKey: bearer ?? 'none',
    timeoutMs: 60_000,
    headers: {
      ...provider.headers,
      ...(bearer === null ? { authorization: null } : {}),
      ...(auth !== undefined && 'header' in auth ? { [auth.header]: resolveSecret(auth.key) } : {}),
    },
    query: {
      ...provider.query,
      ...(auth !== undefined && 'query' in auth ? { [auth.query]: resolveSecret(auth.key) } : {}),
    },
  });
}

async function fetchUsage(options: AssessOptions, folder: string): Promise<string[]> {
  if (options.key === undefined)
    throw new CliError('--fetch-openai needs --key env:NAME of an admin key', EXIT.badInput);
  const key = resolveSecret(options.key);
  const toMs = options.to ?? Date.now();
  const fromMs = options.from ?? toMs - options.days * 86_400_000;
  const files: string[] = [];
  for (const what of ['usage/completions', 'costs'] as const) {
    const pages = await fetchOpenAiUsage({
      what,
      fromMs,
      toMs,
      key,
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
  const sections = reportSections(report);
  const title = report.route === null ? 'Assessment' : `Assessment of ${report.route}`;
  for (const { file, title: format, chosen } of report.usage.sources)
    printNote(`${file}: ${format} (${chosen})`);
  if (options.html !== undefined) {
    writeFileSync(options.html, reportHtml(title, report, sections));
    printNote(`wrote ${options.html}`);
  }
  if (options.markdown === '-') {
    process.stdout.write(reportMarkdown(title, sections));
    return;
  }
  if (options.markdown !== undefined) {
    writeFileSync(options.markdown, reportMarkdown(title, sections));
    printNote(`wrote ${options.markdown}`);
  }
  if (options.json === true) {
    printJson({ ...report, digest: digestReport(report) });
    return;
  }
  for (const { title: heading, lines, table } of sections) {
    printLine(heading);
    for (const line of lines) printLine(`  ${line}`);
    if (table !== null && table.rows.length > 0) printTable(table.head, table.rows);
    printLine();
  }
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
  const expected = [
    UnreadableUsage,
    TooManyRejects,
    MissingPrice,
    RangeError,
    InvalidDocument,
    UnresolvedSecret,
  ];
  return error instanceof Error && expected.some((kind) => error instanceof kind)
    ? new CliError(error.message, EXIT.badInput, { cause: error })
    : error;
}
