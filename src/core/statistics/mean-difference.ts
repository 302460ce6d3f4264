import type { Interval } from './beta-binomial';
import { logSumExp } from './log-space';

/** Read once: a look-up of a global costs more than the function inside a vm context. */
const { log } = Math;

/**
 * Values from 0 to 1 of one arm, counted on an even grid: how many lie at 0, at the next step, and so on to 1. Counts
 * may be fractions (deflated counts).
 */
export type GridCounts = readonly number[];

/** Values of both arms; more is better. */
export interface TwoMeans {
  readonly legacy: GridCounts;
  readonly candidate: GridCounts;
}

/**
 * The bets: parts of what may be staked at most, by which the wealth is averaged. Halves of a power of two down to
 * 0.4%, so that some of them are near the best one for any difference that a few outcomes or many can show.
 */
const BETS = Array.from({ length: 16 }, (_, index) => 2 ** (-(index + 1) / 2));
const LOG_BETS = log(BETS.length);

/**
 * Evidence that the mean of values from 0 to 1 is above `bound`, against H0: it is at most `bound`. The wealth of who
 * bets on each value, averaged over fixed bets g:
 *
 *     E = mean over g of the product over values x of (1 - g + g x / bound).
 *
 * Each factor is at least 0 and has a mean of at most 1 under H0, whatever the distribution and whatever came before,
 * so each product is a test supermartingale, and so is their mean (Waudby-Smith and Ramdas 2024, JRSS B 86(1), section
 * 4; bets that are fixed and averaged: their grid Kelly). A product over values does not depend on their order: counts
 * say it all, counts of several windows add up, and no bet has to be fixed window by window. Of values that are 0 or
 * 1 it is the likelihood ratio of the rate process (`rateAbove`), with a prior on a grid. Falls as the bound rises.
 * ln E out; 0 for a bound of 1 or more, under which every mean lies.
 */
export function meanAbove(counts: GridCounts, bound: number): number {
  return bound >= 1 ? 0 : wealth(counts, bound, false);
}

/** Evidence that the mean is below `bound`, against H0: it is at least `bound`: `meanAbove` of 1 - x. */
export function meanBelow(counts: GridCounts, bound: number): number {
  return bound <= 0 ? 0 : wealth(counts, 1 - bound, true);
}

function wealth(counts: GridCounts, bound: number, reversed: boolean): number {
  const steps = counts.length - 1;
  const terms = BETS.map((bet) => {
    let sum = 0;
    for (let step = 0; step <= steps; step += 1) {
      const count = counts[step] as number;
      if (count === 0) continue;
      const value = (reversed ? steps - step : step) / steps;
      sum += count * log(1 - bet + (value === 0 ? 0 : (bet * value) / bound));
    }
    return sum;
  });
  return logSumExp(terms) - LOG_BETS;
}

/**
 * Evidence that the candidate's mean is more than `margin` below that of legacy, against H0: it is at least legacy's
 * less the margin:
 *
 *     E = min over q of E[mean of legacy > q] x E[mean of the candidate < q - margin].
 *
 * At q = legacy's mean it is, under H0, a product of two e-processes of independent samples, and the minimum at most
 * that (as in `differenceWithin`). The first factor falls in q, the second rises: over an interval their product is at
 * least the first at its upper end times the second at its lower end, so that intervals may be chosen by what was
 * seen. ln E out; -Infinity, which only lowers a mean of processes, once it is found to be at most `worthless`.
 */
export function meanFallsShort(
  margin: number,
  { legacy, candidate }: TwoMeans,
  worthless = Number.NEGATIVE_INFINITY,
): number {
  const factors = {
    falling: (q: number) => meanAbove(legacy, q),
    rising: (q: number) => meanBelow(candidate, q - margin),
  };
  return leastOver(0, margin, factors, worthless);
}

/**
 * Evidence that the candidate's mean is less than `margin` below that of legacy, against H0: it is at least the margin
 * below: the same with arms and directions swapped, for q from the margin on. ln E out.
 */
