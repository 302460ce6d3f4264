import type { PreferenceTally } from '../core/assessment/judge-pairs';
import { rateAbove, rateInterval } from '../core/statistics/beta-binomial';

/** What a judge's sample comes to; numbers only. */
export interface JudgeVerdict {
  readonly outcome: 'worse' | 'no difference shown' | 'better' | 'not evaluated';
  readonly sentence: string;
  readonly tally: PreferenceTally;
  /** Part of the pairs with a winner that the candidate won, with 95% confidence at all times; null without any. */
  readonly winRate: number | null;
  readonly interval: readonly [low: number, high: number] | null;
  /** Against "the candidate loses at most half", and against "it wins at most half". */
  readonly evidence: { readonly worse: number; readonly better: number };
  readonly needed: number;
}

/** A judge that cannot be read this often says nothing. */
const UNREADABLE_MOST = 0.2;
const EVEN = 0.5;
/** A candidate that loses three of four pairs with a winner is what is looked for first. */
const PRIOR = { mean: 0.75, strength: 10 };
const INTERVAL_ALPHA = 0.05;
const MORE_THAN_HALF = rateAbove(EVEN, PRIOR);

/** Whether the candidate's answers are worse or better by a judge's word, at most wrongly with `alpha` on each side. */
export function judgeVerdict(tally: PreferenceTally, alpha: number): JudgeVerdict {
  const { won, lost, tie, unreadable, failed } = tally;
  const judged = won + lost + tie;
  const asked = judged + unreadable;
  const decided = won + lost;
  const needed = 1 / alpha;
  const evidence = {
    worse: Math.exp(MORE_THAN_HALF(lost, decided)),
    better: Math.exp(MORE_THAN_HALF(won, decided)),
  };
  const bounds = decided === 0 ? null : rateInterval(won, decided, INTERVAL_ALPHA);
  const numbers = {
    tally,
    winRate: decided === 0 ? null : won / decided,
    interval: bounds === null ? null : ([bounds.low, bounds.high] as const),
    evidence,
    needed,
  };
  const counts = `of ${judged} pairs the candidate won ${won}, lost ${lost}, ${tie} ties`;
  const missing = [
    ...(unreadable === 0 ? [] : [`${unreadable} judgements unreadable`]),
    ...(failed === 0 ? [] : [`${failed} pairs without an answer from the judge`]),
  ].join(', ');
  const sentence = missing === '' ? counts : `${counts}; ${missing}`;
  if (judged === 0) {
    return {
      ...numbers,
      outcome: 'not evaluated',
      sentence: `no pair was judged${missing === '' ? '' : `: ${missing}`}`,
    };
  }
  if (unreadable > UNREADABLE_MOST * asked || failed > UNREADABLE_MOST * (asked + failed)) {
    return { ...numbers, outcome: 'not evaluated', sentence: `too little was judged: ${sentence}` };
  }
  const outcome =
    evidence.worse >= needed ? 'worse' : evidence.better >= needed ? 'better' : 'no difference shown';
  return { ...numbers, outcome, sentence };
}
