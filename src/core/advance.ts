import { formatDuration } from './duration';
import { type MigrationState, stageAt } from './migration-state';
import { type StagePlan, stageKind } from './plan';
import { intend, record, rollBack } from './routing-change';

/**
 * Law 2: the stage is left only on a pass, with its soak behind it, while nothing holds it. What follows is a
 * health check, then the change of routing; after the last stage, the handover.
 */
export function advanceIfDue(state: MigrationState, atMs: number): MigrationState {
  const stage = stageAt(state.plan, state.stageIndex);
  if (!hasPassed(state, stage) || state.stage.held !== null) return state;
  const reason = state.stage.verdict?.sentence ?? '';
  return promote(state, { by: 'cutover', reason, commandId: null, atMs });
}

function hasPassed({ stage: { verdict, observedMs } }: MigrationState, stage: StagePlan): boolean {
  return verdict?.outcome === 'pass' && observedMs >= stage.soakMs;
}

/** Begins to leave the current stage, when it can be left at all at this moment. */
export function promote(
  state: MigrationState,
  order: {
    readonly by: string;
    readonly reason: string;
    readonly commandId: string | null;
    readonly atMs: number;
    readonly override?: boolean;
  },
): MigrationState {
  if (state.phase !== 'observing' || state.promotion !== null || state.drift !== null) return state;
  if (state.paused !== null && order.override !== true) return state;
  if (state.stageIndex + 1 === state.plan.stages.length) {
    return record(
      { ...state, phase: 'handover' },
      { what: 'handover', by: order.by, reason: order.reason, commandId: order.commandId, atMs: order.atMs },
    );
  }
  const toIndex = state.stageIndex + 1;
  const { by, reason, commandId, atMs } = order;
  const leaving = { ...state, retry: null, baseline: state.stage.verdict?.baseline ?? state.baseline };
  if (order.override === true) {
    return intend(leaving, {
      cause: 'advance',
      stageIndex: toIndex,
      by,
      reason,
      commandId,
      leaseConfirms: true,
      atMs,
    });
  }
  return { ...leaving, promotion: { toIndex, by, reason, commandId } };
}

/** Law 3: at a stage's deadline the plan's default acts: first hold and tell, later roll back. */
export function applyDeadlines(state: MigrationState, atMs: number): MigrationState {
  if (state.phase !== 'observing' || state.promotion !== null) return state;
  const stage = stageAt(state.plan, state.stageIndex);
  const inStageMs = atMs - state.stage.enteredAtMs;
  const { holdMs, rollbackMs } = stage.deadline;
  if (rollbackMs !== null && inStageMs >= rollbackMs && stageKind(stage) !== 'assess') {
    const reason = `${stage.name} has not passed within ${formatDuration(rollbackMs)}`;
    return rollBack(record(state, { what: 'deadline', reason, atMs }), {
      share: 0,
      final: true,
      emergency: false,
      by: 'cutover',
      reason,
      commandId: null,
      atMs,
    });
  }
  if (inStageMs >= holdMs && state.stage.held === null && !hasPassed(state, stage)) {
    const reason = `${stage.name} has not passed within ${formatDuration(holdMs)}: ${state.stage.verdict?.sentence ?? 'not evaluated'}`;
    const told = record(state, { what: 'held', reason, atMs });
    return { ...told, stage: { ...told.stage, held: { atMs, reason } } };
  }
  return state;
}

/** When the next deadline of the current stage falls due; null when none is left. A stage that passed is not held. */
export function nextDeadlineMs(state: MigrationState, stage: StagePlan): number | null {
  const { enteredAtMs, held } = state.stage;
  if (held === null && !hasPassed(state, stage)) return enteredAtMs + stage.deadline.holdMs;
  const { rollbackMs } = stage.deadline;
  return rollbackMs === null || stageKind(stage) === 'assess' ? null : enteredAtMs + rollbackMs;
}
