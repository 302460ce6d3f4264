import { type EffectRun, isOpen } from '../effects/effect-run';
import { runsOf } from '../effects/effect-runs';
import { inOneSegment } from '../evidence/stage/stage-evidence';
import type { Baseline } from '../gates/verdict';
import { formatShare, judgedShare, type StagePlan, stageKind } from '../plan/plan';
import { formatDuration } from '../text/duration';
import { askForApproval, expireApproval, missingApproval, withdrawApproval } from './approval';
import { mayRollBackByItself, rollBackByItself } from './automatic-rollback';
import { checkpointCount } from './checkpoint';
import { askExternalGates, gatesWithoutYes, withdrawGateQuestions } from './external-gates';
import {
  follows,
  isHoldingBack,
  isRamping,
  type MigrationState,
  openApproval,
  promotedShare,
  stageAt,
} from './migration-state';
import { intend, record } from './routing-change';

/**
 * Law 2: the stage is left only on a pass, with its soak behind it, while nothing holds it. What follows is a
 * health check, then the change of routing; after the last stage, the handover.
 */
export function advanceIfDue(state: MigrationState, atMs: number): MigrationState {
  if (isRamping(state)) return stepIfDue(state, atMs);
  const stage = stageAt(state.plan, state.stageIndex);
  if (!hasPassed(state, stage) || state.stage.held !== null || isTooEarly(state, atMs)) return state;
  if (state.phase !== 'observing' || state.paused !== null || state.drift !== null) return state;
  if (state.promotion !== null || pendingEffects(state).length > 0) return state;
  const asks = missingApproval(state);
  if (asks.length > 0) return askForApproval(state, asks, atMs);
  const others = gatesWithoutYes(state);
  if (others.length > 0) return askExternalGates(state, others, atMs);
  const reason = state.stage.verdict?.sentence ?? '';
  return promote(state, { by: 'cutover', reason, commandId: null, atMs });
}

/**
 * The next step of a ramp takes no pass: the stage before has passed, and its share is what this stage was entered for.
 * It takes that the step was applied for its time, that the candidate answered something during it, and that nothing
 * holds the stage; a health check comes before it as before every raise.
 */
function stepIfDue(state: MigrationState, atMs: number): MigrationState {
  const { stage, plan, stageIndex, inEffect } = state;
  const { ramp } = stageAt(plan, stageIndex);
  const { verdict, held, observedMs } = stage;
  if (ramp === undefined || verdict === null || held !== null || observedMs < ramp.everyMs) return state;
  if (state.phase !== 'observing' || state.paused !== null || state.drift !== null) return state;
  if (state.promotion !== null || isTooEarly(state, atMs) || pendingEffects(state).length > 0) return state;
  if (!hasAnsweredInStep(state)) return state;
  const [share, next] = [inEffect?.record.share ?? 0, promotedShare(state, stageIndex)].map(formatShare);
  const reason = `${formatDuration(observedMs)} at ${share}: the next step is ${next}`;
  return promote(state, { by: 'cutover', reason, commandId: null, atMs });
}

/** Missing data is never a pass: a step without an answer of the candidate shows nothing of its room. */
function hasAnsweredInStep({ stage: { verdict, burnInRequests } }: MigrationState): boolean {
  return burnInRequests + (verdict?.requests.candidate ?? 0) > 0;
}

/** Effects of the current stage that are not done: it is not left before they are. */
function pendingEffects(state: MigrationState): readonly EffectRun[] {
  return runsOf(state).filter((run) => run.purpose === 'apply' && isOpen(run));
}

