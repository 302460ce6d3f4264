import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { loadPlan, USUAL_PLAN } from '../../client/plan-file';
import { configurationPath, environment, loadConfiguration } from '../../config';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { InvalidDocument } from '../../core/configuration/schema-parts';
import { planEffectProblems } from '../../core/effects/plan-effects';
import { planJudgeProblems } from '../../core/plan/judge/judge-problems';
import type { Plan } from '../../core/plan/plan';
import { planCohortProblems } from '../../core/plan/plan-cohorts';
import { estimatePlan, isDecidable, type StageEstimate } from '../../core/plan/plan-estimate';
import { planPriceProblems } from '../../core/plan/plan-prices';
import { decidingPlan, leastTraffic, type PlanSuggestion } from '../../core/plan/plan-suggestion';
import type { Traffic } from '../../core/plan/traffic';
import { formatDuration, HOUR_MS } from '../../core/text/duration';
import { CliError, EXIT } from '../options/cli-error';
import { durationOf } from '../options/option-value';
import { printJson, printLine, printNote, printTable } from '../options/output';
import { observeTraffic } from './observed-traffic';
import {
  printAssess,
  printConditions,
  printGates,
  printOutcomes,
  printSpending,
  printStages,
} from './plan-table';
import { type TrafficFlags, trafficGiven, trafficKindText, trafficText, withTraffic } from './traffic-source';

interface CheckFlags extends TrafficFlags {
  readonly config?: string;
  readonly observe?: number;
  readonly json?: boolean;
}

/** Adds `cutover plan check`. */
export function registerPlanCheck(plan: Command): void {
  withTraffic(
    plan
      .command('check')
      .description('check a plan, print it with every default, and estimate how long its stages take')
      .argument('[file]', `the plan, YAML or JSON (default: ${USUAL_PLAN})`),
  )
    .option('--config <file>', 'also check the route (default: CUTOVER_CONFIG, then ./cutover.yaml if there)')
    .option('--observe <duration>', "count the gateways' requests for this long", duration)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      "\nThe route's traffic is given by --requests-per-day or --traffic, or else asked of the configured gateways.\n" +
        'Exit code 2: it is not valid. Exit code 5: on that traffic a stage is not likely to decide before it is held;\n' +
        'the fields of a plan that would are printed.\n' +
        '\nExamples:\n  cutover plan check plan.yaml\n  cutover plan check plan.yaml --requests-per-day 900',
    )
    .action(checkPlan);
}

const duration = durationOf('a duration from 1s to 1h, such as 30s', { leastMs: 1_000, mostMs: HOUR_MS });

async function checkPlan(given: string | undefined, flags: CheckFlags): Promise<void> {
  if (given === undefined && !existsSync(USUAL_PLAN)) {
    throw new CliError(
      `expected a plan: there is no ${USUAL_PLAN} here. Name a file, or write one with \`cutover plan init\``,
      EXIT.badInput,
    );
  }
  const file = given ?? USUAL_PLAN;
  const plan = loadPlan(file);
  const path = configurationPath(flags.config);
  const named = flags.config !== undefined || environment['CUTOVER_CONFIG'] !== undefined;
  const configuration = named || existsSync(path) ? loadConfiguration(path) : null;
  if (configuration !== null) checkAgainst(configuration, { plan, file, path });
  const traffic = await trafficOf(plan, flags, configuration);
  const estimates = traffic === null ? null : estimatePlan(plan, traffic);
  const decides = estimates === null || isDecidable(estimates);
  // A plan that decides on even traffic and not on this kind of it has no later deadline to be given.
  const suggestion =
    decides || traffic === null || onlyRehearsalsFail(estimates) ? null : decidingPlan(plan, even(traffic));
  if (flags.json === true) {
    const { source, requestsPerDay, failureRate } = traffic ?? {};
    const estimated = { traffic: { source, requestsPerDay, failureRate }, estimates, decides, suggestion };
    printJson({ valid: true, plan, ...(traffic === null ? {} : estimated) });
  } else {
    const against = configuration === null ? '' : `, and ${path} has its route`;
    printLine(`${file} is valid: route ${plan.route}${against}`);
    printStages(plan);
    printGates(plan);
    printSpending(plan);
    printOutcomes(plan);
    printAssess(plan);
    printConditions(plan, Date.now());
    printLine();
    if (traffic === null || estimates === null) {
      printLine('How long its stages take: not known; --requests-per-day or --traffic says how much comes.');
      return;
    }
    printEstimates(estimates, traffic);
    printNotEstimated(plan);
    if (suggestion !== null) {
      printLine();
      printLine('A plan that is likely to decide differs in:');
      for (const { path: field, from, to } of suggestion.changes) printLine(`  ${field}: ${from} -> ${to}`);
    }
  }
  if (decides || traffic === null || estimates === null) return;
  throw new CliError(refusal(plan, traffic, { estimates, suggestion }), EXIT.negative);
}

