import { dirname, isAbsolute, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { TrainingClient } from '../../client/training-client';
import { readDocument } from '../../config';
import { nameSchema, parseDocument } from '../../core/configuration/schema-parts';
import { fileProblem } from '../../core/text/file-problem';
import type { TrainingCommandName } from '../../core/training/fine-tune-command';
import type { TrainingStatus } from '../../core/training/fine-tune-status';
import type { TrainingPlan } from '../../core/training/training-plan';
import { trainingPlanSchema } from '../../core/training/training-plan-schema';
import { replaceFile } from '../../history/write-report';
import { reportHtml } from '../../report/report-html';
import { reportMarkdown } from '../../report/report-markdown';
import { CliError, EXIT } from '../options/cli-error';
import {
  type ConnectionFlags,
  connectOptions,
  forOperator,
  type OperatorFlags,
  withTemporal,
} from '../options/connection';
import { recordedOperator } from '../options/operator-name';
import { printJson, printLine } from '../options/output';
import { trainingReport } from './train-report';
import { decisionLine, printTrainingCheckpoints, printTrainingStatus, progressLine } from './train-view';
import { registerTrainWorker } from './train-worker';

const LOOK_EVERY_MS = 1_000;

interface TrainFlags extends OperatorFlags {
  readonly plan?: string;
  readonly dryRun?: boolean;
}

/** Adds `cutover train` and its commands. */
export function registerTrain(program: Command): void {
  const train = forOperator(
    withTemporal(
      program
        .command('train')
        .description('fine-tune a model in FP8 or BF16 as a durable job, gated against BF16')
        // Otherwise the options of the commands below are taken for its own.
        .enablePositionalOptions(),
    ),
  )
    .option('--plan <file>', 'the plan')
    .option('--dry-run', 'read the plan and show it with its defaults; start nothing')
    .addHelpText(
      'after',
      '\nPaths in the plan are relative to its file. Exit code 2: the plan cannot be carried out, and says why.\n' +
        'Exit code 3: a job of this name is running. Exit code 4: no worker trains.\n' +
        '\nExample:\n  cutover train --plan examples/training/train.yaml && cutover train watch tiny\n' +
        '\nIts input is written by `python3 examples/training/make-tiny-model.py`, after\n' +
        '`python3 -m pip install -e training`; `cutover train worker` runs it.',
    )
    .action((flags: TrainFlags) => runTrain(flags));
  const named = (name: string, description: string) =>
    withTemporal(train.command(name).description(description).argument('<job>', 'the name in its plan'));
  named('status', 'show where a job stands: step, memory, verdicts, decisions')
    .addHelpText('after', '\nExample:\n  cutover train status tiny --json')
    .action(async (job: string, flags: ConnectionFlags) => {
      const status = await withTraining(flags, (client) => client.status(jobOf(job)));
      if (flags.json === true) printJson(status);
      else printTrainingStatus(status);
    });
  named('watch', 'follow a job to its end')
    .addHelpText(
      'after',
      '\nExit code 5: it ended without an exported model.\n\nExample:\n  cutover train watch tiny',
    )
    .action((job: string, flags: ConnectionFlags) => runWatch(jobOf(job), flags));
  named('checkpoints', 'list everything that was saved')
    .addHelpText('after', '\nExample:\n  cutover train checkpoints tiny')
    .action(async (job: string, flags: ConnectionFlags) => {
      const checkpoints = await withTraining(flags, (client) => client.checkpoints(jobOf(job)));
      if (flags.json === true) for (const checkpoint of checkpoints) printJson(checkpoint);
      else printTrainingCheckpoints(checkpoints);
    });
  named('report', 'write a report of a job: verdicts, both loss curves, saturation, memory')
    .option('--html <file>', 'as one HTML file that loads nothing (default: Markdown to standard output)')
    .addHelpText('after', '\nExample:\n  cutover train report tiny --html tiny.html')
    .action((job: string, flags: ConnectionFlags & { html?: string }) => runReport(jobOf(job), flags));
  command(named('pause', 'stop training after the next checkpoint, until it is resumed'), 'pause');
  command(named('resume', 'continue, also after a hold that only a person can end'), 'resume');
  command(named('stop', 'end a job now; its checkpoints are kept'), 'stop');
  forOperator(named('back', 'continue from an earlier checkpoint'))
    .requiredOption('--to <number>', 'the number of a checkpoint; 0 for the weights')
    .addHelpText('after', '\nExample:\n  cutover train back tiny --to 3 --reason "the loss rose after it"')
    .action((job: string, flags: OperatorFlags & { to: string }) => {
      if (!/^\d{1,9}$/.test(flags.to)) {
        throw new CliError(
          `expected --to to be the number of a checkpoint, got "${flags.to}"`,
          EXIT.badInput,
        );
      }
      return send(jobOf(job), 'backTo', flags, { checkpoint: Number(flags.to) });
    });
  registerTrainWorker(train);
}

function command(added: Command, name: TrainingCommandName): void {
  forOperator(added)
    .addHelpText('after', `\nExample:\n  cutover train ${name} tiny --reason "the GPU is needed"`)
    .action((job: string, flags: OperatorFlags) => send(jobOf(job), name, flags, {}));
}

async function send(
  job: string,
  name: TrainingCommandName,
  flags: OperatorFlags,
  fields: Readonly<Record<string, unknown>>,
): Promise<void> {
  const by = recordedOperator('cli', flags.by);
  await withTraining(flags, (client) => client.command(job, name, { by, reason: flags.reason, ...fields }));
  if (flags.json === true) printJson({ job, command: name, accepted: true });
  else printLine(`${job}: ${name} accepted`);
}

async function runTrain(flags: TrainFlags): Promise<void> {
  if (flags.plan === undefined) {
    throw new CliError('expected --plan, such as `cutover train --plan train.yaml`', EXIT.badInput);
  }
  const plan = loadTrainingPlan(flags.plan);
  if (flags.dryRun === true) return printJson(plan);
  const asked = { by: recordedOperator('cli', flags.by), reason: flags.reason };
  await withTraining(flags, async (client) => {
    const trainingId = await client.start(plan, asked);
    const status = await planned(client, plan.name);
    if (flags.json === true) printJson(status);
    if (status.outcome === 'refused') {
      throw new CliError(`nothing was trained: ${status.decisions.at(-1)?.reason ?? ''}`, EXIT.badInput);
    }
    if (flags.json === true) return;
    printLine(`started ${trainingId}`);
    printTrainingStatus(status);
    printLine(`watch it: cutover train watch ${plan.name}`);
  });
}

/** Until the input was checked: what is wrong with it is said to whoever started it. */
async function planned(client: TrainingClient, name: string): Promise<TrainingStatus> {
  for (;;) {
    const status = await client.status(name);
    if (status.memory !== null || status.outcome !== null || status.held !== null) return status;
    await sleep(LOOK_EVERY_MS);
  }
}

async function runWatch(job: string, flags: ConnectionFlags): Promise<void> {
  await withTraining(flags, async (client) => {
    let shown = 0;
    for (let last = ''; ; ) {
      const status = await client.status(job);
      if (flags.json === true) printJson(status);
      else {
        for (const decision of status.decisions.slice(shown)) printLine(decisionLine(decision));
        shown = status.decisions.length;
        const line = progressLine(status);
        if (line !== last && status.outcome === null) printLine(line);
        last = line;
      }
      if (status.outcome === 'exported') return;
      if (status.outcome !== null) {
        throw new CliError(`${job} ended without a model: ${status.outcome}`, EXIT.negative);
      }
      await sleep(LOOK_EVERY_MS);
    }
  });
}

async function runReport(job: string, flags: ConnectionFlags & { html?: string }): Promise<void> {
  const report = await withTraining(flags, async (client) =>
    trainingReport(await client.status(job), await client.checkpoints(job)),
  );
  if (flags.json === true) return printJson(report);
  if (flags.html === undefined) return void process.stdout.write(reportMarkdown(report));
  writeTextFile(flags.html, reportHtml(report, new Date().toISOString()));
  printLine(`wrote ${flags.html}`);
}

function writeTextFile(file: string, text: string): void {
  try {
    replaceFile(file, text);
  } catch (cause) {
    throw new CliError(`cannot write ${file}: ${fileProblem(cause)}`, EXIT.badInput, { cause });
  }
}

/** The plan in a file, its paths relative to it; throws `InvalidDocument`. */
function loadTrainingPlan(file: string): TrainingPlan {
  const plan = parseDocument(trainingPlanSchema, readDocument(file), file);
  const at = (path: string) => (isAbsolute(path) ? path : resolve(dirname(file), path));
  const { model, tokenizer, data, evaluation, runFolder, exportFolder } = plan;
  return {
    ...plan,
    model: at(model),
    tokenizer: at(tokenizer),
    data: at(data),
    evaluation: at(evaluation),
    runFolder: at(runFolder),
    exportFolder: at(exportFolder),
  };
}

function jobOf(given: string): string {
  return parseDocument(nameSchema, given, 'the job');
}

async function withTraining<T>(
  flags: ConnectionFlags,
  work: (client: TrainingClient) => Promise<T>,
): Promise<T> {
  const client = await TrainingClient.connect(connectOptions(flags));
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
