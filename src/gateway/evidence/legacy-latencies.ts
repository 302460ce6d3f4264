import { DenseHistogram } from './dense-histogram';

/** How a latency lies beside legacy's: at or below the median, above it, or above p95 as well. */
export type Slowness = 'fast' | 'above median' | 'above p95';

/** Quantiles are looked up again after so many of legacy's answers; before as many there are none. */
const LOOKED_UP_EVERY = 64;

/**
 * What this process has learnt of legacy's latencies by stratum, and of what its answers take. Only how often a key is
 * beyond its quantiles rests on it, so that it may go on learning from one epoch, or one report to the primary, to the next.
 */
export class LegacyLatencies {
  readonly #strata = new Map<string, StratumLatencies>();

  /** Legacy's own answers are learnt from as well. */
  slownessOf(stratum: string, ms: number, isLegacy: boolean): Slowness {
    let latencies = this.#strata.get(stratum);
    if (latencies === undefined) {
      if (!isLegacy) return 'fast';
      latencies = new StratumLatencies();
      this.#strata.set(stratum, latencies);
    }
    const slowness = latencies.slownessOf(ms);
    if (isLegacy) latencies.learn(ms);
    return slowness;
  }
}

class StratumLatencies {
  readonly #histogram = new DenseHistogram();
  #medianMs = Number.POSITIVE_INFINITY;
  #p95Ms = Number.POSITIVE_INFINITY;
  #untilLookedUp = LOOKED_UP_EVERY;

  slownessOf(ms: number): Slowness {
    if (ms <= this.#medianMs) return 'fast';
    return ms <= this.#p95Ms ? 'above median' : 'above p95';
  }

  learn(ms: number): void {
    this.#histogram.add(ms);
    this.#untilLookedUp -= 1;
    if (this.#untilLookedUp > 0) return;
    this.#medianMs = this.#histogram.quantile(0.5);
    this.#p95Ms = this.#histogram.quantile(0.95);
    this.#untilLookedUp = LOOKED_UP_EVERY;
  }
}
