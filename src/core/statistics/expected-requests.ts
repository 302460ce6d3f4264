/**
 * How many times as much data is needed until evidence reaches `target` (ln E), if what comes looks like what
 * was seen; to 1%, null where 10,000 times is not enough. `logEvidenceAt` evaluates an e-process with every
 * count multiplied by the factor: fractional counts are allowed everywhere.
 */
export function growthUntil(target: number, logEvidenceAt: (factor: number) => number): number | null {
  return smallestReaching(target, logEvidenceAt, 1, 10_000);
}

/**
 * The smallest value between two positive ones at which evidence reaches `target`, to 1%; null where it does
 * not. Evidence must rise with the value. With a margin as the value: the smallest one that a sample can show.
 */
export function smallestReaching(
  target: number,
  logEvidenceAt: (value: number) => number,
  from: number,
  to: number,
): number | null {
  if (logEvidenceAt(from) >= target) return from;
  let low = from;
  let high = Math.min(2 * from, to);
  while (high < to && logEvidenceAt(high) < target) {
    low = high;
    high = Math.min(2 * high, to);
  }
  if (logEvidenceAt(high) < target) return null;
  while (high / low > 1.01) {
    const middle = Math.sqrt(low * high);
    if (logEvidenceAt(middle) < target) low = middle;
    else high = middle;
  }
  return high;
}
