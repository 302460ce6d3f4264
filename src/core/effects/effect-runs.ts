import { checkpointCount } from '../migration/checkpoint';
import type { MigrationState } from '../migration/migration-state';
import { recordHash } from '../record/record-chain';
import type { EffectMoment, Json, PlannedEffect } from './effect';
import { type EffectRun, type EffectSubject, isOpen } from './effect-run';

/** What is kept of runs that are over; runs that a rollback may have to undo are kept all. */
const OVER_KEPT = 30;

/** The runs of a state, none where it is of a version that knew none. */
export function runsOf(state: Pick<MigrationState, 'effects'>): readonly EffectRun[] {
  return state.effects ?? [];
}

/** A run to be added. */
export interface NewRun {
  readonly purpose: EffectRun['purpose'];
  readonly effect: PlannedEffect;
  readonly stageIndex: number;
  readonly about: EffectSubject;
  readonly captured?: Json;
  readonly restores?: number;
}

/** The state with one more run. */
export function addRun(state: MigrationState, run: NewRun, atMs: number): MigrationState {
  const runs = runsOf(state);
  const id = (runs.at(-1)?.id ?? 0) + 1;
  const { purpose, effect, about } = run;
  const suffix =
    purpose === 'apply' ? '' : `:${purpose === 'notify' ? about.moment.replaceAll(' ', '-') : purpose}`;
  const added: EffectRun = {
    ...{ id, purpose, effect, about, stageIndex: run.stageIndex },
    // A stage that is entered again is another checkpoint; a restore bears the key of what it undoes.
    key: `${state.migrationId}:${about.checkpoint}:${effect.name}${suffix}`,
    status: 'waiting',
    captured: run.captured ?? null,
    restores: run.restores ?? null,
    ...{ answer: null, attempts: 0, lastError: null, createdAtMs: atMs, dueAtMs: atMs },
  };
  return { ...state, effects: pruned([...runs, added]) };
}

function pruned(runs: readonly EffectRun[]): readonly EffectRun[] {
  const over = runs.filter((run) => !isOpen(run) && (run.purpose !== 'apply' || isUndone(runs, run)));
  const gone = new Set(over.slice(0, Math.max(0, over.length - OVER_KEPT)));
  return runs.filter((run) => !gone.has(run));
}

function isUndone(runs: readonly EffectRun[], { id, status }: EffectRun): boolean {
  return status !== 'done' || runs.some((run) => run.restores === id && run.status === 'done');
}

/** The state with one run changed. */
export function changeRun(
  state: MigrationState,
  id: number,
  change: Partial<Omit<EffectRun, 'id'>>,
): MigrationState {
  return { ...state, effects: runsOf(state).map((run) => (run.id === id ? { ...run, ...change } : run)) };
}

/** The state for the next run, which asks open questions again, in all not for longer; `askedMs` by id of their runs. */
export function addQuestionTime(state: MigrationState, askedMs: ReadonlyMap<number, number>): MigrationState {
  return [...askedMs].reduce((carried, [id, ms]) => {
    const before = runsOf(carried).find((run) => run.id === id)?.askedMs ?? 0;
    return changeRun(carried, id, { askedMs: before + ms });
  }, state);
}

/** Attempts after which what is compensated before no longer holds up the rest. */
const PATIENT_ATTEMPTS = 3;

/**
 * The runs whose turn it is: for each target the first one, so that none overtakes another. Restores go one after
 * the other, the last effect first; one that keeps failing is passed by.
 */
export function dueRuns(state: MigrationState): readonly EffectRun[] {
  const open = runsOf(state).filter(isOpen);
  return open.filter((run, index) => {
    const before = open.slice(0, index);
    if (before.some(({ effect }) => effect.name === run.effect.name)) return false;
    return run.purpose !== 'restore' || !before.some(isAwaitedRestore);
  });
}

function isAwaitedRestore({ purpose, attempts }: EffectRun): boolean {
  return purpose === 'restore' && attempts < PATIENT_ATTEMPTS;
}

/** What a moment of the migration tells its targets. */
export function subjectOf(
  state: MigrationState,
  moment: EffectMoment,
  facts: { readonly by: string; readonly reason: string; readonly fromShare: number; readonly atMs: number },
): EffectSubject {
  const checkpoint = checkpointCount(state);
  return {
    route: state.plan.route,
    migrationId: state.migrationId,
    moment,
    stage: state.plan.stages[state.stageIndex]?.name ?? '',
    share: state.inEffect?.record.share ?? 0,
    epoch: state.inEffect?.record.epoch ?? 0,
    checkpoint,
    outcome: state.outcome,
    headHash: recordHash(state.migrationId, state.checkpoints, state.archived),
    ...facts,
  };
}
