import type { Command } from 'commander';
import { z } from 'zod';
import { providerInquiry } from '../../adapters/openai/provider-inquiry';
import { type PriceBook, parsePriceBook } from '../../assess/prices/price-book-schema';
import { PriceFinder } from '../../assess/prices/price-finder';
import {
  type Claims,
  type ComparedProvider,
  claimsSchema,
  compareProviders,
  type Measurements,
  measurementsSchema,
} from '../../assess/prices/provider-comparison';
import { configurationPath, loadConfiguration, readDocument, secretResolver } from '../../config';
import { BadInput } from '../../core/configuration/bad-input';
import type { ProviderConfiguration } from '../../core/configuration/configuration-schema';
import { DAY_MS } from '../../core/text/duration';
import { CliError, EXIT } from '../options/cli-error';
import { fraction, positive } from '../options/option-value';
import { printJson, printLine, printNote, printTable } from '../options/output';
import { collected } from './assess-value';

interface BookOptions {
  readonly prices?: string[];
  readonly at?: string;
  readonly json?: boolean;
}

/** Adds `cutover prices show|check|compare`. */
export function registerPrices(program: Command): void {
  const prices = program
    .command('prices')
    .description('look prices up, check a price book, compare providers')
    .addHelpText(
      'after',
      '\nExamples:\n  cutover prices show gpt-4o --provider openai\n  cutover prices check prices.yaml',
    );
  const withBooks = (command: Command) =>
    command
      .option('--prices <book>', 'a price book, YAML or JSON; repeatable, earlier ones win', collected)
      .option('--at <time>', 'the moment to price at, ISO 8601 (default: now)')
      .option('--json', 'print JSON');
  withBooks(prices.command('show').description('the price of a model at a moment, with its source'))
    .argument('<model>', 'the model')
    .option('--provider <name>', 'the provider (default: whoever lists the model)')
    .option('--tier <name>', 'the service tier, such as batch')
    .option('--prompt <tokens>', 'input tokens of the request, for context tiers', positive, 1)
    .addHelpText(
      'after',
      '\nExample:\n  cutover prices show deepseek-v4-flash --prices prices.yaml --at 2026-11-02T07:00:00Z',
    )
    .action(show);
  prices
    .command('check')
    .description('check a price book, and name the prices that were read over 90 days ago')
    .argument('<book>', 'the price book, YAML or JSON')
    .option('--at <time>', 'the moment at which ages are counted, ISO 8601 (default: now)')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit code 2: it is not valid.\n\nExample:\n  cutover prices check prices.yaml')
    .action(check);
  withBooks(
    prices.command('compare').description('providers side by side: claims, price books and measurements'),
  )
    .argument('<claims>', 'what providers claim, YAML or JSON')
    .option('--measured <file>', 'what your probes measured, YAML or JSON')
    .option('--probe', 'measure now: 30 tiny requests to each provider that the configuration has')
    .option(
      '--config <file>',
      'with --probe: the configuration (default: CUTOVER_CONFIG, then ./cutover.yaml)',
    )
    .option('--output-part <part>', 'output tokens in a mixed million', fraction, 0.25)
    .addHelpText(
      'after',
      '\nExit code 5: a measurement contradicts a claim.\n' +
        '\nExamples:\n  cutover prices compare examples/prices/article-claims.yaml --measured examples/prices/measured.yaml\n' +
        '  cutover prices compare claims.yaml --probe --config cutover.yaml',
    )
    .action(compare);
}