/** What a stage that has passed waits for, in words; null where there is nothing. */
export function waitsFor(state: MigrationState): string | null {
  if (state.paused !== null) return 'paused';
  const approval = openApproval(state);
  if (approval !== null) {
    return `waiting for an approval of checkpoint ${approval.checkpoint}: ${approval.asks.join('; ')}`;
  }
  if (state.stage.notBefore != null) return state.stage.notBefore.reason;
  if (isRamping(state)) return rampWaitsFor(state);
  if (state.stage.verdict?.outcome !== 'pass' || state.stage.held !== null) return null;
  const effects = pendingEffects(state).map(({ effect }) => effect.name);
  if (effects.length > 0) return `waiting for the effects ${effects.join(', ')}`;
  const others = runsOf(state).some((run) => run.purpose === 'confirm' && isOpen(run))
    ? gatesWithoutYes(state)
    : [];
  return others.length > 0 ? `waiting for ${others.join(', ')} to confirm the next stage` : null;
}

function rampWaitsFor(state: MigrationState): string | null {
  const { held, verdict, observedMs } = state.stage;
  const { ramp } = stageAt(state.plan, state.stageIndex);
  const last = state.checkpoints.at(-1);
  if (held === null && last?.kind === 'recorded' && last.what === 'health check failed') {
    return `the next step waits: ${last.reason}`;
  }
  const isOver = ramp !== undefined && verdict !== null && observedMs >= ramp.everyMs;
  if (held !== null || !isOver) return null;
  const effects = pendingEffects(state).map(({ effect }) => effect.name);
  if (effects.length > 0) return `the next step waits for the effects ${effects.join(', ')}`;
  return hasAnsweredInStep(state)
    ? null
    : 'the next step waits for traffic: the candidate has answered nothing in this one';
}

/** Takes back what was asked for a pass that no longer stands. */
export function takeBack(state: MigrationState, reason: string, atMs: number): MigrationState {
  return withdrawApproval(withdrawGateQuestions(state), reason, atMs);
}

/** Remembers when the current stage first passed. */
export function notePass(state: MigrationState, atMs: number): MigrationState {
  const { stage } = state;
  if (stage.passedAtMs != null || !hasPassed(state, stageAt(state.plan, state.stageIndex))) return state;
  return { ...state, stage: { ...stage, passedAtMs: atMs } };
}

/** Whether the plan's rollout hours keep the stage from being left now. */
function isTooEarly({ stage: { notBefore } }: MigrationState, atMs: number): boolean {
  return notBefore != null && atMs < notBefore.atMs;
}

function hasPassed(state: MigrationState, stage: StagePlan): boolean {
  const { verdict, observedMs } = state.stage;
  return verdict?.outcome === 'pass' && observedMs >= stage.soakMs && !isRamping(state);
}

/** Begins to leave the current stage, which `advanceIfDue` or `refusalOf` has found that it can be left. */
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
  const ramping = isRamping(state);
  const staysInStage = ramping || isHoldingBack(state);
  if (state.stageIndex + 1 === state.plan.stages.length && !staysInStage) {
    return record(
      { ...state, phase: 'handover' },
      { what: 'handover', by: order.by, reason: order.reason, commandId: order.commandId, atMs: order.atMs },
    );
  }
  // A step is within its stage; so is what was held back, once the stage has passed.
  const toIndex = staysInStage ? state.stageIndex : state.stageIndex + 1;
  const { by, reason, commandId, atMs } = order;
  const leaving = {
    ...state,
    retry: null,
    ...(ramping ? {} : { baseline: baselineOf(state, toIndex) }),
  };
  if (order.override === true) {
    return intend(leaving, {
      cause: ramping ? 'step' : 'advance',
      stageIndex: toIndex,
      ...(staysInStage ? { share: promotedShare(state, toIndex) } : {}),
      by,
      reason,
      commandId,
      atMs,
    });
  }
  const since = follows(state, 2) ? { since: checkpointCount(state) } : {};
  return { ...leaving, promotion: { toIndex, ...since, by, reason, commandId } };
}

/**
 * Legacy's numbers as the stage that is left saw them. Where the next one has no control arm, with all that it counted:
 * estimates are not known exactly, so a comparison with them has to know on how much they rest.
 */
function baselineOf(state: MigrationState, toIndex: number): Baseline | null {
  const baseline = state.stage.verdict?.baseline ?? state.baseline;
  const { evidence } = state.stage;
  const alone = judgedShare(stageAt(state.plan, toIndex)) === 1;
  if (!follows(state, 3) || baseline === null || !alone || evidence.judged.windows === 0) return baseline;
  return { ...baseline, before: inOneSegment(evidence) };
}

