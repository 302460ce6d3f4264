import {
  type EffortCost,
  identityCost,
  judgeCost,
  type MigrationTraffic,
  probeCost,
} from '../../assess/migration-cost';
import { CONFIGURED, configuredPrices } from '../../assess/prices/configured-prices';
import { MissingPrice, PriceFinder } from '../../assess/prices/price-finder';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { plannedEffort } from '../../core/plan/migration-effort';
import { formatShare, type Plan } from '../../core/plan/plan';
import { estimatePlan } from '../../core/plan/plan-estimate';
import { servingText } from '../../core/routing/gateway-status-text';
import { formatDuration } from '../../core/text/duration';
import { printLine } from '../options/output';
import { observeTraffic } from '../prepare/observed-traffic';
import { printStages } from '../prepare/plan-table';
import type { GatewayAnswers } from './gateway-answers';

/** What a start is about to do, as a person decides on it. */
export interface StartPreview {
  readonly route: string;
  readonly legacy: string;
  readonly candidate: string;
  /** The plan's file; null for the default plan. */
  readonly planFile: string | null;
  readonly gateways: readonly { readonly name: string; readonly admin: string; readonly serves: string }[];
  /** The soaks of all stages: no migration ends before. */
  readonly leastMs: number;
  /** On the traffic that the gateways count; null where that is not known, or where a stage would never pass. */
  readonly expectedMs: number | null;
  /** What `expectedMs` rests on, or why there is none. */
  readonly traffic: string;
  readonly costs: readonly EffortCost[];
}

/** Looks ahead without changing anything; asks the gateways once for what they have counted. */
export async function previewStart(asked: {
  readonly configuration: Configuration;
  readonly plan: Plan;
  readonly planFile: string | null;
  readonly answers: GatewayAnswers;
}): Promise<StartPreview> {
  const { configuration, plan, planFile, answers } = asked;
  const { legacy, candidate } = configuration.routes[plan.route] as Configuration['routes'][string];
  return {
    route: plan.route,
    legacy,
    candidate,
    planFile,
    gateways: answers.gateways.map(({ name, admin, answer }) => ({
      name,
      admin,
      serves: servingText(answer),
    })),
    leastMs: plan.stages.reduce((sum, { soakMs }) => sum + soakMs, 0),
    ...(await durationOf(configuration, plan, planFile)),
    costs: costsOf(configuration, plan),
  };
}

async function durationOf(
  configuration: Configuration,
  plan: Plan,
  planFile: string | null,
): Promise<Pick<StartPreview, 'expectedMs' | 'traffic'>> {
  const check = `cutover plan check ${planFile ?? 'FILE'}`;
  const traffic = await observeTraffic(configuration, plan.route, null);
  if (typeof traffic === 'string') {
    // What else `cutover plan check` can be given.
    const why = traffic.replace(/; (--observe .*|give --requests-per-day)$/, '');
    return {
      expectedMs: null,
      traffic: `${why}; \`${check} --requests-per-day N\` estimates its stages`,
    };
  }
  const estimates = estimatePlan(plan, traffic);
  const rate = `${Math.round(traffic.requestsPerDay).toLocaleString('en-US')} requests per day (${traffic.source})`;
  const undecided = estimates.filter(({ decides }) => !decides).map(({ stage }) => stage);
  if (undecided.length > 0) {
    return {
      expectedMs: null,
      traffic: `on ${rate} ${undecided.join(', ')} would be held before the gate can decide: \`${check}\` shows what to change`,
    };
  }
  const expectedMs = estimates.reduce((sum, { expectedMs: each }) => sum + (each ?? 0), 0);
  return { expectedMs, traffic: `on ${rate}` };
}

