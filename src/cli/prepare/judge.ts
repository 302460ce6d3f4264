import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ratesOfModel } from '../../adapters/model-rates';
import { askJudge } from '../../adapters/openai/judge-question';
import { providerClient } from '../../adapters/openai/provider-client';
import { configurationPath, loadConfiguration, parityDirectories, secretResolver } from '../../config';
import {
  type AnswerPair,
  DEFAULT_RUBRIC,
  JUDGE_TOKENS,
  judgeMessages,
} from '../../core/assessment/judge-pairs';
import { costOf, type Rates } from '../../core/assessment/prices';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { percentText } from '../../core/gates/gate-metric';
import { type Random, seededRandom } from '../../core/rehearsal/rehearsal';
import { answersFile } from '../../parity/answer-journal';
import { pairsOfParity, readAnswerPairs } from '../../parity/answer-pairs';
import { readGoldenPrompts } from '../../parity/golden-prompt';
import { type JudgeVerdict, judgeVerdict } from '../../parity/judge-verdict';
import { mostCost } from '../../parity/parity-spending';
import { type JudgeAnswer, type JudgedPairs, runJudge } from '../../parity/run-judge';
import { SchemaChecks } from '../../parity/schema-checks';
import { CliError, EXIT } from '../options/cli-error';
import { amount, fraction, positive } from '../options/option-value';
import { printJson, printLine, printNote, printTable } from '../options/output';
import { readTextFile } from '../options/text-file';
import { untilInterrupted } from '../run/until-interrupted';
import { postJudgements } from './judge-outcomes';

interface JudgeFlags {
  readonly provider: string;
  readonly model: string;
  readonly maxCost: number;
  readonly pairs?: string;
  readonly golden?: string;
  readonly route?: string;
  readonly state: string;
  readonly rubric?: string;
  readonly sample: number;
  readonly seed: number;
  readonly alpha: number;
  readonly concurrency: number;
  readonly timeout: number;
  readonly post?: string;
  readonly postKey?: string;
  readonly config?: string;
  readonly json?: true;
}

const PROGRESS_EVERY_MS = 2_000;
const SEEDS = 1_000_000;

/** Adds `cutover judge`: a model says which of two answers is better, both ways round. */
export function registerJudge(program: Command): void {
  program
    .command('judge')
    .description('ask a model which of two answers is better, both ways round')
    .requiredOption('--provider <name>', 'who judges: a provider of the configuration')
    .requiredOption('--model <name>', 'the model that judges, as that provider names it')
    .requiredOption('--max-cost <usd>', 'spend at most this, in dollars', amount)
    .option('--pairs <file>', 'pairs, JSON lines: prompt, legacy, candidate')
    .option('--golden <file>', 'instead: the golden prompts of a parity run, whose answers are judged')
    .option('--route <name>', 'with --golden: the route of that run')
    .option('--state <folder>', 'with --golden: where its answers are', parityDirectories().answers)
    .option(
      '--rubric <file>',
      'what makes an answer better, as text (default: what helps the person who asked)',
    )
    .option('--sample <pairs>', 'how many pairs, drawn at random', positive, 200)
    .option('--seed <number>', 'another one draws another sample', positive, 1)
    .option(
      '--alpha <probability>',
      'chance of calling equal answers worse, and of calling them better',
      fraction,
      0.05,
    )
    .option('--concurrency <pairs>', 'pairs at a time', positive, 4)
    .option('--timeout <seconds>', 'for one answer', amount, 60)
    .option('--post <url>', "report the outcome `judge` of pairs with requests to this gateway's /v1")
    .option('--post-key <reference>', 'key of the gateway for that, such as env:GATEWAY_KEY')
    .option('--config <file>', 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)')
    .option('--json', 'print the result as one JSON document')
    .addHelpText(
      'after',
      '\nPrompts and answers go to the judge and nowhere else; what is printed are numbers.\n' +
        'Exit code 0: no difference, or better. 5: worse, or too little could be judged.\n' +
        '\nExamples:\n  cutover judge --provider openai --model gpt-4o --pairs pairs.jsonl --max-cost 2\n' +
        '  cutover judge --provider openai --model gpt-4o --golden golden.jsonl --route chat --max-cost 2 --json',
    )
    .action(runJudgeCommand);
}

