import type { Random } from '../../src/core/rehearsal/rehearsal';
import { GAMMA, type Histogram } from '../../src/core/statistics/histogram';

/** Read once: in Jest a look-up of a global costs more than the function. */
const { ceil, cos, floor, log, log1p, sqrt } = Math;

/** How many of `trials` independent trials succeed at a rate, by skipping from success to success. */
export function drawEvents(trials: number, rate: number, random: Random): number {
  if (rate <= 0) return 0;
  if (rate >= 1) return trials;
  const logRest = log1p(-rate);
  let events = 0;
  for (let at = skip(random, logRest); at < trials; at += 1 + skip(random, logRest)) events += 1;
  return events;
}

function skip(random: Random, logRest: number): number {
  return floor(log(1 - random()) / logRest);
}

/** `count` log-normal latencies as a histogram: ln x has mean ln(median) and deviation sigma. */
export function drawLatencies(count: number, median: number, sigma: number, random: Random): Histogram {
  const counts = new Map<number, number>();
  for (let index = 0; index < count; index += 1) {
    const bucket = ceil((log(median) + sigma * drawNormal(random)) / log(GAMMA));
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  }
  return { zero: 0, buckets: [...counts].sort((a, b) => a[0] - b[0]) };
}

/** A standard normal number (Box and Muller 1958). */
export function drawNormal(random: Random): number {
  return sqrt(-2 * log(1 - random())) * cos(2 * Math.PI * random());
}

/**
 * The largest number of false decisions in `runs` runs that a true rate of at most `alpha` explains: one in a
 * thousand correct implementations exceeds it (normal approximation of the binomial, plus 1).
 */
export function mostFalseDecisions(runs: number, alpha: number): number {
  return floor(runs * alpha + 3.09 * sqrt(runs * alpha * (1 - alpha))) + 1;
}