/** Only what is sent because of the migration: what moves with the traffic is `cutover assess`'s to project. */
function costsOf(configuration: Configuration, plan: Plan): EffortCost[] {
  const { shadow, replayBudget } = configuration.routes[plan.route] as Configuration['routes'][string];
  const effort = plannedEffort(plan);
  const stages = effort.split.map(({ name }) => name).join(', ');
  const doubled = (part: number, item: EffortCost['item'], how: string): EffortCost[] =>
    part === 0 || stages === ''
      ? []
      : [{ item, usd: null, how: `${formatShare(part)} of ${how} during ${stages}` }];
  return [
    ...askedOf(configuration, plan.route, effort),
    ...(effort.copying ?? []).map(({ name, maxCostUsd }) => ({
      item: 'shadow' as const,
      usd: maxCostUsd,
      how: `copies of legacy's requests during ${name}, up to its maxCostUsd`,
    })),
    ...judgeCost(effort),
    ...doubled(shadow, 'shadow', "legacy's requests copied to the candidate"),
    ...doubled(
      replayBudget.ratio,
      'doubled requests',
      "the candidate's requests, at most, sent to legacy as well",
    ),
    ...(effort.parity === null
      ? []
      : [
          {
            item: 'parity' as const,
            usd: effort.parity.maxCostUsd,
            how: `at least ${effort.parity.leastPrompts} golden prompts, twice to legacy and once to the candidate`,
          },
        ]),
  ];
}

/**
 * Probes and questions about the model go to the first model that is mapped; what a name alone is priced at is only a
 * guess, so its source is said.
 */
function askedOf(
  configuration: Configuration,
  route: string,
  effort: ReturnType<typeof plannedEffort>,
): EffortCost[] {
  const { probed, note } = probedRates(configuration, route);
  const probes = probeCost({ probed }, effort);
  const all = [probes, ...identityCost({ probed }, effort)];
  return all.map((cost) => ({ ...cost, how: `${cost.how}${note}` }));
}

function probedRates(
  { providers, routes }: Configuration,
  route: string,
): Pick<MigrationTraffic, 'probed'> & { readonly note: string } {
  const { legacy, candidate, models } = routes[route] as Configuration['routes'][string];
  const [mapped] = Object.entries(models);
  if (mapped === undefined) return { probed: null, note: '' };
  const now = new Date();
  const finder = new PriceFinder([configuredPrices(providers, now.toISOString().slice(0, 10))]);
  const priceOf = (provider: string, model: string) => {
    const moment = { atMs: now.getTime(), serviceTier: null, contextTokens: 0 };
    try {
      return finder.find(provider, model, moment);
    } catch (error) {
      if (!(error instanceof MissingPrice)) throw error;
      return finder.find(null, model, moment);
    }
  };
  try {
    const prices = { legacy: priceOf(legacy, mapped[0]), candidate: priceOf(candidate, mapped[1].candidate) };
    const sources = [prices.legacy.used.source, prices.candidate.used.source];
    // Gateways count what requests cost, and so reports, by nothing but the configuration.
    const guessed = sources.every((source) => source === CONFIGURED)
      ? ''
      : '; gateways and the report count by providers.NAME.prices alone';
    return {
      probed: { legacy: prices.legacy.rates, candidate: prices.candidate.rates },
      note: `; prices: ${sources.join(', ')}${guessed}`,
    };
  } catch (error) {
    if (!(error instanceof MissingPrice)) throw error;
    return { probed: null, note: '; not priced: set providers.NAME.prices in the configuration' };
  }
}

/** Prints it as a page: from where to where, through which stages, for how long, at what cost. */
export function printPreview(preview: StartPreview, plan: Plan): void {
  const { route, legacy, candidate, planFile, gateways, leastMs, expectedMs, traffic, costs } = preview;
  printLine(`${route}: from ${legacy} to ${candidate}, by ${planFile ?? 'the default plan'}`);
  for (const { name, admin, serves } of gateways) printLine(`gateway ${name} at ${admin} ${serves}`);
  printStages(plan);
  printLine(`takes: at least ${formatDuration(leastMs)}; ${expectedText(expectedMs, traffic)}`);
  for (const { item, usd, how } of costs) {
    printLine(`costs: ${item}${usd === null ? '' : `, ${dollarsText(usd)}`}: ${how}`);
  }
}

function expectedText(expectedMs: number | null, traffic: string): string {
  return expectedMs === null ? traffic : `about ${formatDuration(expectedMs)} ${traffic}`;
}

function dollarsText(usd: number): string {
  return usd > 0 && usd < 0.01 ? 'less than $0.01' : `at most $${usd.toFixed(2)}`;
}
