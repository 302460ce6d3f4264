import { createHash } from 'node:crypto';
import type { Finding } from '../core/assessment/finding';
import type { UsageDigest, UsageFindings } from '../core/assessment/usage-digest';
import type { CostProjection } from './cost-projection';
import type { EffortCost } from './migration-cost';
import type { Readiness } from './readiness';
import type { UsageAnalysis } from './usage/usage-analysis';

/** Everything that an assessment found. */
export interface AssessmentReport {
  readonly route: string | null;
  readonly madeAt: string;
  readonly usage: UsageAnalysis;
  /** Null when the sources carry no tokens, or no candidate was named. */
  readonly projection: CostProjection | null;
  readonly migrationCost: readonly EffortCost[];
  /** Null when readiness was not asked for. */
  readonly readiness: Readiness | null;
}

const MODELS_KEPT = 5;
const NAME_LIMIT = 80;

/** The digest of a report; the same report always gives the same one. */
export function digestReport(report: AssessmentReport): UsageDigest {
  const { usage, projection, readiness } = report;
  const { totals, window, latencyMs, peak } = usage;
  const sum = (of: (source: UsageAnalysis['sources'][number]) => number) =>
    usage.sources.reduce((total, source) => total + of(source), 0);
  return {
    sha256: createHash('sha256').update(JSON.stringify(report)).digest('hex'),
    madeAt: report.madeAt,
    verdict: readiness?.verdict ?? null,
    files: usage.sources.length,
    rows: sum(({ rows }) => rows),
    rejectedRows: sum(({ rejects }) => rejects.total),
    fromMs: window.fromMs,
    toMs: window.toMs,
    days: window.days,
    calls: totals.calls,
    inputTokens: totals.inputTokens,
    cachedTokens: totals.cachedTokens,
    outputTokens: totals.outputTokens,
    failed: totals.failed,
    latencyMs: latencyMs === null ? null : { p50: latencyMs.p50, p95: latencyMs.p95, p99: latencyMs.p99 },
    peak:
      peak === null
        ? null
        : { requestsPerMinute: peak.requestsPerMinute, tokensPerMinute: peak.tokensPerMinute },
    models: usage.byModel
      .slice(0, MODELS_KEPT)
      .map(({ model, calls }) => ({ model: cut(model, NAME_LIMIT), calls })),
    legacyMonthlyUsd: projection?.legacy.monthly.usd ?? null,
    candidateMonthlyUsd: projection?.candidate.monthly ?? null,
    savingPercent: projection?.savingPercent ?? null,
    recommendation: projection?.recommendation ?? null,
  };
}

/** Bytes that the findings of one assessment may take in a workflow's history. */
const FINDINGS_BYTES = 5_000;
const TEXT_LIMIT = 300;

/** The digest of a report with its findings, the weightiest first, in less than 8 KB. */
export function findingsOf(report: AssessmentReport): UsageFindings {
  return { digest: digestReport(report), findings: boundedFindings(report.readiness?.findings ?? []) };
}

const WEIGHTS: readonly Finding['kind'][] = ['blocker', 'approval', 'doubt', 'warning'];

function boundedFindings(findings: readonly Finding[]): Finding[] {
  const sorted = [...findings].sort((a, b) => WEIGHTS.indexOf(a.kind) - WEIGHTS.indexOf(b.kind));
  const kept: Finding[] = [];
  let left = FINDINGS_BYTES;
  for (const finding of sorted) {
    const short = { ...finding, text: cut(finding.text, TEXT_LIMIT) };
    left -= Buffer.byteLength(JSON.stringify(short));
    if (left < 0) break;
    kept.push(short);
  }
  const dropped = sorted.slice(kept.length);
  const [heaviest] = dropped;
  if (heaviest === undefined) return kept;
  // What was dropped must still hold or reject.
  const kind = heaviest.kind === 'approval' ? 'doubt' : heaviest.kind;
  return [...kept, { kind, text: `${dropped.length} more: see the whole report` }];
}

function cut(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, '')}…` : text;
}
