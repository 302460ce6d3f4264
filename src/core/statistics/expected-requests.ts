/**
 * How many times as much data is needed until evidence reaches `target` (ln E), if what comes looks like what
 * was seen: the smallest factor from 1 to `limit` with `logEvidenceAt(factor) >= target`, to 1%; null where
 * none does. `logEvidenceAt` evaluates an e-process with every count multiplied by the factor.
 */
export function growthUntil(
  target: number,
  logEvidenceAt: (factor: number) => number,
  limit = 10_000,
): number | null {
  if (logEvidenceAt(1) >= target) return 1;
  let low = 1;
  let high = 2;
  while (high < limit && logEvidenceAt(high) < target) {
    low = high;
    high *= 2;
  }
  high = Math.min(high, limit);
  if (logEvidenceAt(high) < target) return null;
  while (high / low > 1.01) {
    const middle = Math.sqrt(low * high);
    if (logEvidenceAt(middle) < target) low = middle;
    else high = middle;
  }
  return high;
}
