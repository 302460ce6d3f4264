import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { loadPlan } from '../../client/plan-file';
import { formatShare, type StagePlan } from '../../core/plan/plan';
import { isRehearsable } from '../../core/rehearsal/rehearsal-run';
import { SCENARIOS } from '../../core/rehearsal/rehearsal-scenario';
import {
  type RehearsalSummary,
  summariseRehearsals,
  type Until,
} from '../../core/rehearsal/rehearsal-summary';
import { formatDuration } from '../../core/text/duration';
import { fileProblem } from '../../core/text/file-problem';
import { replaceFile } from '../../history/write-report';
import { CliError, EXIT } from '../options/cli-error';
import { positive } from '../options/option-value';
import { printJson, printLine, printNote, printTable } from '../options/output';
import { type TrafficFlags, trafficGiven, trafficText, withTraffic } from '../prepare/traffic-source';
import { rehearsalChart } from './rehearsal-chart';
import { type RehearsalJob, rehearseJobs } from './rehearsal-thread';

interface SimulateFlags extends TrafficFlags {
  readonly runs: number;
  readonly seed: number;
  readonly threads: number;
  readonly scenario?: readonly string[];
  readonly stage?: readonly string[];
  readonly svg?: string;
  readonly json?: boolean;
}

/** Runs that one thread does before it reports. */
const RUNS_A_JOB = 10;
const PROGRESS_MS = 2_000;

/** Adds `cutover gates simulate`. */
export function registerSimulate(gates: Command): void {
  withTraffic(
    gates
      .command('simulate')
      .description('rehearse the gates of a plan on simulated traffic with known regressions')
      .argument('<plan>', 'the plan, YAML or JSON'),
  )
    .option('--runs <number>', 'of each scenario in each stage', positive, 100)
    .option('--seed <number>', 'the same seed draws the same traffic', seed, 1)
    .option('--threads <number>', 'in parallel (default: one per core)', positive, availableParallelism())
    .option('--scenario <name>', 'only this scenario; may be repeated', collect)
    .option('--stage <name>', 'only this stage; may be repeated', collect)
    .option('--svg <file>', 'also write a chart')
    .option('--json', 'print JSON')
    .addHelpText('after', helpText())
    .action(runSimulate);
}

function helpText(): string {
  const width = Math.max(...SCENARIOS.map(({ name }) => name.length));
  const scenarios = SCENARIOS.map(({ name, description }) => `  ${name.padEnd(width)}  ${description}`);
  return (
    `\nScenarios:\n${scenarios.join('\n')}\n` +
    '\nHURT is the part of all requests up to the rollback that the candidate made fail or slow, before failover to\n' +
    'legacy hides anything. A stage is judged at the end of each window; a real watch looks at each renewal, so it\n' +
    'rolls back sooner, by up to a window.\n' +
    '\nExamples:\n  cutover gates simulate plan.yaml\n' +
    "  cutover gates simulate plan.yaml --traffic usage.json --scenario 'errors x5' --stage canary --svg gates.svg"
  );
}

async function runSimulate(file: string, flags: SimulateFlags): Promise<void> {
  const plan = loadPlan(file);
  const traffic = trafficGiven(flags);
  const stages = picked(
    plan.stages.filter(isRehearsable),
    flags.stage,
    'a stage of the plan with candidate traffic',
  );
  const scenarios = picked(SCENARIOS, flags.scenario, 'a scenario');
  const cases = scenarios.flatMap(({ name }) => stages.map((stage) => ({ scenario: name, stage })));
  const jobs = cases.flatMap(({ scenario, stage }) => {
    const before = plan.stages[plan.stages.indexOf(stage) - 1];
    const compared = before === undefined || !isRehearsable(before) ? {} : { before };
    return jobsOf({ stage, ...compared, traffic, scenario }, flags);
  });
  const results = await rehearseJobs(jobs, flags.threads, progress(cases.length * flags.runs));
  const summaries = cases.map(({ scenario, stage }) => {
    const runs = results.filter(
      (_, index) => jobs[index]?.scenario === scenario && jobs[index]?.stage === stage,
    );
    return summariseRehearsals(scenario, stage.name, runs.flat());
  });
  if (flags.svg !== undefined) {
    writeChart(flags.svg, rehearsalChart(`Rehearsal of ${file}, ${flags.runs} runs each`, summaries));
  }
  if (flags.json === true) {
    const { runs, seed: from } = flags;
    printJson({ plan: file, runs, seed: from, traffic: trafficJson(traffic), scenarios: summaries });
    return;
  }
  printLine(`${file}: ${flags.runs} runs of each scenario; traffic ${trafficText(traffic)}`);
  printSummaries(summaries);
}

