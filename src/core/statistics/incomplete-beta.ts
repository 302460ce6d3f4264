import { log1mExp } from './log-space';

/** Read once: a look-up of a global costs more than the function inside a vm context. */
const { abs, log, log1p, max, min } = Math;

const HALF_LN_2PI = 0.9189385332046727;

/**
 * ln B(a, b) for a, b above 0, to about 1e-15 of the larger argument. Above 10 the three log-gammas are
 * replaced by their Stirling corrections, so that nothing large is subtracted (as algorithm 708, DiDonato and
 * Morris 1992, does).
 */
export function logBeta(a: number, b: number): number {
  const small = min(a, b);
  const large = max(a, b);
  const sum = small + large;
  if (small >= 10) {
    const correction = stirlingCorrection(small) + stirlingCorrection(large) - stirlingCorrection(sum);
    return (
      HALF_LN_2PI -
      0.5 * log(large) +
      correction +
      (small - 0.5) * log(small / sum) +
      large * log1p(-small / sum)
    );
  }
  if (large >= 10) {
    const correction = stirlingCorrection(large) - stirlingCorrection(sum);
    return logGamma(small) + correction + small - small * log(sum) + (large - 0.5) * log1p(-small / sum);
  }
  return logGamma(small) + logGamma(large) - logGamma(sum);
}

/** Both tails of the regularised incomplete beta function, as natural logarithms. */
export interface LogBetaTails {
  /** ln I_x(a, b): the part below x. */
  readonly lower: number;
  /** ln (1 - I_x(a, b)): the part above x. */
  readonly upper: number;
}

/**
 * The two tails of a Beta(a, b) distribution at x, in log space: exact where they underflow a double.
 * Valid for 0 <= x <= 1 and a, b from 1e-3 to 1e9; throws outside 0..1 and for a or b not above 0.
 */
export function logBetaTails(x: number, a: number, b: number): LogBetaTails {
  if (!(x >= 0 && x <= 1) || !(a > 0) || !(b > 0)) {
    throw new RangeError(`expected x from 0 to 1 and a, b above 0, got x ${x}, a ${a}, b ${b}`);
  }
  if (x === 0) return { lower: Number.NEGATIVE_INFINITY, upper: 0 };
  if (x === 1) return { lower: 0, upper: Number.NEGATIVE_INFINITY };
  const logFront = a * log(x) + b * log1p(-x) - logBeta(a, b);
  if (x < (a + 1) / (a + b + 2)) {
    const lower = min(0, logFront + log(continuedFraction(x, a, b) / a));
    return { lower, upper: log1mExp(lower) };
  }
  const upper = min(0, logFront + log(continuedFraction(1 - x, b, a) / b));
  return { lower: log1mExp(upper), upper };
}

const SMALLEST = 1e-300;
const MAX_TERMS = 1_000_000;

/**
 * The continued fraction of the incomplete beta function (DLMF 8.17.22) by the modified Lentz method.
 * Converges in about sqrt(max(a, b)) terms where x is below the mean.
 */
function continuedFraction(x: number, a: number, b: number): number {
  const sum = a + b;
  let c = 1;
  let d = 1 / awayFromZero(1 - (sum * x) / (a + 1));
  let value = d;
  for (let m = 1; m <= MAX_TERMS; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / awayFromZero(1 + even * d);
    c = awayFromZero(1 + even / c);
    value *= d * c;
    const odd = (-(a + m) * (sum + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / awayFromZero(1 + odd * d);
    c = awayFromZero(1 + odd / c);
    const step = d * c;
    value *= step;
    if (abs(step - 1) < 1e-15) return value;
  }
  throw new RangeError(`expected a and b up to 1e9, got ${a} and ${b}: no convergence at ${x}`);
}

function awayFromZero(value: number): number {
  return abs(value) < SMALLEST ? SMALLEST : value;
}

/** ln gamma(x) for x above 0: Stirling's series after shifting the argument to 10 or more. */
function logGamma(x: number): number {
  let product = 1;
  let shifted = x;
  while (shifted < 10) {
    product *= shifted;
    shifted += 1;
  }
  return (shifted - 0.5) * log(shifted) - shifted + HALF_LN_2PI + stirlingCorrection(shifted) - log(product);
}

/** ln gamma(x) minus Stirling's formula, for x of 10 or more (DLMF 5.11.1); the first term left out is 7e-16. */
function stirlingCorrection(x: number): number {
  const r = 1 / (x * x);
  return (
    (1 / 12 -
      r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r * (1 / 1188 - r * (691 / 360360 - r / 156)))))) /
    x
  );
}
