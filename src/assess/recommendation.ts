import { DAY_MS, formatDuration } from '../core/text/duration';
import { dollars } from './assessment-texts';
import type { CostRange, PercentRange } from './cost-range';

/** Whether money is a reason to move: the article's thresholds, above 30% high, above 15% medium, else low. */
export interface Recommendation {
  readonly priority: 'high' | 'medium' | 'low';
  readonly sentence: string;
}

/** What a recommendation rests on. */
export interface RecommendationFacts {
  /** For 30 days. */
  readonly saving: CostRange;
  readonly savingPercent: PercentRange | null;
  /** Of usage, from which 30 days are scaled. */
  readonly days: number;
  /** What moving costs once, at most; null where it is not known. */
  readonly migrationUsd: number | null;
}

const MONTH_DAYS = 30;
const YEAR_MONTHS = 12;
/** A saving below this in 30 days moves nobody, whatever part of the bill it is. */
const LEAST_USD = 10;

/** High above 30%, medium above 15%, else low; low where it is hardly any money, or less than moving costs in a year. */
export function recommend(facts: RecommendationFacts): Recommendation {
  const { priority, sentence } = judged(facts);
  const { days } = facts;
  return {
    priority,
    sentence:
      days < 1
        ? `Extrapolated from ${formatDuration(days * DAY_MS)} of usage, less than a day: ${sentence}`
        : sentence,
  };
}

function judged({ saving, savingPercent, migrationUsd }: RecommendationFacts): Recommendation {
  if (savingPercent === null) {
    return {
      priority: 'low',
      sentence: 'Legacy costs nothing at these prices, so there is nothing to save.',
    };
  }
  const { percent, low, high } = savingPercent;
  const [least, most] = [low.toFixed(1), high.toFixed(1)];
  const between = least === most ? '' : ` (between ${least}% and ${most}%)`;
  if (percent <= 0) {
    const none = Math.abs(percent) < 0.05 ? 'costs the same' : `costs ${(-percent).toFixed(1)}% more`;
    return { priority: 'low', sentence: `The candidate ${none}${between}: cost is not a reason to move.` };
  }
  const saves = `The candidate saves ${percent.toFixed(1)}%${between}, ${dollars(saving.usd)} in 30 days`;
  if (saving.usd < LEAST_USD) {
    return {
      priority: 'low',
      sentence: `${saves}: too little money to be a reason to move, so low priority.`,
    };
  }
  const cost = migrationUsd === null ? '' : `; the migration itself costs at most ${dollars(migrationUsd)}`;
  const netOfYear = YEAR_MONTHS * saving.usd - (migrationUsd ?? 0);
  if (netOfYear <= 0) {
    return { priority: 'low', sentence: `${saves}${cost}, more than a year saves: low priority.` };
  }
  const priority = percent > 30 ? 'high' : percent > 15 ? 'medium' : 'low';
  const bound = { high: 'above 30%', medium: 'above 15%, at most 30%', low: 'at most 15%' }[priority];
  return {
    priority,
    sentence: `${saves}${cost}${payback(saving.usd, migrationUsd)}. That is ${bound}: ${priority} priority.`,
  };
}

/** How long the saving takes to pay for the move, and what is left of it in a year. */
function payback(savingUsd: number, migrationUsd: number | null): string {
  if (migrationUsd === null) return '; what the migration itself costs is not known';
  const days = Math.ceil(migrationUsd / (savingUsd / MONTH_DAYS));
  const net = dollars(YEAR_MONTHS * savingUsd - migrationUsd);
  return `, paid back in ${days <= 1 ? 'a day' : `${days.toLocaleString('en-US')} days`}; ${net} net in a year`;
}

/** The sum of what moving costs; null as soon as one item is not known. */
export function migrationTotal(items: readonly { readonly usd: number | null }[]): number | null {
  if (items.length === 0) return null;
  return items.reduce<number | null>((sum, { usd }) => (sum === null || usd === null ? null : sum + usd), 0);
}
