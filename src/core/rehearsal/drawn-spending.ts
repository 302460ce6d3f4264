import type { Evidence } from '../evidence/evidence';
import { type SpendingCounts, spendingOf } from '../evidence/spending-counts';
import { SPENDING_MEASURES } from '../plan/spending-gate';
import type { Arm } from '../routing/routing';
import { type Histogram, histogramOf } from '../statistics/histogram';
import { type ArmBehaviour, drawNormal, type Random } from './rehearsal';

/** Output tokens of an ordinary request: their median, and the standard deviation of their logarithms. */
const MEDIAN_TOKENS = 200;
const SD_LOG = 1;

/**
 * What a window's successful answers took: tokens with a log-normal length, times what each arm does to them, at a
 * price of 1 USD per million. Lengths are drawn alike for all keys and models.
 */
export function drawnSpending(
  window: Evidence,
  does: Readonly<Record<Arm, ArmBehaviour>>,
  random: Random,
): SpendingCounts[] {
  const valuesOf = (arm: Arm): Histogram => {
    const answers = window.cells.reduce((sum, cell) => sum + (cell.side === arm ? cell.successes : 0), 0);
    const { lengthFactor = 1 } = does[arm];
    return histogramOf(
      Array.from({ length: answers }, () =>
        Math.max(1, Math.round(MEDIAN_TOKENS * lengthFactor * Math.exp(SD_LOG * drawNormal(random)))),
      ),
    );
  };
  const arms = { legacy: valuesOf('legacy'), candidate: valuesOf('candidate') };
  return SPENDING_MEASURES.map((measure) => {
    const { legacy, candidate } = spendingOf([], measure);
    return {
      measure,
      legacy: { ...legacy, values: arms.legacy },
      candidate: { ...candidate, values: arms.candidate },
    };
  });
}
