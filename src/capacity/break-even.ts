/** What self-hosting costs against an API's price. */
export interface BreakEven {
  readonly costPerHourUsd: number;
  readonly costPerMonthUsd: number;
  /** At the stated throughput kept up all the time; null when no throughput was stated. */
  readonly costPerMillionTokensUsd: number | null;
  /** Tokens a second, around the clock, at which both cost the same; null without an API price. */
  readonly breakEvenTokensPerSecond: number | null;
  readonly breakEvenMillionTokensPerMonth: number | null;
  /** Part of the time at the stated throughput that must be sold to break even; above 1 it never does. */
  readonly breakEvenUtilization: number | null;
}

const HOURS_A_MONTH = 30 * 24;

/** Self-hosting on `gpus` against an API; a month is 30 days. */
export function breakEven(options: {
  gpus: number;
  gpuHourUsd: number;
  tokensPerSecond: number | null;
  apiUsdPerMillionTokens: number | null;
}): BreakEven {
  const costPerHourUsd = options.gpus * options.gpuHourUsd;
  const api = options.apiUsdPerMillionTokens;
  const throughput = options.tokensPerSecond;
  const breakEvenTokensPerSecond = api === null ? null : (costPerHourUsd / api / 3600) * 1e6;
  return {
    costPerHourUsd,
    costPerMonthUsd: costPerHourUsd * HOURS_A_MONTH,
    costPerMillionTokensUsd: throughput === null ? null : (costPerHourUsd / (throughput * 3600)) * 1e6,
    breakEvenTokensPerSecond,
    breakEvenMillionTokensPerMonth: api === null ? null : (costPerHourUsd * HOURS_A_MONTH) / api,
    breakEvenUtilization:
      breakEvenTokensPerSecond === null || throughput === null ? null : breakEvenTokensPerSecond / throughput,
  };
}