function checkAgainst(
  { providers, routes: configured, effects, gateway, callers }: Configuration,
  { plan, file, path }: { readonly plan: Plan; readonly file: string; readonly path: string },
): void {
  const routes = Object.keys(configured);
  if (!routes.includes(plan.route)) {
    throw new CliError(
      `${file}: route: expected one of the routes of ${path} (${routes.join(', ')}), got "${plan.route}"`,
      EXIT.badInput,
    );
  }
  const problems = [
    ...planEffectProblems(plan, { effects }),
    ...planPriceProblems(plan, { providers, routes: configured }),
    ...planCohortProblems(plan, { callers, gateway }),
    ...planJudgeProblems(plan, { providers }),
  ];
  if (problems.length > 0) throw new InvalidDocument(file, problems);
  const judgesOutcomes = plan.stages.some(({ outcomes = [] }) => outcomes.length > 0);
  if (judgesOutcomes && gateway.outcomes === undefined) {
    throw new CliError(
      `${file}: outcomes: expected gateway.outcomes in ${path}, such as {key: env:CUTOVER_OUTCOME_KEY}: without it gateways accept no outcomes, and every stage is held`,
      EXIT.badInput,
    );
  }
}

async function trafficOf(
  plan: Plan,
  flags: CheckFlags,
  configuration: Configuration | null,
): Promise<Traffic | null> {
  if (flags.requestsPerDay !== undefined || flags.traffic !== undefined) return trafficGiven(flags);
  if (configuration === null) return null;
  const observed = await observeTraffic(configuration, plan.route, flags.observe ?? null);
  if (typeof observed !== 'string') return observed;
  printNote(observed);
  return null;
}

function printEstimates(estimates: readonly StageEstimate[], traffic: Traffic): void {
  printLine(`On traffic ${trafficText(traffic)}, a candidate as good as legacy passes:`);
  printTable(
    ['STAGE', 'REQUESTS', 'AFTER ABOUT', 'NINE OF TEN AFTER', 'HOLD AFTER', 'DECIDES', 'TAKES LONGEST'],
    estimates.map(({ stage, requests, expectedMs, likelyMs, holdMs, decides, heldUpBy }) => [
      stage,
      requests === null ? 'never' : requests.toLocaleString('en-US'),
      expectedMs === null ? 'never' : formatDuration(expectedMs),
      likelyMs === null ? 'never' : formatDuration(likelyMs),
      formatDuration(holdMs),
      decides ? 'yes' : 'NO',
      heldUpBy,
    ]),
  );
}

/** How many of legacy's requests can be copied is not known before they are. */
function printNotEstimated({ stages }: Plan): void {
  for (const { name, mirror, minimumSample, soakMs } of stages) {
    if (mirror === undefined) continue;
    printLine(
      `${name} is not estimated: it takes at least ${formatDuration(soakMs)} and ${minimumSample} pairs, and is held if its money is spent before it passes.`,
    );
  }
}

/** The same traffic without days, incidents, keys and models: what can be estimated without a rehearsal. */
function even({ kind: _kind, models: _models, ...traffic }: Traffic): Traffic {
  return traffic;
}

function onlyRehearsalsFail(estimates: readonly StageEstimate[]): boolean {
  return estimates.every(({ decides, passed }) => decides || passed !== undefined);
}

interface PlanEstimates {
  readonly estimates: readonly StageEstimate[];
  readonly suggestion: PlanSuggestion | null;
}

function refusal(plan: Plan, traffic: Traffic, { estimates, suggestion }: PlanEstimates): string {
  const late = estimates.filter(({ decides }) => !decides).map(({ stage }) => stage);
  if (onlyRehearsalsFail(estimates)) {
    const passes = estimates.flatMap(({ stage, passed, decides }) =>
      passed === undefined || decides ? [] : [`${passed.passes} of ${passed.rehearsals} of ${stage}`],
    );
    return `${late.join(', ')} ${late.length === 1 ? 'is' : 'are'} not likely to decide before being held: of rehearsals with an equal candidate on this traffic (${trafficKindText(traffic)}) ${passes.join(', ')} passed, expected nine of ten`;
  }
  const least = leastTraffic(plan, even(traffic));
  const isEarly = suggestion?.changes.every(({ path }) => path.includes('.deadline.')) === true;
  const why = isEarly ? 'deadlines come too early' : 'errors or latencies are beyond its own margins';
  const enough =
    least === null
      ? `no amount of traffic is enough: its ${why}`
      : `it would take about ${least.toLocaleString('en-US')} requests per day`;
  return `${late.join(', ')} ${late.length === 1 ? 'is' : 'are'} not likely to decide before being held: ${enough}`;
}
