import { type BetaPrior, checkProbability, type LogEvidence, rateAbove, rateBelow } from './beta-binomial';
import { type DetectorState, detectorWeights, detectSince } from './change-detector';
import { bucketReaching, type CumulativeCounts, countAtOrBelow, cumulateSuffixes } from './cumulative-counts';
import { GAMMA, type Histogram } from './histogram';
import { logSumExp } from './log-space';

/** Read once: a look-up of a global costs more than the function inside a vm context. */
const { exp, floor, log, max, min } = Math;

/** Samples of a positive quantity, such as a latency, in both arms. */
export interface ArmSamples {
  readonly legacy: Histogram;
  readonly candidate: Histogram;
}

/** Both arms' samples, counted from each of some starts on. */
export interface CumulatedArms {
  readonly legacy: CumulativeCounts;
  readonly candidate: CumulativeCounts;
  /** What a count is worth: below 1 where values are not independent of each other (`scaleSamples`). */
  readonly scale: number;
}

/** Counts both arms from each segment on; segment 0 is everything. */
export function cumulateArms(segments: readonly ArmSamples[], scale = 1): CumulatedArms {
  return {
    legacy: cumulateSuffixes(segments.map((segment) => segment.legacy)),
    candidate: cumulateSuffixes(segments.map((segment) => segment.candidate)),
    scale,
  };
}

/** A claim about the p-quantiles of both arms: how much larger that of the candidate may be. */
export interface QuantileMargin {
  /** Between 0 and 1, such as 0.95. */
  readonly p: number;
  /** Relative, above 0: 0.5 allows 50% more. */
  readonly margin: number;
  /** Absolute, in the unit of the samples: as much more is allowed whatever the ratio; 0 when absent. */
  readonly least?: number;
  /** The candidate's part of the requests, 0 to 1, by which the bets for harm are placed; a half when absent. */
  readonly share?: number;
}

/**
 * ln E for harm: the candidate's quantile is more than 1 + margin times that of legacy. With Q1 the quantile
 * claimed to be the larger, H0 is Q1 <= ratio x Q2, and
 *
 *     E = min over x of E[F1(x) < p] x E[F2(x / ratio) > p],
 *
 * two truncated Beta-Binomial processes of counts at or below x. Under H0 the pair at x = Q1 is a product of two
 * e-processes of independent samples, and the minimum is at most that (one-sided form of QuantileABTest in
 * confseq; Howard and Ramdas 2022, arXiv 1906.09712). x / ratio is rounded down by up to two bucket bounds, so
 * that the claim is exact and the margin at most 2% of the value wider. With an absolute margin as well the claim is
 * that Q1 exceeds both, and x / ratio becomes the smaller of x / ratio and x - least.
 */
export function quantileExceeds(claim: QuantileMargin, samples: ArmSamples): number {
  return quantileExceedsSince(claim, cumulateArms([samples]), 0);
}

/** The same on what came from a start on. */
export function quantileExceedsSince(claim: QuantileMargin, arms: CumulatedArms, start: number): number {
  return minimumOverCells(cellEvaluator(harm(claim), arms), start, Number.NEGATIVE_INFINITY);
}

/** ln E for non-inferiority: the same with arms swapped and ratio 1 / (1 + margin). */
export function quantileWithin(claim: QuantileMargin, samples: ArmSamples): number {
  return quantileWithinAll(claim, cumulateArms([samples]));
}

/** The same on all that was counted. */
export function quantileWithinAll(claim: QuantileMargin, arms: CumulatedArms): number {
  return minimumOverCells(cellEvaluator(nonInferiority(claim), arms), 0, Number.NEGATIVE_INFINITY);
}

/**
 * Harm by the weighted mean of the processes from the stage's start and from every window. Each start has its own
 * minimum over x, because only then is each a process of its own: with the mean taken first, a level of BOTH arms
 * that moves during the stage gives every x some start that rejects it, and identical arms look different. A start
 * whose minimum is found at or below 1 is no evidence: its search ends there and it counts as 0, which only lowers
 * the mean.
 */
export function detectQuantileExceeds(
  claim: QuantileMargin,
  state: DetectorState<ArmSamples>,
  arms = cumulateArms(state.segments.map((segment) => segment.evidence)),
): number {
  const { logWeights, idle } = detectorWeights(state);
  const cells = cellEvaluator(harm(claim), arms);
  const terms = [log(idle)];
  for (let start = 0; start < state.segments.length; start += 1) {
    const logEvidence = minimumOverCells(cells, start, 0);
    if (logEvidence > 0) terms.push((logWeights[start] ?? 0) + logEvidence);
  }
  return logSumExp(terms);
}

