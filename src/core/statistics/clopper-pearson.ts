import { checkProbability, type Interval } from './beta-binomial';
import { logBetaTails } from './incomplete-beta';

/**
 * The exact two-sided interval of a proportion (Clopper and Pearson 1934): each bound is wrong with a chance of at
 * most alpha / 2. Successes may be a sum of values from 0 to 1; of all such values those at 0 and 1 spread most.
 * For one look at a fixed number of trials: not for gates that look again and again.
 */
export function proportionInterval(successes: number, trials: number, alpha: number): Interval {
  checkProbability('alpha', alpha);
  if (!(successes >= 0 && successes <= trials)) {
    throw new RangeError(`expected successes from 0 to ${trials}, got ${successes}`);
  }
  const tail = Math.log(alpha / 2);
  const failures = trials - successes;
  return {
    low: successes === 0 ? 0 : bisected((x) => logBetaTails(x, successes, failures + 1).lower >= tail),
    high: failures === 0 ? 1 : bisected((x) => logBetaTails(x, successes + 1, failures).upper <= tail),
  };
}

/** The chance of at least so many successes of a binomial, exact. */
export function binomialTail(successes: number, trials: number, chance: number): number {
  if (successes <= 0) return 1;
  return Math.exp(logBetaTails(chance, successes, trials - successes + 1).lower);
}

/** Where a claim that is false at 0 and true at 1 becomes true. */
function bisected(holds: (x: number) => boolean): number {
  let [low, high] = [0, 1];
  for (let step = 0; step < 50; step += 1) {
    const middle = (low + high) / 2;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}
