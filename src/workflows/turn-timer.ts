import { condition } from '@temporalio/workflow';
import type { MigrationState } from '../core/migration/migration-state';
import { nextTurnMs } from '../core/migration/stage-exit';

/**
 * Time belongs to the workflow: deadlines, holds and expiries act when they fall due, also while an activity runs
 * that never ends. One timer serves all of them; it is set anew only when what is due next changes. Resolves when the
 * migration is closed.
 */
export async function takeTurns(
  current: () => MigrationState,
  apply: (event: { readonly type: 'time passed' }) => void,
): Promise<void> {
  let takenMs: number | null = null;
  while (current().phase !== 'closed') {
    const dueMs = nextTurnMs(current());
    const changed = () => current().phase === 'closed' || nextTurnMs(current()) !== dueMs;
    // A turn that changed nothing is not taken again.
    if (dueMs === null || dueMs === takenMs) await condition(changed);
    else if (!(await condition(changed, Math.max(1, dueMs - Date.now())))) {
      takenMs = dueMs;
      apply({ type: 'time passed' });
    }
  }
}
