import type { Histogram } from '../../core/statistics/histogram';
import type { UsageSource } from './files/usage-source';
import type { UsageField } from './formats/mapping-sql';

/** Sums over some usage; a field that no source carries is null, never 0. */
export interface UsageSums {
  readonly calls: number | null;
  readonly inputTokens: number | null;
  readonly cachedTokens: number | null;
  readonly outputTokens: number | null;
  readonly failed: number | null;
}

/** Sums over all parts, of what each of them knows. */
export function sumOf(parts: readonly UsageSums[]): UsageSums {
  return {
    calls: sumOfKnown(parts.map(({ calls }) => calls)),
    inputTokens: sumOfKnown(parts.map(({ inputTokens }) => inputTokens)),
    cachedTokens: sumOfKnown(parts.map(({ cachedTokens }) => cachedTokens)),
    outputTokens: sumOfKnown(parts.map(({ outputTokens }) => outputTokens)),
    failed: sumOfKnown(parts.map(({ failed }) => failed)),
  };
}

/** A sum of what is known; null when nothing is. */
export function sumOfKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0);
}

/** A distribution in the log buckets of the gates: percentiles are at most 0.5% off. */
export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly histogram: Histogram;
}

/** The busiest minute, by requests and by tokens. */
export interface Peak {
  readonly requestsPerMinute: number;
  readonly requestsAtMs: number;
  readonly tokensPerMinute: number | null;
  readonly tokensAtMs: number | null;
}

export interface ModelUsage extends UsageSums {
  readonly model: string;
  readonly latencyMs: Distribution | null;
  readonly firstTokenMs: Distribution | null;
  /** Input tokens per request. */
  readonly promptTokens: Distribution | null;
  /** Most input, and most input and output tokens of one request. */
  readonly maxInputTokens: number | null;
  readonly maxContextTokens: number | null;
  readonly peak: Peak | null;
}

/** Usage of one model in one quarter of an hour, or one longer bucket: what prices are applied to. */
export interface UsageCell extends UsageSums {
  readonly model: string;
  readonly startMs: number;
  /** Length of an aggregate's bucket; 0 for single requests, which are in the quarter hour from `startMs`. */
  readonly bucketMs: number;
  readonly serviceTier: string | null;
  /** Index into the context thresholds: how many of them the prompt exceeds; null for aggregates. */
  readonly contextClass: number | null;
  /** Cost that the source recorded, in its own currency. */
  readonly recordedCost: number | null;
}

/** What the usage was, over one window. */
export interface UsageAnalysis {
  readonly sources: readonly UsageSource[];
  readonly window: {
    readonly fromMs: number;
    readonly toMs: number;
    /** Days that the data covers within the window. */
    readonly days: number;
  };
  /** Calls before or after the window. */
  readonly callsOutside: number;
  /** How many sources carry each field. */
  readonly carriedBy: Readonly<Record<UsageField, number>>;
  readonly totals: UsageSums;
  readonly byModel: readonly ModelUsage[];
  readonly byDay: readonly (UsageSums & { readonly day: string; readonly model: string })[];
  /** 168 entries from Monday 00:00 UTC; null where buckets are longer than an hour. */
  readonly byHourOfWeek: readonly { readonly calls: number | null; readonly tokens: number | null }[] | null;
  /** The 50 with most calls. */
  readonly byCaller: readonly (UsageSums & { readonly caller: string })[] | null;
  readonly callers: number | null;
  readonly latencyMs: Distribution | null;
  readonly firstTokenMs: Distribution | null;
  readonly promptTokens: Distribution | null;
  readonly peak: Peak | null;
  /** Calls that used a feature, where a source says so. */
  readonly features: readonly { readonly feature: FeatureName; readonly calls: number | null }[];
  readonly recordedCosts: readonly {
    readonly currency: string;
    readonly amount: number;
    readonly where: string;
  }[];
}

export const FEATURES = ['streaming', 'tools', 'jsonSchema', 'vision', 'embeddings'] as const;

export type FeatureName = (typeof FEATURES)[number];

/** The field of a source that tells about a feature. */
export function featureField(feature: FeatureName): UsageField {
  return feature === 'streaming' ? 'streamed' : feature;
}
