import type { PlanChange } from '../../plan/plan-change';
import { type MigrationState, type StageProgress, stageAt } from '../migration-state';
import { intend } from '../routing-change';

/** What a stage that copies may cost, with its judge: gateways hear of another limit under another epoch. */
export const LIMITS: readonly string[] = ['maxCostUsd', 'judge.maxCostUsd'];

/** A limit that is spent already would hold the stage at once, and what was spent cannot be taken back. */
export function limitRefusal(
  { copiesUsd = 0, judgeUsd = 0 }: MigrationState,
  { path, to }: PlanChange,
): string | null {
  const spentUsd = path === 'maxCostUsd' ? copiesUsd : judgeUsd;
  return typeof to === 'number' && to > spentUsd
    ? null
    : `expected more than the $${spentUsd} that were spent already`;
}

/**
 * Has gateways hear of a limit that was amended. What was counted under an epoch is read with its window, and the next epoch
 * begins at nothing: so only when a window has ended, or where none is under way because everything is spent.
 */
export function withNewBudget(state: MigrationState, atMs: number): MigrationState {
  const isOpen = state.phase === 'observing' && state.pending === null && state.promotion === null;
  if (!isOpen || state.stage.newBudget === undefined || state.drift !== null) return state;
  const { maxCostUsd, judge } = stageAt(state.plan, state.stageIndex);
  const judged = judge === undefined ? '' : `, and their judge up to $${judge.maxCostUsd}`;
  const reason = `the plan was amended: copies may cost up to $${maxCostUsd}${judged}`;
  const { stageIndex } = state;
  return intend(state, { cause: 'budget', stageIndex, by: 'cutover', reason, commandId: null, atMs });
}

/** Copies go on as before, so that pairs of both epochs compare the same: what was counted stays, and so does the entry. */
export function underNewBudget(
  { stage: { newBudget: _, ...stage } }: Pick<MigrationState, 'stage'>,
  epoch: number,
): StageProgress {
  return { ...stage, evidence: { ...stage.evidence, epoch }, cursors: {} };
}