export function meanKeepsUp(margin: number, { legacy, candidate }: TwoMeans): number {
  return leastOver(margin, margin, {
    falling: (q) => (q - margin <= 0 ? Number.POSITIVE_INFINITY : meanAbove(candidate, q - margin)),
    rising: (q) => meanBelow(legacy, q),
  });
}

/** Intervals at first, how narrow one must be to decide, in parts of the margin, and how many are cut at most. */
const INTERVALS = 8;
const NARROW = 1 / 32;
const MOST_CUTS = 200;

interface Cell {
  readonly low: number;
  readonly high: number;
  readonly falling: readonly [low: number, high: number];
  readonly rising: readonly [low: number, high: number];
  readonly least: number;
}

/** The least of falling x rising over [from, 1], at most; the interval with the least is cut until it is narrow. */
function leastOver(
  from: number,
  margin: number,
  { falling, rising }: Readonly<Record<'falling' | 'rising', (q: number) => number>>,
  worthless = Number.NEGATIVE_INFINITY,
): number {
  const cell = (low: number, high: number, f: Cell['falling'], r: Cell['rising']): Cell => ({
    ...{ low, high, falling: f, rising: r },
    least: f[1] + r[0],
  });
  const at = (index: number) => from + ((1 - from) * index) / INTERVALS;
  const ends = Array.from({ length: INTERVALS + 1 }, (_, index) => [falling(at(index)), rising(at(index))]);
  if (ends.some(([f = 0, r = 0]) => f + r <= worthless)) return Number.NEGATIVE_INFINITY;
  const cells = Array.from({ length: INTERVALS }, (_, index) => {
    const [[f0 = 0, r0 = 0] = [], [f1 = 0, r1 = 0] = []] = [ends[index], ends[index + 1]];
    return cell(at(index), at(index + 1), [f0, f1], [r0, r1]);
  });
  for (let cuts = 0; ; cuts += 1) {
    let lowest = 0;
    cells.forEach(({ least }, index) => {
      if (least < (cells[lowest] as Cell).least) lowest = index;
    });
    const { low, high, least, falling: f, rising: r } = cells[lowest] as Cell;
    if (high - low <= margin * NARROW || cuts === MOST_CUTS) return least;
    const middle = (low + high) / 2;
    const [fm, rm] = [falling(middle), rising(middle)];
    if (fm + rm <= worthless) return Number.NEGATIVE_INFINITY;
    cells.splice(
      lowest,
      1,
      cell(low, middle, [f[0], fm], [r[0], rm]),
      cell(middle, high, [fm, f[1]], [rm, r[1]]),
    );
  }
}

/** Where a mean lies with probability 1 - alpha, at all times at once; 0 to 1 without values. */
export function meanInterval(counts: GridCounts, alpha: number): Interval {
  const enough = log(2 / alpha);
  // The evidence falls as the bound moves towards the mean: halve where it is just enough.
  const edge = (outside: number, inside: number, evidence: (bound: number) => number) => {
    let [rejected, kept] = [outside, inside];
    for (let step = 0; step < 40; step += 1) {
      const middle = (rejected + kept) / 2;
      if (evidence(middle) >= enough) rejected = middle;
      else kept = middle;
    }
    return rejected;
  };
  const mean = meanOf(counts);
  if (mean === null) return { low: 0, high: 1 };
  return {
    low: edge(0, mean, (bound) => meanAbove(counts, bound)),
    high: edge(1, mean, (bound) => meanBelow(counts, bound)),
  };
}

/** The mean of what was counted, null when nothing was. */
export function meanOf(counts: GridCounts): number | null {
  const steps = counts.length - 1;
  let [total, sum] = [0, 0];
  counts.forEach((count, step) => {
    total += count;
    sum += (count * step) / steps;
  });
  return total === 0 ? null : sum / total;
}

/** The variance of what was counted, in squares of values; 0 when nothing was. */
export function varianceOf(counts: GridCounts): number {
  const mean = meanOf(counts);
  if (mean === null) return 0;
  const steps = counts.length - 1;
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.reduce((sum, count, step) => sum + count * (step / steps - mean) ** 2, 0) / total;
}
