import { basename, dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { configuredRoute } from '../../adapters/openai/provider-client';
import { createProviderProbes } from '../../adapters/openai/provider-probe';
import { createParityRuns } from '../../adapters/parity-runs';
import { configurationPath, loadConfiguration, parityDirectories, secretResolver } from '../../config';
import type { ParityProgress, ParityReport } from '../../core/assessment/parity-report';
import type { Configuration } from '../../core/configuration/configuration-schema';
import type { ParityMargins } from '../../core/plan/plan';
import { PARITY_MARGINS } from '../../core/plan/schema/parity-schema';
import { answersFile, setAnswersAside } from '../../parity/answer-journal';
import { CliError, EXIT } from '../options/cli-error';
import { amount, positive } from '../options/option-value';
import { printJson, printNote } from '../options/output';
import { untilInterrupted } from '../run/until-interrupted';
import { printParity } from './parity-table';

interface ParityOptions {
  readonly route?: string;
  readonly golden: string;
  readonly config?: string;
  readonly state: string;
  readonly concurrency: number;
  readonly maxCost?: number;
  readonly timeout: number;
  readonly minimum: number;
  readonly margin?: ParityMargins;
  readonly fresh?: true;
  readonly json?: true;
}

const PROGRESS_EVERY_MS = 2_000;

/** Adds `cutover parity`: golden prompts, answered twice by legacy and once by the candidate, compared. */
export function registerParity(program: Command): void {
  const margins = Object.keys(PARITY_MARGINS).join(', ');
  program
    .command('parity')
    .description(
      "compare both providers' answers to golden prompts, with legacy against itself as the noise floor",
    )
    .requiredOption('--golden <file>', 'golden prompts, JSON lines')
    .option('--route <name>', 'route of the configuration (default: the only one)')
    .option('--config <file>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)')
    .option(
      '--state <folder>',
      'where answers are kept, so that none is paid for twice',
      parityDirectories().answers,
    )
    .option('--concurrency <calls>', 'calls at a time', positive, 4)
    .option('--max-cost <usd>', 'send nothing more once this is spent (default: no cap)', amount)
    .option('--timeout <seconds>', 'for one answer', amount, 120)
    .option('--minimum <prompts>', 'at least this many prompts must be compared for a pass', positive, 30)
    .option(
      '--margin <name=part>',
      `how much worse than legacy itself is allowed, of ${margins}; repeatable`,
      withMargin,
    )
    .option('--fresh', 'set earlier answers aside and ask for all of them again')
    .option('--json', 'print the report as one JSON document')
    .addHelpText(
      'after',
      '\nRaw answers stay in --state. Run the same command again after a crash: it continues where it stopped.\n' +
        'Exit code 0: pass. 5: the candidate differs beyond a margin, or there was too little to judge by.\n' +
        '\nExamples:\n  cutover parity --route chat --golden examples/golden/starter.jsonl --max-cost 2\n' +
        '  cutover parity --route chat --golden golden.jsonl --margin decisions=0.05 --json',
    )
    .action(runParityCommand);
}

async function runParityCommand(options: ParityOptions): Promise<void> {
  const configuration = loadConfiguration(configurationPath(options.config));
  const route = routeName(configuration, options.route);
  const { legacy, candidate } = configuredRoute(configuration, route);
  const answers = resolve(options.state);
  if (options.fresh === true) {
    const aside = setAnswersAside(answers, route, new Date());
    if (aside !== null) printNote(`earlier answers are in ${aside}`);
  }
  printNote(
    `parity of ${route}: legacy ${legacy} twice, candidate ${candidate} once; Ctrl-C stops, and nothing is lost`,
  );
  const providers = createProviderProbes({
    configuration,
    resolveSecret: secretResolver(configuration),
    now: () => performance.now(),
  });
  const golden = resolve(options.golden);
  const runs = createParityRuns(configuration, providers, { golden: dirname(golden), answers });
  const { signal, release } = untilInterrupted();
  const progress = progressNotes();
  try {
    const report = await runs.run(
      {
        route,
        reuse: 'all',
        golden: basename(golden),
        concurrency: options.concurrency,
        maxCostUsd: options.maxCost ?? null,
        timeoutMs: options.timeout * 1_000,
        minimumPrompts: options.minimum,
        margins: options.margin ?? PARITY_MARGINS,
      },
      { signal, standing: null, report: progress },
    );
    output(report, answersFile(answers, route), options);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new CliError('interrupted: run the same command again to continue', EXIT.failure, { cause: error });
  } finally {
    release();
  }
}

function output(report: ParityReport, file: string, options: ParityOptions): void {
  if (options.json === true) printJson({ ...report, answersFile: file });
  else printParity(report, file);
  if (report.outcome !== 'pass') process.exitCode = EXIT.negative;
}

function routeName(configuration: Configuration, asked: string | undefined): string {
  const known = Object.keys(configuration.routes);
  const [only] = known;
  const name = asked ?? (known.length === 1 ? only : undefined);
  if (name !== undefined && known.includes(name)) return name;
  const got = asked === undefined ? 'none' : `"${asked}"`;
  throw new CliError(
    `expected --route with one of the routes (${known.join(', ')}), got ${got}`,
    EXIT.badInput,
  );
}

function withMargin(text: string, margins: ParityMargins = PARITY_MARGINS): ParityMargins {
  const [name = '', value = ''] = text.split('=');
  const part = Number(value);
  if (!Object.hasOwn(margins, name)) {
    throw new InvalidArgumentError(`expected one of ${Object.keys(margins).join(', ')}, got "${name}"`);
  }
  if (value === '' || !(part > 0 && part < 1)) {
    throw new InvalidArgumentError('expected a part above 0 and below 1, such as decisions=0.05');
  }
  return { ...margins, [name]: part };
}

function progressNotes(): (standing: ParityProgress, prompts: number) => void {
  let toldAtMs = Date.now();
  return ({ calls, costUsd, skipped, strata }, prompts) => {
    if (Date.now() - toldAtMs < PROGRESS_EVERY_MS) return;
    toldAtMs = Date.now();
    const compared = Object.values(strata).reduce((sum, stratum) => sum + stratum.prompts, skipped);
    printNote(`${compared} of ${prompts} prompts, ${calls} answers, ${costUsd.toFixed(4)} USD`);
  };
}
