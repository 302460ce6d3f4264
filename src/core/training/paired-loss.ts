import { logBetaTails } from '../statistics/incomplete-beta';

/** How the loss of one model compares with that of BF16 on the same batches. */
export interface PairedLoss {
  readonly outcome: 'pass' | 'fail' | 'inconclusive';
  /** Mean difference of loss per batch, as a part of the mean loss in BF16, and its interval. */
  readonly difference: number;
  readonly interval: readonly [low: number, high: number];
  readonly margin: number;
  readonly batches: number;
  readonly loss: number;
  readonly lossBf16: number;
  readonly sentence: string;
}

const BATCHES_LEAST = 8;

/**
 * Paired differences of loss per batch with Student's interval. Passes when the whole interval is below the margin, fails
 * when it is above; anything else, and fewer than 8 batches, is inconclusive, which is no pass.
 */
export function comparePairs(
  losses: readonly number[],
  bf16: readonly number[],
  { margin, confidence }: { readonly margin: number; readonly confidence: number },
): PairedLoss {
  if (losses.length !== bf16.length) {
    throw new RangeError(`expected ${bf16.length} losses, one per batch in BF16, got ${losses.length}`);
  }
  const n = losses.length;
  const loss = meanOf(losses);
  const lossBf16 = meanOf(bf16);
  const differences = losses.map((value, at) => (value - (bf16[at] as number)) / lossBf16);
  const difference = meanOf(differences);
  const variance =
    differences.reduce((sum, value) => sum + (value - difference) ** 2, 0) / Math.max(1, n - 1);
  const half =
    n < 2 ? Number.POSITIVE_INFINITY : studentQuantile(confidence, n - 1) * Math.sqrt(variance / n);
  const interval = [difference - half, difference + half] as const;
  const outcome = outcomeOf({ n, interval, margin });
  const sentence =
    `loss ${percent(difference)} from BF16 (${percent(interval[0])} to ${percent(interval[1])}) over ${n} batches, ` +
    `${percent(margin)} allowed${n < BATCHES_LEAST ? `; at least ${BATCHES_LEAST} batches are needed` : ''}`;
  return { outcome, difference, interval, margin, batches: n, loss, lossBf16, sentence };
}

/** How many standard errors a two-sided interval of Student's distribution reaches. */
export function studentQuantile(confidence: number, degrees: number): number {
  const tail = Math.log(1 - confidence);
  let [low, high] = [0, 1];
  for (let step = 0; step < 100; step += 1) {
    const middle = (low + high) / 2;
    if (logBetaTails(middle, degrees / 2, 0.5).lower < tail) low = middle;
    else high = middle;
  }
  const x = (low + high) / 2;
  return Math.sqrt((degrees * (1 - x)) / x);
}

function outcomeOf(found: {
  n: number;
  interval: readonly [number, number];
  margin: number;
}): PairedLoss['outcome'] {
  const [low, high] = found.interval;
  if (!Number.isFinite(low) || !Number.isFinite(high)) return found.n < 2 ? 'inconclusive' : 'fail';
  if (found.n < BATCHES_LEAST) return 'inconclusive';
  if (high <= found.margin) return 'pass';
  return low > found.margin ? 'fail' : 'inconclusive';
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percent(part: number): string {
  return `${part >= 0 ? '+' : ''}${(100 * part).toFixed(3)}%`;
}