/** One of several samples of other requests, such as the answers of one shape, and what is claimed of it. */
export interface ClaimedArms {
  readonly claim: QuantileMargin;
  readonly arms: CumulatedArms;
}

/**
 * Harm in several samples of other requests as one process, against "no quantile of any is beyond its margin". From each
 * start the e-processes multiply, because they are independent there, so that what slows all of them down adds up.
 * Each is averaged with the constant 1, of weight `HEDGE`: one that says nothing costs its logarithm and no more.
 * `state` has the starts that the samples have in common.
 */
export function detectQuantilesExceed(parts: readonly ClaimedArms[], state: DetectorState<unknown>): number {
  const evaluators = parts.map(({ claim, arms }) => cellEvaluator(harm(claim), arms));
  return detectSince(state, (start) =>
    evaluators.reduce((sum, cells) => sum + hedged(minimumOverCells(cells, start, NEGLIGIBLE)), 0),
  );
}

/** What the constant weighs against a sample's own evidence. */
const HEDGE = 0.05;
/** Evidence below this counts as 0, which only lowers the mean: its search need not come to its end. */
const NEGLIGIBLE = log(HEDGE / 10);

function hedged(logEvidence: number): number {
  return log(HEDGE + (logEvidence <= NEGLIGIBLE ? 0 : (1 - HEDGE) * exp(logEvidence)));
}

/** What is claimed, as counts at or below x see it. */
interface Claim {
  readonly p: number;
  readonly ratio: number;
  /** Up to which value the smaller arm is counted when the larger is counted up to x; null: up to x / ratio. */
  readonly counterpart: { of(x: number): number; inverse(value: number): number } | null;
  /** The arm whose quantile is claimed to be the larger. */
  readonly larger: 'legacy' | 'candidate';
  readonly smaller: 'legacy' | 'candidate';
  readonly largerBelow: LogEvidence;
  readonly smallerAbove: LogEvidence;
}

function harm({ p, margin, least = 0, share = 0.5 }: QuantileMargin): Claim {
  checkClaim(p, margin);
  const bets = harmBets(share);
  return {
    p,
    ratio: 1 + margin,
    counterpart:
      least === 0
        ? null
        : {
            of: (x) => min(x / (1 + margin), x - least),
            inverse: (value) => max(value * (1 + margin), value + least),
          },
    larger: 'candidate',
    smaller: 'legacy',
    largerBelow: rateBelow(p, tailPrior(p, bets.candidate)),
    smallerAbove: rateAbove(p, tailPrior(p, bets.legacy)),
  };
}

function nonInferiority({ p, margin, least = 0 }: QuantileMargin): Claim {
  checkClaim(p, margin);
  return {
    p,
    ratio: 1 / (1 + margin),
    counterpart:
      least === 0
        ? null
        : {
            of: (x) => max(x * (1 + margin), x + least),
            inverse: (value) => min(value / (1 + margin), value - least),
          },
    larger: 'legacy',
    smaller: 'candidate',
    largerBelow: rateBelow(p, tailPrior(p, LEGACY_TAIL)),
    smallerAbove: rateAbove(p, tailPrior(p, { ...CANDIDATE_TAIL, odds: 1 / CANDIDATE_TAIL.odds })),
  };
}

function checkClaim(p: number, margin: number): void {
  checkProbability('the quantile', p);
  if (!(margin > 0 && margin < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`expected a margin above 0, got ${margin}`);
  }
}

/**
 * The bets for harm. The x that decides lies between both quantiles, the nearer to legacy's the smaller the candidate's
 * share: there the odds of the candidate's tail beyond p are larger than p says, and those of legacy's smaller. How much,
 * and how sure that is, was chosen by simulation for a quantile that doubles at shares from 5% to 95%
 * (docs/decisions/statistics.md).
 */
function harmBets(share: number): { readonly candidate: TailBet; readonly legacy: TailBet } {
  return {
    candidate: { odds: exp(0.7 * (1 - share)), weight: 8 },
    legacy: { odds: exp(-share), weight: 40 },
  };
}

/** By which factor the odds of the tail beyond p differ at the x that decides, and how sure that is. */
interface TailBet {
  readonly odds: number;
  readonly weight: number;
}

/** The bets for non-inferiority: legacy is the larger sample, so its x lies nearer to its quantile. */
const CANDIDATE_TAIL = { odds: 1.5, weight: 5 };
const LEGACY_TAIL = { odds: 1 / 0.85, weight: 15 };

