import { verdictLine } from '../core/gates/verdict-text';
import type { MigrationStatus } from '../core/migration/status';
import { formatShare } from '../core/plan/plan';
import type { LoadCounts } from './load';

/** One line about where the demo stands. */
export function liveLine(elapsedMs: number, status: MigrationStatus, counts: LoadCounts): string {
  const { verdict } = status;
  const measured = status.observedShare === null ? '-' : formatShare(status.observedShare);
  const failed = (arm: 'legacy' | 'candidate') =>
    verdict?.metrics.find(({ metric }) => metric === 'errors')?.[arm] ?? null;
  const rate = (value: number | null) => (value === null ? '-' : `${(value * 100).toFixed(1)}%`);
  const ms = (value: number | null) => (value === null ? '-' : String(Math.round(value)));
  const state = status.paused === null ? status.phase : `${status.phase}, paused`;
  return [
    `${(elapsedMs / 1_000).toFixed(0).padStart(3)} s`,
    `${status.stage} (${state})`.padEnd(22),
    `share ${formatShare(status.shareAsked)} asked, ${measured} measured`,
    `${counts.requests} requests (${counts.legacy} legacy, ${counts.candidate} candidate)`,
    `errors ${rate(failed('legacy'))} / ${rate(failed('candidate'))}, ${counts.failures} reached a caller`,
    `p95 ${ms(counts.p95Ms.legacy)} / ${ms(counts.p95Ms.candidate)} ms`,
    verdict === null ? 'no verdict yet' : verdictLine(verdict, status.phase === 'handover'),
  ].join(' | ');
}
