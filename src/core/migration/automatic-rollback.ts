import { isAnswering } from '../assessment/probe-streak';
import { stageKind } from '../plan/plan';
import { follows, type MigrationState, stageAt } from './migration-state';
import { record, rollBackToLegacy } from './routing-change';

const OBSTACLE = "not rolled back by itself: legacy's probes do not pass";

/** Law 3: where all traffic is at the candidate, only a legacy whose probes pass is a place to go back to unasked. */
export function mayRollBackByItself(state: MigrationState): boolean {
  if (!follows(state, 2)) return true;
  return stageKind(stageAt(state.plan, state.stageIndex)) !== 'complete' || isAnswering(state.probes.legacy);
}

/** Rolls back because of what happened; where that would move traffic to a dead legacy it holds the stage and says so. */
export function rollBackByItself(
  state: MigrationState,
  why: { readonly what?: 'harm' | 'deadline'; readonly reason: string; readonly atMs: number },
): MigrationState {
  const { what, reason, atMs } = why;
  if (mayRollBackByItself(state)) {
    const told = what === undefined ? state : record(state, { what, reason, atMs });
    return rollBackToLegacy(told, { reason, atMs });
  }
  if (state.stage.held?.reason.endsWith(OBSTACLE)) return state;
  const held = { atMs, reason: `${reason}; ${OBSTACLE}` };
  const told = record(state, { what: 'held', ...held });
  return { ...told, stage: { ...told.stage, held } };
}
