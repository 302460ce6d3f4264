/** Read once: a look-up of a global costs more than the function inside a vm context. */
const { exp, expm1, log, log1p } = Math;

const LN_2 = Math.LN2;

/** ln(1 - e^x) for x at or below 0, without cancellation at either end (Mächler 2012, "log1mexp"). */
export function log1mExp(x: number): number {
  if (x >= 0) return x === 0 ? Number.NEGATIVE_INFINITY : Number.NaN;
  return x > -LN_2 ? log(-expm1(x)) : log1p(-exp(x));
}

/** ln of the sum of e^x over some x; -Infinity for none. */
export function logSumExp(terms: readonly number[]): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const term of terms) if (term > max) max = term;
  if (!Number.isFinite(max)) return max;
  let sum = 0;
  for (const term of terms) sum += exp(term - max);
  return max + log(sum);
}
