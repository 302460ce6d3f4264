import type { Finding } from './finding';

/** What history keeps of an assessment of usage: the numbers that decided. What a log does not carry is null. */
export interface UsageDigest {
  /** SHA-256 of the whole report. */
  readonly sha256: string;
  readonly madeAt: string;
  readonly verdict: 'pass' | 'hold' | 'rejected' | null;
  readonly files: number;
  readonly rows: number;
  readonly rejectedRows: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** Days that the data covers within the window. */
  readonly days: number;
  readonly calls: number | null;
  readonly inputTokens: number | null;
  readonly cachedTokens: number | null;
  readonly outputTokens: number | null;
  readonly failed: number | null;
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number } | null;
  readonly peak: { readonly requestsPerMinute: number; readonly tokensPerMinute: number | null } | null;
  /** The five with most calls. */
  readonly models: readonly { readonly model: string; readonly calls: number | null }[];
  /** For 30 days, as both amounts below. */
  readonly legacyMonthlyUsd: number | null;
  readonly candidateMonthlyUsd: {
    readonly usd: number;
    readonly lowUsd: number;
    readonly highUsd: number;
  } | null;
  readonly savingPercent: { readonly percent: number; readonly low: number; readonly high: number } | null;
  readonly recommendation: {
    readonly priority: 'high' | 'medium' | 'low';
    readonly sentence: string;
  } | null;
}

/** What the analysis of usage logs found; without a digest the logs could not be read, and a finding says why. */
export interface UsageFindings {
  readonly digest: UsageDigest | null;
  readonly findings: readonly Finding[];
}

/** The digest in a few lines for people; names in it are as the logs have them. */
export function usageLines(digest: UsageDigest): string[] {
  const { calls, days, inputTokens, outputTokens, latencyMs, peak, savingPercent, recommendation } = digest;
  const made = calls === null ? 'calls not in these logs' : `${count(calls)} calls`;
  const tokens =
    inputTokens === null || outputTokens === null
      ? 'tokens not in these logs'
      : `${count(inputTokens)} tokens in, ${count(outputTokens)} out`;
  const failed = digest.failed === null ? '' : `, ${count(digest.failed)} failed`;
  const speed = latencyMs === null ? '' : `; p50 ${count(latencyMs.p50)} ms, p95 ${count(latencyMs.p95)} ms`;
  const busiest = peak === null ? '' : `; at most ${count(peak.requestsPerMinute)} requests per minute`;
  const cost =
    digest.legacyMonthlyUsd === null || digest.candidateMonthlyUsd === null
      ? []
      : [
          `Cost of 30 days: ${dollars(digest.legacyMonthlyUsd)} now, ${dollars(digest.candidateMonthlyUsd.usd)} at the candidate` +
            (savingPercent === null ? '' : ` (saves ${savingPercent.percent.toFixed(1)}%)`) +
            (recommendation === null ? '' : `: ${recommendation.priority} priority`),
        ];
  return [`Usage of ${days.toFixed(1)} days: ${made}${failed}, ${tokens}${speed}${busiest}`, ...cost];
}

function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

function dollars(usd: number): string {
  return usd >= 100 || usd === 0 ? `$${count(usd)}` : `$${usd.toPrecision(3)}`;
}
