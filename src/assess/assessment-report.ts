import { createHash } from 'node:crypto';
import type { EffortCost } from './migration-cost';
import type { Projection } from './projection';
import type { Readiness } from './readiness';
import type { UsageAnalysis } from './usage/usage-analysis';

/** Everything that an assessment found. */
export interface AssessmentReport {
  readonly route: string | null;
  readonly madeAt: string;
  readonly usage: UsageAnalysis;
  /** Null when the sources carry no tokens, or no candidate was named. */
  readonly projection: Projection | null;
  readonly migrationCost: readonly EffortCost[];
  /** Null when readiness was not asked for. */
  readonly readiness: Readiness | null;
}

/** What history keeps of a report: the numbers that decided, and a digest of all of it. */
export interface AssessmentDigest {
  readonly sha256: string;
  readonly verdict: Readiness['verdict'] | null;
  readonly calls: number;
  readonly days: number;
  readonly legacyMonthlyUsd: number | null;
  readonly candidateMonthlyUsd: number | null;
  readonly savingPercent: number | null;
  readonly priority: Projection['recommendation']['priority'] | null;
  readonly blockers: readonly string[];
  readonly questions: readonly string[];
}

/** The digest of a report; the same report always gives the same one. */
export function digestReport(report: AssessmentReport): AssessmentDigest {
  const { usage, projection, readiness } = report;
  return {
    sha256: createHash('sha256').update(JSON.stringify(report)).digest('hex'),
    verdict: readiness?.verdict ?? null,
    calls: usage.totals.calls,
    days: usage.window.days,
    legacyMonthlyUsd: projection?.legacy.monthly.usd ?? null,
    candidateMonthlyUsd: projection?.candidate.monthly.usd ?? null,
    savingPercent: projection?.savingPercent?.percent ?? null,
    priority: projection?.recommendation.priority ?? null,
    blockers:
      readiness?.findings
        .filter(({ kind }) => kind === 'blocker')
        .map(({ text }) => text)
        .slice(0, 20) ?? [],
    questions: readiness?.questions.slice(0, 20) ?? [],
  };
}
