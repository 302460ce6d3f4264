import { costOf, type PricedTokens } from '../core/assessment/prices';
import type { TokenRatioRange } from '../core/plan/assess-plan';
import { DAY_MS, formatDuration } from '../core/text/duration';
import type { CostRange, PercentRange } from './cost-range';
import type { PriceFinder, UsedPrice } from './prices/price-finder';
import { type Recommendation, recommend } from './recommendation';
import type { UsageAnalysis, UsageCell } from './usage/usage-analysis';

const QUARTER_MS = 900_000;
/** A bucket longer than this is priced at its quarter hours' mean over its first 31 days. */
const MAX_QUARTERS = 31 * 96;
const MONTH_DAYS = 30;
/** What less usage than this comes to in a month is more guessed than known. */
export const WEEK_DAYS = 7;

/** The usage at one provider's prices. */
export interface ProviderCost {
  /** Provider whose prices hold; null when any price book entry for the model may. */
  readonly provider: string | null;
  /** For 30 days. */
  readonly monthly: CostRange;
  readonly byModel: readonly { readonly model: string; readonly monthly: CostRange }[];
}

/** The same usage at both providers' prices. */
export interface CostProjection {
  readonly days: number;
  readonly legacy: ProviderCost;
  readonly candidate: ProviderCost;
  /** Calendar months (UTC) of the window as they were, not scaled. */
  readonly byMonth: readonly {
    readonly month: string;
    readonly legacyUsd: number;
    readonly candidateUsd: number;
  }[];
  readonly saving: CostRange;
  /** Saving in percent of legacy; null when legacy costs nothing. */
  readonly savingPercent: PercentRange | null;
  readonly recommendation: Recommendation;
  readonly mapping: readonly { readonly from: string; readonly to: string }[];
  readonly assumptions: readonly string[];
  readonly prices: readonly UsedPrice[];
}

/** Candidate tokens for one of legacy's, measured on the same prompts. */
export interface TokenRatios {
  readonly input: TokenRatioRange;
  readonly output: TokenRatioRange;
}

/** What to project. */
export interface ProjectionQuestion {
  readonly legacyProvider: string | null;
  readonly candidateProvider: string | null;
  /** Legacy's model to the candidate's; models not named stay with legacy at legacy's prices. */
  readonly modelMapping: ReadonlyMap<string, string>;
  /** Null when they were not measured. */
  readonly tokenRatios: TokenRatios | null;
  /** Days of a month in which the candidate's prompt cache is cold, at worst. */
  readonly warmUpDays: number;
  /** Prompt sizes that the cells' context classes refer to. */
  readonly contextThresholds: readonly number[];
}

/** Projects usage onto the candidate's prices; null when the sources carry no tokens. Throws MissingPrice. */
export function projectCosts(
  analysis: UsageAnalysis,
  cells: readonly UsageCell[],
  finder: PriceFinder,
  question: ProjectionQuestion,
): CostProjection | null {
  if (analysis.totals.inputTokens === null || analysis.totals.outputTokens === null) return null;
  const scale = MONTH_DAYS / analysis.window.days;
  const ratios = question.tokenRatios ?? UNMEASURED;
  const coldPart = Math.min(1, question.warmUpDays / MONTH_DAYS);
  const legacy = new ProviderSums();
  const candidate = new ProviderSums();
  const mapping = new Map<string, string>();
  for (const cell of cells) {
    const tokens = tokensOf(cell);
    const target = question.modelMapping.get(cell.model);
    const old = priced(finder, question.legacyProvider, cell.model, cell, question.contextThresholds);
    const oldCost = rangeOf(old, tokens, tokens, tokens);
    legacy.add(cell, cell.model, oldCost);
    if (target === undefined) {
      candidate.add(cell, `${cell.model} (stays with legacy)`, oldCost);
      continue;
    }
    mapping.set(cell.model, target);
    const now = priced(
      finder,
      question.candidateProvider,
      target,
      { ...cell, serviceTier: null },
      question.contextThresholds,
    );
    // At worst the cache is cold for the warm-up days and the tokenizer is at its upper bound.
    const worst = scaledTokens(tokens, ratios, 'high');
    candidate.add(
      cell,
      target,
      rangeOf(now, scaledTokens(tokens, ratios, 'low'), scaledTokens(tokens, ratios, 'point'), {
        ...worst,
        cachedTokens: worst.cachedTokens * (1 - coldPart),
      }),
    );
  }
  const costs = {
    legacy: legacy.costAt(question.legacyProvider, scale),
    candidate: candidate.costAt(question.candidateProvider, scale),
  };
  const saving = {
    usd: costs.legacy.monthly.usd - costs.candidate.monthly.usd,
    lowUsd: costs.legacy.monthly.lowUsd - costs.candidate.monthly.highUsd,
    highUsd: costs.legacy.monthly.highUsd - costs.candidate.monthly.lowUsd,
  };
  const base = costs.legacy.monthly.usd;
  const savingPercent =
    base > 0
      ? {
          percent: (saving.usd / base) * 100,
          low: (saving.lowUsd / base) * 100,
          high: (saving.highUsd / base) * 100,
        }
      : null;
  return {
    days: analysis.window.days,
    ...costs,
    byMonth: [...legacy.months]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([month, usd]) => ({
        month,
        legacyUsd: usd,
        candidateUsd: candidate.months.get(month) ?? 0,
      })),
    saving,
    savingPercent,
    recommendation: recommend({ saving, savingPercent, days: analysis.window.days, migrationUsd: null }),
    mapping: [...mapping].map(([from, to]) => ({ from, to })),
    assumptions: assumptionsOf(analysis, question),
    prices: finder.used(),
  };
}

class ProviderSums {
  private readonly models = new Map<string, CostRange>();
  readonly months = new Map<string, number>();

