import { type Command, InvalidArgumentError } from 'commander';
import { EnrolmentProblem, enrolModel } from '../../adapters/identity-enrolment';
import { askableModel, readReferenceFile, type SoldModel } from '../../adapters/identity-files';
import { configurationPath, loadConfiguration, secretResolver } from '../../config';
import { comparedAnswers, shortDigest } from '../../core/identity/identity-reference';
import { referenceFile, weightsDigestSchema } from '../../core/identity/identity-reference-schema';
import { replaceFile } from '../../history/write-report';
import { CliError, EXIT } from '../options/cli-error';
import { amount, fraction, positive } from '../options/option-value';
import { printJson, printLine, printNote } from '../options/output';
import { untilInterrupted } from '../run/until-interrupted';
import { auditModel } from './identity-audit';
import { printAudit } from './identity-table';

interface EnrolFlags {
  readonly provider: string;
  readonly model: string;
  readonly out: string;
  readonly samples: number;
  readonly concurrency: number;
  readonly timeout: number;
  readonly declared?: string;
  readonly config?: string;
  readonly json?: true;
}

interface AuditFlags {
  readonly reference: string;
  readonly route?: string;
  readonly provider?: string;
  readonly model?: string;
  readonly probes: number;
  readonly alpha: number;
  readonly timeout: number;
  readonly config?: string;
  readonly json?: true;
}

const PROGRESS_EVERY_MS = 2_000;
const LEAST_SAMPLES = 20;
const CONFIG = 'configuration file (default: CUTOVER_CONFIG, then ./cutover.yaml)';

/** Adds `cutover identity`: whether a provider serves the model that was sold. */
export function registerIdentity(program: Command): void {
  const identity = program
    .command('identity')
    .description('find out whether a provider serves the model that was sold')
    .addHelpText(
      'after',
      '\nExample:\n  cutover identity enrol --provider deepseek --model deepseek-chat && cutover identity audit --route chat --reference identity.json',
    );
  identity
    .command('enrol')
    .description('ask the original what its model shows, and write it to a reference file')
    .requiredOption('--provider <name>', 'the original: a provider of the configuration')
    .requiredOption('--model <name>', 'the model, as that provider names it')
    .option('--out <file>', 'the reference file', 'identity.json')
    .option('--samples <answers>', `answers to each question, at least ${LEAST_SAMPLES}`, samples, 100)
    .option('--concurrency <calls>', 'calls at a time', positive, 4)
    .option('--timeout <seconds>', 'for one answer', amount, 120)
    .option('--declared <digest>', 'digest of the weights as their owner declares it, sha256:…', declared)
    .option('--config <file>', CONFIG)
    .option('--json', 'print the reference as one JSON document as well')
    .addHelpText(
      'after',
      '\nAsks about 800 short questions; --samples 40 asks 325 and sees less.\n' +
        '\nExample:\n  cutover identity enrol --provider deepseek --model deepseek-chat --out deepseek-chat.identity.json',
    )
    .action(runEnrol);
  identity
    .command('audit')
    .description("ask a provider and say whether it is the reference's model")
    .requiredOption('--reference <file>', 'what `cutover identity enrol` wrote')
    .option('--route <name>', "ask the candidate of this route, with the route's rules for parameters")
    .option('--provider <name>', 'ask this provider; with --model')
    .option(
      '--model <name>',
      'the model: with --route as callers name it, with --provider as that provider does',
    )
    .option('--probes <questions>', 'how many questions, at most', positive, 60)
    .option(
      '--alpha <probability>',
      'chance of taking the same model for another one by its answers',
      fraction,
      0.01,
    )
    .option('--timeout <seconds>', 'for one answer', amount, 60)
    .option('--config <file>', CONFIG)
    .option('--json', 'print the result as one JSON document')
    .addHelpText(
      'after',
      '\nExit code 0: nothing differs. 5: it differs, or too little was answered to say.\n' +
        '\nExample:\n  cutover identity audit --route chat --reference deepseek-chat.identity.json --probes 200',
    )
    .action(runAudit);
}

async function runEnrol(flags: EnrolFlags): Promise<void> {
  const configuration = loadConfiguration(configurationPath(flags.config));
  const options = { configuration, resolveSecret: secretResolver(configuration) };
  const model = askableModel(options, { provider: flags.provider, model: flags.model });
  const { signal, release } = untilInterrupted();
  try {
    const reference = await enrolModel(model, {
      samples: flags.samples,
      concurrency: flags.concurrency,
      timeoutMs: flags.timeout * 1_000,
      declared: flags.declared ?? null,
      now: new Date(),
      signal,
      progress: progressNotes(),
    });
    replaceFile(flags.out, referenceFile(reference));
    if (flags.json === true) printJson(reference);
    else {
      printLine(
        `${flags.out}: ${reference.model} of ${reference.provider}, ${comparedAnswers(reference)} answers to compare with, ${shortDigest(reference.digest)}`,
      );
    }
  } catch (error) {
    if (signal.aborted)
      throw new CliError('interrupted: nothing was written', EXIT.failure, { cause: error });
    if (error instanceof EnrolmentProblem) throw new CliError(error.message, EXIT.negative, { cause: error });
    throw error;
  } finally {
    release();
  }
}

async function runAudit(flags: AuditFlags): Promise<void> {
  const reference = await readReferenceFile(flags.reference);
  const configuration = loadConfiguration(configurationPath(flags.config));
  const options = { configuration, resolveSecret: secretResolver(configuration) };
  const model = askableModel(options, soldModel(flags));
  const { signal, release } = untilInterrupted();
  try {
    const audit = await auditModel(model, reference, {
      path: flags.reference,
      probes: flags.probes,
      alpha: flags.alpha,
      timeoutMs: flags.timeout * 1_000,
      signal,
      draw: Math.random,
      progress: progressNotes(),
    });
    if (flags.json === true) printJson(audit);
    else printAudit(audit);
    if (audit.outcome !== 'same') process.exitCode = EXIT.negative;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new CliError('interrupted', EXIT.failure, { cause: error });
  } finally {
    release();
  }
}

function soldModel({ route, provider, model }: AuditFlags): SoldModel {
  if (route !== undefined && provider === undefined) return { route, model: model ?? null };
  if (route === undefined && provider !== undefined && model !== undefined) return { provider, model };
  throw new CliError('expected --route, or --provider with --model: whom to ask', EXIT.badInput);
}

function samples(text: string): number {
  const number = positive(text);
  if (number < LEAST_SAMPLES || number > 10_000) {
    throw new InvalidArgumentError(`expected ${LEAST_SAMPLES} to 10,000 answers to each question`);
  }
  return number;
}

function declared(text: string): string {
  if (weightsDigestSchema.safeParse(text).success) return text;
  throw new InvalidArgumentError('expected a digest: sha256: and 64 hexadecimal digits');
}

function progressNotes(): (answers: number, all: number) => void {
  let toldAtMs = Date.now();
  return (answers, all) => {
    if (Date.now() - toldAtMs < PROGRESS_EVERY_MS) return;
    toldAtMs = Date.now();
    printNote(`${answers} of ${all} answers`);
  };
}
