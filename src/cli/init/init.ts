import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { USUAL_PLAN } from '../../client/plan-file';
import { environment } from '../../config';
import { DIALECTS } from '../../core/configuration/dialect';
import { fileProblem } from '../../core/text/file-problem';
import { CliError, EXIT } from '../options/cli-error';
import { portNumber } from '../options/option-value';
import { printJson, printLine } from '../options/output';
import { planTemplate } from '../prepare/plan-template';
import { checkAnswers } from './answers-check';
import { completeAnswers, type InitFlags } from './init-answers';
import { configurationText, quickPlan } from './init-documents';

const CONFIGURATION = 'cutover.yaml';

/** Adds `cutover init`: writes a configuration and a plan that were checked against both providers. */
export function registerInit(program: Command): void {
  program
    .command('init')
    .description('write cutover.yaml and plan.yaml, checked against both providers')
    .option('--route <name>', 'what the traffic that moves is called', 'chat')
    .option('--legacy <url>', 'base URL of the provider that you leave, such as https://api.openai.com/v1')
    .option('--candidate <url>', 'base URL of the provider that you move to')
    .option('--legacy-key <reference>', 'where its key is: env:NAME, file:/path, or none')
    .option('--candidate-key <reference>', 'where its key is: env:NAME, file:/path, or none')
    .addOption(
      new Option('--dialect <dialect>', 'the API that both providers speak')
        .choices(DIALECTS)
        .default('openai'),
    )
    .option('--model <name=name>', "legacy's model and the candidate's; may be repeated", mapping)
    .option(
      '--port <port>',
      'where the gateway listens; its admin listener is on the next one',
      portNumber,
      8_080,
    )
    .option('--quick', 'a plan of minutes instead of days, to try it out')
    .option('--offline', 'ask no provider; what is written is not checked')
    .option('--force', 'overwrite files that are there')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nAt a terminal it asks for what no option gives. Keys stay where they are: only their references are written.\n' +
        'Exit code 4: a provider cannot be reached or refuses its key; nothing is written then.\n' +
        '\nExamples:\n  cutover init\n' +
        '  cutover init --legacy https://api.openai.com/v1 --legacy-key env:OPENAI_API_KEY \\\n' +
        '    --candidate https://api.deepseek.com/v1 --candidate-key env:DEEPSEEK_API_KEY \\\n' +
        '    --model gpt-4o-mini=deepseek-v4-flash',
    )
    .action(runInit);
}

async function runInit(flags: InitFlags): Promise<void> {
  refuseToOverwrite(flags);
  const answers = await completeAnswers(flags);
  if (flags.offline !== true) await checkAnswers(answers);
  const adminToken = adminTokenReference();
  const configuration = configurationText({ ...answers, adminToken, port: flags.port });
  write(CONFIGURATION, configuration);
  write(USUAL_PLAN, flags.quick === true ? quickPlan(answers.route) : planTemplate(answers.route));
  if (flags.json === true) return printJson({ configuration: CONFIGURATION, plan: USUAL_PLAN, adminToken });
  printLine(`wrote ${CONFIGURATION}: route ${answers.route}, from ${answers.legacy} to ${answers.candidate}`);
  printLine(
    `wrote ${USUAL_PLAN}: ${flags.quick === true ? 'minutes instead of days' : 'the default plan, which takes days'}`,
  );
  const step = (command: string, what: string) => printLine(`  ${`cutover ${command}`.padEnd(32)}# ${what}`);
  printLine('next:');
  step('up', 'in a terminal of its own: Temporal, worker and gateway');
  const base = `http://127.0.0.1:${flags.port}${answers.dialect === 'openai' ? '/v1' : ''}`;
  printLine(`  then point the application at ${base}: nothing moves yet`);
  step('doctor', 'what is missing or wrong, and how to fix it');
  step(`start --plan ${USUAL_PLAN}`, 'shows what it will do, and asks');
}

function refuseToOverwrite({ force }: InitFlags): void {
  const there = [CONFIGURATION, USUAL_PLAN].filter((file) => existsSync(file));
  if (there.length === 0 || force === true) return;
  throw new CliError(
    `${there.join(' and ')} ${there.length === 1 ? 'is' : 'are'} here already: --force overwrites, or use another folder`,
    EXIT.badInput,
  );
}

function write(file: string, text: string, mode = 0o666): void {
  try {
    writeFileSync(file, text, { mode });
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

function unwritable(path: string, cause: unknown): CliError {
  const why = `cannot write ${path} in ${process.cwd()}: ${fileProblem(cause)}`;
  return new CliError(`${why}. Run this in a folder that you can write to`, EXIT.badInput, { cause });
}

/** The variable where it is set; else a file with a token that is made here, readable by this user alone. */
function adminTokenReference(): string {
  if (environment['CUTOVER_ADMIN_TOKEN']) return 'env:CUTOVER_ADMIN_TOKEN';
  const file = resolve('.cutover', 'admin-token');
  if (!existsSync(file)) {
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw unwritable('.cutover', cause);
    }
    write(file, `${randomBytes(24).toString('hex')}\n`, 0o600);
  }
  return `file:${file}`;
}

function mapping(value: string, before: readonly string[] = []): readonly string[] {
  const [from, to, ...rest] = value.split('=');
  if (!from || !to || rest.length > 0) {
    throw new InvalidArgumentError(
      "expected legacy's name and the candidate's, such as gpt-4o-mini=deepseek-v4-flash",
    );
  }
  return [...before, value];
}
