import { type EffectRun, isOpen } from './effect-run';
import { addRun, changeRun, runsOf, subjectOf } from './effect-runs';
import type { MigrationState } from './migration-state';
import { record } from './routing-change';

/** The gates by others that have not said yes to leaving the current stage since it last passed. */
export function unconfirmed(state: MigrationState): readonly string[] {
  const asked = asksOf(state);
  const names = state.plan.stages[state.stageIndex + 1]?.confirm ?? [];
  return names.filter(
    (name) => !asked.some(({ effect, answer }) => effect.name === name && answer === 'yes'),
  );
}

/** Asks every gate by others that has not been asked since the stage passed. */
export function askOthers(before: MigrationState, names: readonly string[], atMs: number): MigrationState {
  const asked = asksOf(before);
  const { share = 0 } = before.plan.stages[before.stageIndex + 1] ?? {};
  const reason = `may the share be raised to ${share}? ${before.stage.verdict?.sentence ?? ''}`;
  const facts = { by: 'cutover', reason, fromShare: before.inEffect?.record.share ?? 0, atMs };
  const open = names.filter((name) => !asked.some(({ effect }) => effect.name === name));
  if (open.length === 0) return before;
  const told = record(before, { what: 'confirmation asked', reason: open.join(', '), atMs });
  return open.reduce(
    (state, name) =>
      addRun(
        state,
        {
          purpose: 'confirm',
          effect: { name, set: {} },
          stageIndex: before.stageIndex + 1,
          about: subjectOf(told, 'approval asked', facts),
        },
        atMs,
      ),
    told,
  );
}

/** Takes questions and answers back: the stage that they were about has changed. */
export function withdrawConfirmations(before: MigrationState): MigrationState {
  return asksOf(before).reduce((state, { id }) => changeRun(state, id, { status: 'dropped' }), before);
}

function asksOf(state: MigrationState): readonly EffectRun[] {
  return runsOf(state).filter(
    (run) =>
      run.purpose === 'confirm' &&
      run.stageIndex === state.stageIndex + 1 &&
      run.createdAtMs >= state.stage.enteredAtMs &&
      (isOpen(run) || run.status === 'done'),
  );
}