async function runJudgeCommand(flags: JudgeFlags): Promise<void> {
  const all = await pairsOf(flags);
  const configuration = loadConfiguration(configurationPath(flags.config));
  const rates = judgeRates(configuration, flags);
  const rubric = flags.rubric === undefined ? DEFAULT_RUBRIC : readTextFile(flags.rubric).trim();
  const pairs = sampleOf(all, flags.sample, seededRandom(flags.seed % SEEDS));
  printNote(
    `${pairs.length} of ${all.length} pairs, both ways round, for at most $${flags.maxCost}; Ctrl-C stops`,
  );
  const resolveSecret = secretResolver(configuration);
  const provider = configuration.providers[flags.provider] as Configuration['providers'][string];
  const client = providerClient(provider, resolveSecret, flags.timeout * 1_000);
  const asked = { client, model: flags.model, refused: new Set<string>() };
  const { signal, release } = untilInterrupted();
  const failures: string[] = [];
  const ask = async (messages: ReturnType<typeof judgeMessages>): Promise<JudgeAnswer> => {
    const reply = await askJudge(asked, messages, signal);
    if (reply.ok)
      return {
        text: reply.text,
        costUsd: reply.usage === null ? mostCost(rates, messages, JUDGE_TOKENS) : costOf(rates, reply.usage),
      };
    failures.push(reply.error);
    return { text: null, costUsd: reply.mayCost ? mostCost(rates, messages, JUDGE_TOKENS) : 0 };
  };
  try {
    const judged = await runJudge({
      ...{ pairs, rubric, concurrency: flags.concurrency, maxCostUsd: flags.maxCost, ask, signal },
      mostCostOf: (pair) => 2 * mostCost(rates, judgeMessages(pair, rubric, 'legacy'), JUDGE_TOKENS),
      report: progressNotes(pairs.length),
    });
    const reported =
      flags.post === undefined || signal.aborted ? null : await post(flags, judged, resolveSecret);
    output(
      judgeVerdict(judged.tally, flags.alpha),
      judged,
      { failure: failures[0] ?? null, reported },
      flags,
    );
  } finally {
    release();
  }
}

async function pairsOf(flags: JudgeFlags): Promise<AnswerPair[]> {
  const { pairs, golden, route, state } = flags;
  if (pairs !== undefined && golden === undefined) return readAnswerPairs(readTextFile(pairs), pairs);
  if (golden === undefined || pairs !== undefined || route === undefined) {
    throw new CliError('expected --pairs, or --golden with --route: what is judged', EXIT.badInput);
  }
  const schemas = new SchemaChecks();
  try {
    const prompts = await readGoldenPrompts(readTextFile(golden), golden, schemas);
    const file = answersFile(resolve(state), route);
    const found = pairsOfParity(prompts, readJournal(file));
    if (found.length > 0) return found;
    throw new CliError(
      `expected answers of both providers to ${golden} in ${file}, got none: run cutover parity first`,
      EXIT.badInput,
    );
  } finally {
    await schemas.close();
  }
}

function readJournal(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function judgeRates(configuration: Configuration, { provider, model }: JudgeFlags): Rates {
  if (!Object.hasOwn(configuration.providers, provider)) {
    const known = Object.keys(configuration.providers).join(', ');
    throw new CliError(`--provider: expected one of ${known}, got "${provider}"`, EXIT.badInput);
  }
  const rates = ratesOfModel(configuration, provider, model);
  if (rates !== null) return rates;
  throw new CliError(
    `providers.${provider}.prices: expected a price of "${model}", without which --max-cost cannot be kept`,
    EXIT.badInput,
  );
}

/** So many of all, each as likely as every other (Fisher and Yates). */
function sampleOf(pairs: readonly AnswerPair[], most: number, random: Random): AnswerPair[] {
  const drawn = [...pairs];
  for (let index = 0; index < Math.min(most, drawn.length); index += 1) {
    const other = index + Math.floor(random() * (drawn.length - index));
    [drawn[index], drawn[other]] = [drawn[other] as AnswerPair, drawn[index] as AnswerPair];
  }
  return drawn.slice(0, most);
}

async function post(
  { post: url = '', postKey }: JudgeFlags,
  { results }: JudgedPairs,
  resolveSecret: (reference: string) => string,
): Promise<number> {
  return postJudgements(url, postKey === undefined ? null : resolveSecret(postKey), results);
}

function output(
  verdict: JudgeVerdict,
  { calls, costUsd, unpaid }: JudgedPairs,
  { failure, reported }: { readonly failure: string | null; readonly reported: number | null },
  { alpha, json }: JudgeFlags,
): void {
  const { outcome, sentence, tally, winRate, interval, evidence, needed } = verdict;
  if (json === true) printJson({ ...verdict, alpha, calls, costUsd, unpaid, reported, failure });
  else {
    printTable(
      ['WON', 'LOST', 'TIES', 'UNREADABLE', 'FAILED'],
      [[tally.won, tally.lost, tally.tie, tally.unreadable, tally.failed].map(String)],
    );
    printLine();
    if (winRate !== null && interval !== null) {
      const [low, high] = interval.map(percentText);
      printLine(`of the pairs with a winner the candidate won ${percentText(winRate)} (${low} to ${high})`);
    }
    printLine(
      `e-value ${evidence.worse.toPrecision(2)} for worse, ${evidence.better.toPrecision(2)} for better, ${needed} needed`,
    );
    if (unpaid > 0) printLine(`${unpaid} pairs were left out: --max-cost would not have paid for them`);
    if (failure !== null) printLine(`the first failure of the judge: ${failure}`);
    if (reported !== null) printLine(`${reported} outcomes reported`);
    printLine(`${calls} calls, ${costUsd.toFixed(4)} USD`);
    printLine(`${outcome}: ${sentence}`);
  }
  if (outcome === 'worse' || outcome === 'not evaluated') process.exitCode = EXIT.negative;
}

function progressNotes(all: number): (judged: JudgedPairs) => void {
  let toldAtMs = Date.now();
  return ({ results, costUsd }) => {
    if (Date.now() - toldAtMs < PROGRESS_EVERY_MS) return;
    toldAtMs = Date.now();
    printNote(`${results.length} of ${all} pairs, ${costUsd.toFixed(4)} USD`);
  };
}
