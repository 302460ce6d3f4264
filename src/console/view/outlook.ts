import type { MigrationStatus } from '../../core/migration/status';
import { formatShare } from '../../core/plan/plan';

/** What a migration does by itself next. */
export interface Outlook {
  /** The next stage or step of a ramp, or the handover. */
  readonly to: string;
  /** A step of a ramp: it takes no pass. Absent otherwise. */
  readonly isStep?: true;
  /** When its soak is over at the earliest; null while the gate does not pass. */
  readonly atMs: number | null;
}

/** The outlook of a stage that is observed; null where somebody has to decide, or where nothing is observed. */
export function outlookOf(status: MigrationStatus, judgedAtMs: number | null): Outlook | null {
  const { phase, paused, held, drift, stages, stage, verdict, soak, effects = [] } = status;
  if (phase !== 'observing' || paused !== null || held !== null || drift !== null) return null;
  if (status.approval?.granted === null || status.nextPossibleAtMs != null) return null;
  if (effects.some(({ lastError }) => lastError !== null)) return null;
  const { ramp } = status;
  if (ramp !== undefined) {
    const leftMs = Math.max(0, ramp.everyMs - ramp.observedMs);
    const to = `${formatShare(ramp.nextShare)} (step ${ramp.step + 1} of ${ramp.of})`;
    return { to, isStep: true, atMs: judgedAtMs === null ? null : judgedAtMs + leftMs };
  }
  const next = stages[stages.findIndex(({ name }) => name === stage) + 1];
  const to = next?.name ?? 'the handover';
  if (verdict?.outcome !== 'pass' || judgedAtMs === null) return { to, atMs: null };
  return { to, atMs: judgedAtMs + Math.max(0, soak.requiredMs - soak.observedMs) };
}

/** An outlook in words, as of now. */
export function outlookText(
  { to, atMs, isStep }: Outlook,
  nowMs: number,
  leftText: (leftMs: number) => string,
): string {
  if (isStep === true) {
    const leftMs = atMs === null ? 0 : atMs - nowMs;
    const when = leftMs > 0 ? ` in ${leftText(leftMs)}` : '';
    return `Raises to ${to}${when} if the candidate is healthy and has room: nothing to do`;
  }
  if (atMs === null) return `Moves on to ${to} once the gate passes and the soak is over: nothing to do`;
  const leftMs = atMs - nowMs;
  const when =
    leftMs > 0 ? `in ${leftText(leftMs)} if the gate still passes` : 'now if the gate still passes';
  return `Moves on to ${to} ${when}: nothing to do`;
}