  add(cell: UsageCell, model: string, cost: CostRange): void {
    this.models.set(model, added(this.models.get(model) ?? NOTHING, cost));
    const month = new Date(cell.startMs).toISOString().slice(0, 7);
    this.months.set(month, (this.months.get(month) ?? 0) + cost.usd);
  }

  costAt(provider: string | null, scale: number): ProviderCost {
    const byModel = [...this.models]
      .map(([model, cost]) => ({ model, monthly: times(cost, scale) }))
      .sort((a, b) => b.monthly.usd - a.monthly.usd);
    return { provider, monthly: byModel.reduce((sum, { monthly }) => added(sum, monthly), NOTHING), byModel };
  }
}

const NOTHING: CostRange = { usd: 0, lowUsd: 0, highUsd: 0 };

function added(a: CostRange, b: CostRange): CostRange {
  return { usd: a.usd + b.usd, lowUsd: a.lowUsd + b.lowUsd, highUsd: a.highUsd + b.highUsd };
}

function times(cost: CostRange, factor: number): CostRange {
  return { usd: cost.usd * factor, lowUsd: cost.lowUsd * factor, highUsd: cost.highUsd * factor };
}

type CostFunction = (tokens: PricedTokens) => CostRange;

function rangeOf(cost: CostFunction, low: PricedTokens, point: PricedTokens, high: PricedTokens): CostRange {
  return { usd: cost(point).usd, lowUsd: cost(low).lowUsd, highUsd: cost(high).highUsd };
}

/** A single request has one price; within a longer bucket it may be any that holds in it, and is their mean. */
function priced(
  finder: PriceFinder,
  provider: string | null,
  model: string,
  cell: UsageCell,
  thresholds: readonly number[],
): CostFunction {
  const below =
    cell.contextClass === null || cell.contextClass === 0 ? undefined : thresholds[cell.contextClass - 1];
  const moment = { serviceTier: cell.serviceTier, contextTokens: below === undefined ? 0 : below + 1 };
  if (cell.bucketMs <= QUARTER_MS) {
    const { rates } = finder.find(provider, model, { ...moment, atMs: cell.startMs });
    return (tokens) => {
      const usd = costOf(rates, tokens);
      return { usd, lowUsd: usd, highUsd: usd };
    };
  }
  const quarters = Math.min(MAX_QUARTERS, Math.ceil(cell.bucketMs / QUARTER_MS));
  const counts = new Map<string, { rates: ReturnType<PriceFinder['find']>['rates']; quarters: number }>();
  for (let quarter = 0; quarter < quarters; quarter += 1) {
    const { rates } = finder.find(provider, model, { ...moment, atMs: cell.startMs + quarter * QUARTER_MS });
    const key = `${rates.inputPerMillion} ${rates.cachedInputPerMillion} ${rates.outputPerMillion}`;
    const held = counts.get(key);
    counts.set(key, { rates, quarters: (held?.quarters ?? 0) + 1 });
  }
  return (tokens) => {
    const costs = [...counts.values()].map((each) => ({
      usd: costOf(each.rates, tokens),
      part: each.quarters / quarters,
    }));
    return {
      usd: costs.reduce((sum, { usd, part }) => sum + usd * part, 0),
      lowUsd: Math.min(...costs.map(({ usd }) => usd)),
      highUsd: Math.max(...costs.map(({ usd }) => usd)),
    };
  };
}

function tokensOf(cell: UsageCell): PricedTokens {
  return {
    inputTokens: cell.inputTokens ?? 0,
    cachedTokens: cell.cachedTokens ?? 0,
    outputTokens: cell.outputTokens ?? 0,
  };
}

const SAME: TokenRatioRange = { low: 1, point: 1, high: 1 };
const UNMEASURED: TokenRatios = { input: SAME, output: SAME };

function scaledTokens(
  tokens: PricedTokens,
  { input, output }: TokenRatios,
  bound: keyof TokenRatioRange,
): PricedTokens {
  return {
    inputTokens: tokens.inputTokens * input[bound],
    cachedTokens: tokens.cachedTokens * input[bound],
    outputTokens: tokens.outputTokens * output[bound],
  };
}

function assumptionsOf(analysis: UsageAnalysis, question: ProjectionQuestion): string[] {
  const { window, carriedBy, sources } = analysis;
  const aggregate = sources.some(({ granularity }) => granularity === 'aggregate');
  return [
    `Both sides are scaled from ${formatDuration(window.days * DAY_MS)} to ${MONTH_DAYS} days.`,
    ...(window.days < WEEK_DAYS
      ? ['Less than a week of usage: weekdays and weekends may weigh wrongly.']
      : []),
    ...(carriedBy.cachedTokens < sources.length
      ? ['Cached input is not in every source: there all input is priced as not cached, on both sides.']
      : []),
    ...(carriedBy.cachedTokens > 0
      ? [
          `The candidate caches as legacy does; the upper bound loses all hits for ${question.warmUpDays} of ${MONTH_DAYS} days of warm-up.`,
        ]
      : []),
    question.tokenRatios === null
      ? 'Tokenizers were not compared: the candidate is taken to count tokens as legacy does.'
      : `The candidate takes ${rangeText(question.tokenRatios.input)} tokens of input and ${rangeText(question.tokenRatios.output)} of output for one of legacy's, as measured by parity.`,
    ...(aggregate
      ? [
          'Buckets do not say when within them calls were made, nor how long prompts were: prices by time of day are averaged, and the lowest context tier is taken.',
        ]
      : []),
  ];
}

function rangeText({ low, point, high }: TokenRatioRange): string {
  const short = (ratio: number) => String(Number(ratio.toFixed(3)));
  return `${short(point)} (${short(low)} to ${short(high)})`;
}
