import { type EffectRun, isOpen } from '../effects/effect-run';
import { addRun, changeRun, runsOf, subjectOf } from '../effects/effect-runs';
import { follows, type MigrationState } from './migration-state';
import { record } from './routing-change';

/** The external gates that have not said yes to leaving the current stage since it last passed. */
export function gatesWithoutYes(state: MigrationState): readonly string[] {
  const asked = asksOf(state);
  const names = state.plan.stages[state.stageIndex + 1]?.confirm ?? [];
  return names.filter(
    (name) => !asked.some(({ effect, answer }) => effect.name === name && answer === 'yes'),
  );
}

/** Asks external gates, all at once, where none has been asked since the stage passed. */
export function askExternalGates(
  before: MigrationState,
  names: readonly string[],
  atMs: number,
): MigrationState {
  if (asksOf(before).length > 0) return before;
  const { share = 0 } = before.plan.stages[before.stageIndex + 1] ?? {};
  const reason = `may the share be raised to ${share}? ${before.stage.verdict?.sentence ?? ''}`;
  const facts = { by: 'cutover', reason, fromShare: before.inEffect?.record.share ?? 0, atMs };
  const told = record(before, { what: 'confirmation asked', reason: names.join(', '), atMs });
  return names.reduce(
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
export function withdrawGateQuestions(before: MigrationState): MigrationState {
  return asksOf(before).reduce((state, { id }) => changeRun(state, id, { status: 'dropped' }), before);
}

function asksOf(state: MigrationState): readonly EffectRun[] {
  return runsOf(state).filter(
    (run) =>
      run.purpose === 'confirm' &&
      run.stageIndex === state.stageIndex + 1 &&
      isOfThisEntry(state, run) &&
      (isOpen(run) || run.status === 'done'),
  );
}

/** Each entry of a stage has an epoch of its own, which a question bears. */
function isOfThisEntry(state: MigrationState, run: EffectRun): boolean {
  return follows(state, 2)
    ? run.about.epoch === state.inEffect?.record.epoch
    : run.createdAtMs >= state.stage.enteredAtMs;
}

/** Takes back every open question that is not about leaving the stage as it is now: its answer would decide nothing. */
export function dropStaleGateQuestions(before: MigrationState): MigrationState {
  if (!follows(before, 2)) return before;
  const { phase, stageIndex } = before;
  return runsOf(before)
    .filter((run) => run.purpose === 'confirm' && isOpen(run))
    .filter(
      (run) => phase !== 'observing' || run.stageIndex !== stageIndex + 1 || !isOfThisEntry(before, run),
    )
    .reduce((state, { id }) => changeRun(state, id, { status: 'dropped' }), before);
}