function show(
  model: string,
  options: BookOptions & { provider?: string; tier?: string; prompt: number },
): void {
  const finder = finderOf(options);
  const atMs = momentOf(options);
  const { used } = expected(() =>
    finder.find(options.provider ?? null, model, {
      atMs,
      serviceTier: options.tier ?? null,
      contextTokens: options.prompt,
    }),
  );
  if (options.json === true) {
    printJson({ ...used, at: new Date(atMs).toISOString() });
    return;
  }
  const { currency } = used;
  printLine(
    `${used.provider} ${used.model}${used.serviceTier === null ? '' : ` (${used.serviceTier})`}, per million tokens`,
  );
  printTable(
    ['input', 'cached input', 'output'],
    [
      [
        `${used.inputPerMillion} ${currency}`,
        used.cachedInputPerMillion === null ? 'as input' : `${used.cachedInputPerMillion} ${currency}`,
        `${used.outputPerMillion} ${currency}`,
      ],
    ],
  );
  printLine(
    `holds: ${used.window ?? 'at all hours'}; priced at ${new Date(atMs).toISOString().slice(0, 16)}Z`,
  );
  printLine(`source: ${used.source}, as of ${used.asOf}`);
  if (used.currencyRate !== null) {
    printLine(
      `1 ${currency} = $${used.currencyRate.usd} on ${used.currencyRate.asOf} (${used.currencyRate.source})`,
    );
  }
}

function check(path: string, options: { at?: string; json?: boolean }): void {
  const { cards, currencyRates } = expected(() => parsePriceBook(readDocument(path), path));
  const old = readLongAgo({ cards, currencyRates }, momentOf(options));
  const finder = new PriceFinder([{ cards, currencyRates }], null);
  for (const { currency } of cards) if (currency !== 'USD') expected(() => finder.currencyRate(currency));
  if (options.json === true) printJson({ prices: cards.length, currencyRates: currencyRates.length, old });
  else {
    printTable(
      ['provider', 'model', 'from', 'input', 'output', 'windows', 'tiers', 'as of'],
      cards.map((card) => [
        card.provider,
        card.models.join(', '),
        new Date(card.effectiveFromMs).toISOString().slice(0, 16),
        `${card.rates.inputPerMillion} ${card.currency}`,
        `${card.rates.outputPerMillion} ${card.currency}`,
        String(card.windows.length),
        [...card.serviceTiers.keys()].join(', ') || '-',
        card.asOf,
      ]),
    );
    for (const { what, asOf, days } of old) {
      printNote(`warning: ${what} was read on ${asOf}, ${days} days ago: read it again at its source`);
    }
  }
}

/** From here on a price is taken to be out of date. */
const OLD_DAYS = 90;

/** What a price book says that was read over 90 days before a moment. */
function readLongAgo(
  { cards, currencyRates }: PriceBook,
  atMs: number,
): { readonly what: string; readonly asOf: string; readonly days: number }[] {
  const read = [
    ...cards.map(({ provider, models, asOf }) => ({ what: `${provider} ${models.join(', ')}`, asOf })),
    ...currencyRates.map(({ currency, asOf }) => ({ what: `the rate of ${currency}`, asOf })),
  ];
  return read
    .map((one) => ({ ...one, days: Math.floor((atMs - Date.parse(one.asOf)) / DAY_MS) }))
    .filter(({ days }) => days > OLD_DAYS);
}

interface CompareOptions extends BookOptions {
  readonly measured?: string;
  readonly probe?: boolean;
  readonly config?: string;
  readonly outputPart: number;
}

async function compare(path: string, options: CompareOptions): Promise<void> {
  const claims = parsed(claimsSchema, path);
  const given =
    options.measured === undefined ? [] : parsed(measurementsSchema, options.measured).measurements;
  const probed = options.probe === true ? await probe(claims, options.config) : [];
  // What was measured just now counts before what a file says.
  const measurements = { measurements: [...probed, ...given] };
  const compared = expected(() =>
    compareProviders(claims, measurements, finderOf(options), {
      atMs: momentOf(options),
      outputPart: options.outputPart,
    }),
  );
  if (options.json === true) printJson({ source: claims.source, asOf: claims.asOf, providers: compared });
  else {
    printLine(`claims by ${claims.source}, ${claims.asOf}`);
    printComparison(compared, options.outputPart);
  }
  if (compared.some(({ contradictions }) => contradictions.length > 0)) process.exitCode = EXIT.negative;
}

