import type { Histogram } from './histogram';
import type { ArmSamples } from './quantile-ratio';

/**
 * Both arms' samples with every count multiplied by a factor. Below 1 it deflates: gaps between tokens come
 * many to a stream and are not independent, so they are divided by the gaps a stream. Above 1 it projects.
 */
export function scaleSamples({ legacy, candidate }: ArmSamples, factor: number): ArmSamples {
  if (!(factor > 0)) throw new RangeError(`expected a factor above 0, got ${factor}`);
  return { legacy: scale(legacy, factor), candidate: scale(candidate, factor) };
}

function scale({ zero, buckets }: Histogram, factor: number): Histogram {
  return {
    zero: zero * factor,
    buckets: buckets.map(([bucket, count]) => [bucket, count * factor] as const),
  };
}