function tailPrior(p: number, { odds, weight }: TailBet): BetaPrior {
  return { mean: 1 / (1 + (odds * (1 - p)) / p), strength: weight / (p * (1 - p)) };
}

/** What the two processes of one start say at one cell: evidence of the larger arm's count, and of the smaller arm's. */
interface Cell {
  readonly index: number;
  readonly larger: number;
  readonly smaller: number;
}

/**
 * The minimum over all cells of the evidence since one start, by branch and bound; a minimum at or below `enough`
 * is not searched to its end. Cell i stands for x in bucket i. The larger arm's evidence falls with i and the
 * smaller arm's rises, so between two cells their sum is at least the right end's larger and the left end's
 * smaller: whole ranges are ruled out unseen.
 */
function minimumOverCells(cells: CellEvaluator, start: number, enough: number): number {
  let best = Number.POSITIVE_INFINITY;
  const visit = (index: number): Cell => {
    const cell = cells.at(start, index);
    best = Math.min(best, cell.larger + cell.smaller);
    return cell;
  };
  const guess = visit(cells.guess(start));
  if (best <= enough) return best;
  const open: Range[] = [];
  const consider = (left: Cell, right: Cell) => {
    if (right.index - left.index < 2) return;
    const bound = right.larger + left.smaller;
    if (bound < best) open.push({ left, right, bound });
  };
  consider(visit(cells.first), guess);
  consider(guess, visit(cells.last));
  while (best > enough) {
    const range = takeLowest(open);
    if (range === undefined || range.bound >= best) break;
    const middle = visit((range.left.index + range.right.index) >> 1);
    consider(range.left, middle);
    consider(middle, range.right);
  }
  return best;
}

interface Range {
  readonly left: Cell;
  readonly right: Cell;
  readonly bound: number;
}

function takeLowest(open: Range[]): Range | undefined {
  let lowest = 0;
  for (let index = 1; index < open.length; index += 1) {
    if ((open[index]?.bound ?? 0) < (open[lowest]?.bound ?? 0)) lowest = index;
  }
  const [range] = open.splice(lowest, 1);
  return range;
}

/** Cells from below both samples to above both; beyond them nothing changes. */
interface CellEvaluator {
  readonly first: number;
  readonly last: number;
  /** Where the minimum of a start is likely to be: between the two samples' quantiles. */
  guess(start: number): number;
  at(start: number, index: number): Cell;
}

function cellEvaluator(claim: Claim, arms: CumulatedArms): CellEvaluator {
  const { p, ratio, counterpart, largerBelow, smallerAbove } = claim;
  const [larger, smaller] = [arms[claim.larger], arms[claim.smaller]];
  const { scale } = arms;
  const shift = log(ratio) / LOG_GAMMA;
  const ends = [smaller.first, smaller.last].map((bucket) =>
    counterpart === null ? bucket + shift : log(max(TINY, counterpart.inverse(GAMMA ** bucket))) / LOG_GAMMA,
  );
  const first = floor(min(larger.first, ...ends)) - 2;
  const last = Math.ceil(max(larger.last, ...ends)) + 2;
  /** Bounds below all of bucket i / ratio: the p-quantile of the smaller arm lies above, if H0 holds here. */
  const smallerIndex = (index: number) => {
    if (index === first) return Number.NEGATIVE_INFINITY;
    if (counterpart === null) return floor(index - 1 - shift);
    const value = counterpart.of(GAMMA ** (index - 1));
    return value <= 0 ? Number.NEGATIVE_INFINITY : floor(log(value) / LOG_GAMMA + ROUNDING);
  };
  const quantileBucket = (counts: CumulativeCounts, start: number) =>
    bucketReaching(counts, start, p * (counts.totals[start] ?? 0));
  return {
    first,
    last,
    guess: (start) => {
      const middle = (quantileBucket(larger, start) + quantileBucket(smaller, start) + shift) / 2;
      return min(last, max(first, Math.round(middle)));
    },
    at: (start, index) => ({
      index,
      larger: largerBelow(scale * countAtOrBelow(larger, start, index), scale * (larger.totals[start] ?? 0)),
      smaller: smallerAbove(
        scale * countAtOrBelow(smaller, start, smallerIndex(index)),
        scale * (smaller.totals[start] ?? 0),
      ),
    }),
  };
}

const LOG_GAMMA = log(GAMMA);
/** A bound that is a bucket's own stays it. */
const ROUNDING = 1e-9;
/** Below every latency, where a logarithm still is one. */
const TINY = 1e-3;