/** Law 3: at a stage's deadline the plan's default acts: first hold and tell, later roll back. */
export function applyDeadlines(state: MigrationState, atMs: number): MigrationState {
  if (state.phase !== 'observing' || state.promotion !== null) return state;
  const stage = stageAt(state.plan, state.stageIndex);
  const inStageMs = atMs - state.stage.enteredAtMs;
  const { holdMs } = stage.deadline;
  const rollbackMs = rollsBackAfterMs(state, stage);
  if (rollbackMs !== null && inStageMs >= rollbackMs) {
    const reason = `${stage.name} has not passed within ${formatDuration(rollbackMs)}`;
    return rollBackByItself(state, { what: 'deadline', reason, atMs });
  }
  if (inStageMs >= holdMs && mayBeHeld(state, stage)) {
    const reason = `${stage.name} has not passed within ${formatDuration(holdMs)}: ${state.stage.verdict?.sentence ?? 'not evaluated'}`;
    const told = record(state, { what: 'held', reason, atMs });
    return { ...told, stage: { ...told.stage, held: { atMs, reason } } };
  }
  return state;
}

/** Whether the hold of a stage is still to come; what has passed and lost its verdict to a health check is judged first. */
function mayBeHeld(state: MigrationState, stage: StagePlan): boolean {
  const { held, verdict, passedAtMs } = state.stage;
  if (held !== null || hasPassed(state, stage)) return false;
  return !(follows(state, 2) && passedAtMs != null && verdict === null);
}

/** How long after its entry a stage is rolled back; null where it is not: assess, and what has passed before. */
function rollsBackAfterMs(state: MigrationState, stage: StagePlan): number | null {
  if (stageKind(stage) === 'assess') return null;
  return follows(state, 2) && state.stage.passedAtMs != null ? null : stage.deadline.rollbackMs;
}

/** Does what has fallen due while other things happened: a deadline, an approval's expiry, the end of rollout hours. */
export function takeTurn(before: MigrationState, atMs: number): MigrationState {
  if (before.phase !== 'observing' || before.promotion !== null) return before;
  const state = expireApproval(follows(before, 2) ? applyDeadlines(before, atMs) : before, atMs);
  const { notBefore } = state.stage;
  if (state.phase !== 'observing' || notBefore == null || atMs < notBefore.atMs) return state;
  return advanceIfDue({ ...state, stage: { ...state.stage, notBefore: null } }, atMs);
}

/**
 * When something falls due in the current stage without an event: a deadline, an expiry, the next rollout hours.
 * Null where nothing does, and while a change of routing or a health check is under way: those come first.
 */
export function nextTurnMs(state: MigrationState): number | null {
  if (state.phase !== 'observing' || state.promotion !== null) return null;
  const turns = [
    nextDeadlineMs(state),
    state.stage.notBefore?.atMs ?? null,
    openApproval(state)?.expiresAtMs ?? null,
  ].filter((atMs) => atMs !== null);
  return turns.length === 0 ? null : Math.min(...turns);
}

/** When the next deadline of the current stage falls due; null when none is left. A stage that passed is not held. */
function nextDeadlineMs(state: MigrationState): number | null {
  return nextDeadline(state)?.atMs ?? null;
}

/** What the next deadline of the current stage does, and when. */
export function nextDeadline(
  state: MigrationState,
): { readonly atMs: number; readonly leadsTo: 'hold' | 'rollback' } | null {
  const stage = stageAt(state.plan, state.stageIndex);
  const { enteredAtMs } = state.stage;
  if (mayBeHeld(state, stage)) return { atMs: enteredAtMs + stage.deadline.holdMs, leadsTo: 'hold' };
  const rollbackMs = rollsBackAfterMs(state, stage);
  if (rollbackMs === null || !mayRollBackByItself(state)) return null;
  return { atMs: enteredAtMs + rollbackMs, leadsTo: 'rollback' };
}