const PROBES = 30;
const PROBE_TIMEOUT_MS = 60_000;

/** The p50 of every claimed provider that the configuration has, from requests sent one after the other. */
async function probe({ claims }: Claims, config: string | undefined): Promise<Measurements['measurements']> {
  const configuration = loadConfiguration(configurationPath(config));
  const { providers } = configuration;
  const known = claims.filter(({ provider }) => Object.hasOwn(providers, provider));
  if (known.length === 0) {
    const [names, claimed] = [Object.keys(providers), claims.map(({ provider }) => provider)].map((list) =>
      list.join(', '),
    );
    throw new CliError(
      `expected one of the claimed providers (${claimed}) in the configuration, which has ${names}`,
      EXIT.badInput,
    );
  }
  const measured: Measurements['measurements'] = [];
  for (const { provider, model, title } of known) {
    printNote(`${title}: sending ${PROBES} requests to ${provider}`);
    const inquiry = providerInquiry(
      providers[provider] as ProviderConfiguration,
      secretResolver(configuration),
      PROBE_TIMEOUT_MS,
    );
    const { p50Ms, error } = await inquiry.ping(model, PROBES);
    if (p50Ms === null) printNote(`${title}: could not be measured: ${error}`);
    else
      measured.push({
        provider,
        model,
        p50Ms: Number(p50Ms.toFixed(1)),
        count: PROBES,
        at: new Date().toISOString(),
      });
  }
  return measured;
}

function printComparison(compared: readonly ComparedProvider[], outputPart: number): void {
  printTable(
    [
      'provider',
      'model',
      '$ claimed',
      '$ by book',
      'p50 claimed',
      'p50 measured',
      'FP8',
      'special terms',
      '',
    ],
    compared.map((row) => [
      row.title,
      row.model,
      row.claimedPrice === null ? '-' : String(row.claimedPrice),
      row.bookPrice === null ? 'not in a book' : row.bookPrice.mixed.toFixed(3),
      row.claimedP50 === null ? '-' : `${row.claimedP50.bound ? '< ' : ''}${row.claimedP50.ms} ms`,
      row.measuredP50 === null ? 'not measured' : `${row.measuredP50.ms} ms (${row.measuredP50.count})`,
      row.fp8 ?? '-',
      row.special ?? '-',
      row.contradictions.length === 0 ? '' : 'CONTRADICTED',
    ]),
  );
  printLine(`book prices are for a million tokens of which ${outputPart * 100}% are output`);
  for (const { title, bookPrice, measuredP50, contradictions } of compared) {
    if (bookPrice !== null) {
      printLine(
        `${title}: in $${bookPrice.input}, out $${bookPrice.output} (${bookPrice.source}, as of ${bookPrice.asOf})`,
      );
    }
    if (measuredP50 !== null) printLine(`${title}: measured ${measuredP50.at}`);
    for (const contradiction of contradictions) printLine(`${title}: ${contradiction}`);
  }
}

function finderOf(options: BookOptions): PriceFinder {
  return new PriceFinder(
    (options.prices ?? []).map((path) => expected(() => parsePriceBook(readDocument(path), path))),
  );
}

function momentOf({ at }: BookOptions): number {
  const ms = at === undefined ? Date.now() : Date.parse(at);
  if (Number.isNaN(ms))
    throw new CliError(`expected a time such as 2026-11-02T07:00:00Z, got "${at}"`, EXIT.badInput);
  return ms;
}

function parsed<T>(schema: z.ZodType<T>, path: string): T {
  const result = schema.safeParse(expected(() => readDocument(path)));
  if (!result.success)
    throw new CliError(`${path} does not fit: ${z.prettifyError(result.error)}`, EXIT.badInput);
  return result.data;
}

function expected<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    throw new CliError(error.message, EXIT.badInput, { cause: error });
  }
}
