import {
  type Checkpoint,
  type CheckpointList,
  checkpointAt,
  type RecordedCheckpoint,
} from '../migration/checkpoint';
import { type MigrationState, stageAt } from '../migration/migration-state';
import { record } from '../migration/routing-change';
import { type EffectMoment, effectsOf } from './effect';
import { isOpen } from './effect-run';
import { addRun, changeRun, runsOf, subjectOf } from './effect-runs';

/**
 * Adds what a transition asks of the world: the effects of a stage that was entered, the compensation of what a
 * rollback leaves behind, and a notification for whoever wants to know. Routing always goes first.
 */
export function planEffects(before: MigrationState, after: MigrationState, atMs: number): MigrationState {
  let state = after;
  if (routingWentBack(before, after)) state = compensate(state, atMs);
  const appended = after.checkpoints.slice(before.checkpoints.length);
  for (const entry of appended) {
    const moment = momentOf(after, entry);
    if (moment === null) continue;
    const fromShare = before.inEffect?.record.share ?? 0;
    // What was held back moves within its stage, whose effects are done.
    const entered = moment === 'stage entered' && before.stageIndex !== after.stageIndex;
    if (entered) state = applyStageEffects(state, fromShare, atMs);
    state = notify(state, moment, { ...saidBy(after, entry), fromShare }, atMs);
  }
  return state;
}

/** Whether a rollback's first push has been answered just now. */
function routingWentBack(before: MigrationState, after: MigrationState): boolean {
  const rolling = before.pending;
  if (rolling === null || rolling.rollback === null || rolling.confirmations !== null) return false;
  const { pending } = after;
  return pending === null || (pending.checkpoint === rolling.checkpoint && pending.confirmations !== null);
}

/** Undoes, last first, the effects of every stage above the one that is gone back to. */
function compensate(before: MigrationState, atMs: number): MigrationState {
  const target = before.pending?.stageIndex ?? before.stageIndex;
  const left = runsOf(before).filter(
    ({ purpose, stageIndex }) => purpose !== 'restore' && purpose !== 'notify' && stageIndex > target,
  );
  let state = before;
  for (const run of [...left].reverse()) {
    // Nothing was touched before the state was captured.
    if (isOpen(run)) state = changeRun(state, run.id, { status: 'dropped' });
    const touched = run.purpose === 'apply' && (run.status === 'captured' || run.status === 'done');
    const undone = runsOf(state).some(({ restores }) => restores === run.id);
    if (!touched || undone) continue;
    const facts = { by: 'cutover', reason: 'rollback', fromShare: run.about.share, atMs };
    state = record(state, {
      what: 'effect intended',
      reason: `put ${run.effect.name} back as it was before ${run.about.stage}`,
      atMs,
    });
    state = addRun(
      state,
      {
        purpose: 'restore',
        effect: run.effect,
        stageIndex: run.stageIndex,
        about: subjectOf(state, 'rolled back', facts),
        captured: run.captured,
        restores: run.id,
      },
      atMs,
    );
  }
  return state;
}

function applyStageEffects(before: MigrationState, fromShare: number, atMs: number): MigrationState {
  const { stageIndex } = before;
  const stage = stageAt(before.plan, stageIndex);
  return effectsOf(stage).reduce((seen, effect) => {
    const told = record(seen, { what: 'effect intended', reason: `${effect.name} for ${stage.name}`, atMs });
    const about = subjectOf(told, 'stage entered', { by: 'cutover', reason: '', fromShare, atMs });
    return addRun(told, { purpose: 'apply', effect, stageIndex, about }, atMs);
  }, before);
}

function notify(
  before: MigrationState,
  moment: EffectMoment,
  facts: { readonly by: string; readonly reason: string; readonly fromShare: number },
  atMs: number,
): MigrationState {
  const told = (before.plan.notify ?? []).filter(({ moments }) => moments?.includes(moment) ?? true);
  if (told.length === 0) return before;
  const about = subjectOf(before, moment, { ...facts, atMs });
  return told.reduce(
    (state, { name }) =>
      addRun(
        state,
        { purpose: 'notify', effect: { name, set: {} }, stageIndex: before.stageIndex, about },
        atMs,
      ),
    before,
  );
}

const TOLD: Partial<Record<RecordedCheckpoint['what'], EffectMoment>> = {
  completed: 'completed',
  rejected: 'rejected',
  held: 'held',
  paused: 'paused',
  drift: 'drift',
  'approval asked': 'approval asked',
  'approval expired': 'held',
  'not confirmed': 'held',
  'effect escalated': 'escalated',
};

function momentOf(list: CheckpointList, entry: Checkpoint): EffectMoment | null {
  if (entry.kind === 'recorded') return TOLD[entry.what] ?? null;
  if (entry.kind !== 'took effect') return null;
  const intended = checkpointAt(list, entry.closes);
  if (intended?.kind !== 'intended') return null;
  if (intended.cause === 'advance') return 'stage entered';
  return intended.cause === 'rollback' || intended.cause === 'emergency' ? 'rolled back' : null;
}

function saidBy(list: CheckpointList, entry: Checkpoint): { readonly by: string; readonly reason: string } {
  const said = entry.kind === 'took effect' ? checkpointAt(list, entry.closes) : entry;
  return said !== undefined && 'by' in said
    ? { by: said.by, reason: said.reason }
    : { by: 'cutover', reason: '' };
}