function jobsOf(
  base: Pick<RehearsalJob, 'stage' | 'before' | 'traffic' | 'scenario'>,
  { runs, seed: first }: SimulateFlags,
): RehearsalJob[] {
  return Array.from({ length: Math.ceil(runs / RUNS_A_JOB) }, (_, index) => ({
    ...base,
    fromSeed: first + index * RUNS_A_JOB,
    runs: Math.min(RUNS_A_JOB, runs - index * RUNS_A_JOB),
  }));
}

/** Tells how far it is, on standard error, every two seconds. */
function progress(total: number): (runs: number) => void {
  let done = 0;
  let toldMs = Date.now();
  return (runs) => {
    done += runs;
    if (Date.now() - toldMs < PROGRESS_MS) return;
    toldMs = Date.now();
    printNote(`${done} of ${total} runs (${Math.floor((100 * done) / total)}%)`);
  };
}

function printSummaries(summaries: readonly RehearsalSummary[]): void {
  printTable(
    [
      ...['SCENARIO', 'STAGE', 'ROLLED BACK', 'PROMOTED', 'UNDECIDED', 'PAUSED'],
      ...['FALSE ROLLBACK', 'FALSE PROMOTION', 'UNTIL ROLLBACK', 'UNTIL PROMOTION', 'HURT'],
    ],
    summaries.map((summary) => [
      summary.scenario,
      summary.stage,
      formatShare(summary.rolledBack),
      formatShare(summary.promoted),
      formatShare(summary.undecided),
      formatShare(summary.paused),
      formatShare(summary.falseRollback),
      formatShare(summary.falsePromotion),
      untilText(summary.untilRollback),
      untilText(summary.untilPromotion),
      summary.hurtBeforeRollback === null ? '-' : formatShare(summary.hurtBeforeRollback),
    ]),
  );
  printLine();
  printLine(
    'UNTIL: median time since the stage was entered and median candidate requests; in brackets nine of ten.',
  );
}

function untilText(until: Until | null): string {
  if (until === null) return '-';
  const { medianMs, p90Ms, medianRequests, p90Requests } = until;
  return `${formatDuration(medianMs)} (${formatDuration(p90Ms)}), ${medianRequests} (${p90Requests})`;
}

function trafficJson({ source, requestsPerDay, failureRate, streamShare }: ReturnType<typeof trafficGiven>) {
  return { source, requestsPerDay, failureRate, streamShare };
}

/** Those of the wanted names, or all. */
function picked<T extends { readonly name: string } & Partial<StagePlan>>(
  all: readonly T[],
  wanted: readonly string[] | undefined,
  what: string,
): readonly T[] {
  if (wanted === undefined) return all;
  const unknown = wanted.find((name) => !all.some((each) => each.name === name));
  if (unknown !== undefined) {
    const known = all.map(({ name }) => `"${name}"`).join(', ');
    throw new CliError(`expected ${what} (${known}), got "${unknown}"`, EXIT.badInput);
  }
  return all.filter(({ name }) => wanted.includes(name));
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function seed(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('expected a whole number');
  return number;
}

function writeChart(file: string, svg: string): void {
  try {
    replaceFile(file, svg);
  } catch (cause) {
    throw new CliError(`cannot write ${file}: ${fileProblem(cause)}`, EXIT.badInput, { cause });
  }
}
