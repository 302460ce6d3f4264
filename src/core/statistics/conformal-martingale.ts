/**
 * A test of whether answers are still drawn like those of a reference, valid however often it is looked at. Each answer
 * gets a conformal p-value among the reference's answers and all earlier ones to the same question (Vovk, Gammerman and
 * Shafer, Algorithmic Learning in a Random World, chapter 8). While all of them are exchangeable, these p-values are
 * independent and uniform, also where the reference is small and used again and again. Bets against uniformity
 * then make a martingale, and by Ville's inequality it ever reaches 1/alpha with a chance of at most alpha.
 */
export interface ConformalBets {
  /** P-values so far. */
  readonly steps: number;
  /** What the money that was bet so far has become. */
  readonly capital: number;
  /** P-values by tenths, the older ones counted less. */
  readonly bins: readonly number[];
  /** The highest that the martingale has been. */
  readonly peak: number;
}

/** Read once: where a look-up of a global is slow, simulations spend most of their time on it. */
const { floor, log, max, min, round } = Math;

const BINS = 10;

/** Before the first answer. */
export const NO_BETS: ConformalBets = { steps: 0, capital: 0, bins: new Array(BINS).fill(0), peak: 1 };

/** The e-value: what one unit has become, with the part that has not been bet yet. */
export function conformalEValue({ steps, capital }: Pick<ConformalBets, 'steps' | 'capital'>): number {
  return capital + reserve(steps);
}

/**
 * The p-value of one answer of a class, 0 being the most usual: among the counts of all classes before it, the part that
 * is stranger, ties broken by `draw`, uniform in [0, 1).
 */
export function conformalPValue(counts: readonly number[], strangeness: number, draw: number): number {
  const equal = (counts[strangeness] ?? 0) + 1;
  let all = 1;
  let stranger = 0;
  for (const [index, count] of counts.entries()) {
    all += count;
    if (index > strangeness) stranger += count;
  }
  return (stranger + (1 - draw) * equal) / all;
}

/** The bets after one more p-value, in (0, 1]. */
export function withPValue({ steps, capital, bins, peak }: ConformalBets, p: number): ConformalBets {
  const bin = min(BINS - 1, floor(p * BINS));
  const density = (strangeBet(p) + learnedBet(bins, bin)) / 2;
  const staked = capital + reserve(steps) - reserve(steps + 1);
  const next = {
    steps: steps + 1,
    // More says no more, and JSON holds no infinity.
    capital: min(LARGEST, staked * density),
    bins: bins.map((count, index) => rounded(count * FORGETTING + (index === bin ? 1 : 0))),
  };
  return { ...next, peak: max(peak, conformalEValue(next)) };
}

const LARGEST = 1e12;

/** What of one unit is still to be bet: money that is bet later finds a model that is exchanged later. */
function reserve(steps: number): number {
  if (steps === 0) return 1;
  return (LATER_PART * LOG_2) / log(steps + 2);
}

/** Half of the money is bet from the first answer on. */
const LATER_PART = 0.5;
const LOG_2 = log(2);

/** A density on (0, 1] for answers that the reference finds strange. */
function strangeBet(p: number): number {
  return STRANGE_POWER * p ** (STRANGE_POWER - 1);
}

const STRANGE_POWER = 0.35;

/** The density of p-values as they came lately, smoothed. */
function learnedBet(bins: readonly number[], bin: number): number {
  const all = bins.reduce((sum, count) => sum + count, 0);
  return (BINS * ((bins[bin] ?? 0) + SMOOTHING)) / (all + BINS * SMOOTHING);
}

/** The last fifty or so count. */
const FORGETTING = 0.98;
const SMOOTHING = 1;

function rounded(value: number): number {
  return round(value * 1_000) / 1_000;
}
