import { verdictLine } from '../gates/verdict-text';
import { afterAcceptance } from '../identity/identity-audit';
import { formatShare, judgedShare } from '../plan/plan';
import { latchedGateways, withDrifts } from '../routing/drift';
import { amend } from './amendment/amendment';
import { amendmentRefusal } from './amendment/amendment-refusal';
import { approvalRefusal, grantApproval, missingApproval } from './approval';
import { checkpointCount, effectOf, routingEffectsOf } from './checkpoint';
import { askedBy, type BadMessage, badCommand, type Command, type CommandAnswer } from './command';
import { gatesWithoutYes } from './external-gates';
import { forget, forgetRefusal } from './gateway-roster';
import {
  follows,
  highestShareOut,
  type MigrationState,
  type Pause,
  rampStep,
  type SeenCommand,
  stageAt,
} from './migration-state';
import { close, covers, type EntryNote, intend, pauseBecause, record, rollBack } from './routing-change';
import { advanceIfDue, promote, takeBack } from './stage-exit';
import { newestWithin } from './state-bounds';

const SEEN_KEPT = 200;
const REFUSALS_KEPT = 20;

/**
 * Carries out a command, or records why not. A command that is repeated under its id changes nothing; an id that was
 * another command's is refused as a bad message. Law 1: what leads to share 0 is carried out all the same. The answer
 * for its sender is the last entry of `seen` or `refusals`.
 */
export function applyCommand(before: MigrationState, command: Command, atMs: number): MigrationState {
  if (repeatedUpdate(before, command) !== null) return before;
  const misuse = misusedId(before, command);
  const state = misuse === null ? before : withBadMessage(before, badCommand(command, misuse));
  if (misuse !== null && !leadsToLegacy(before, command)) return state;
  const refusal = refusalOf(state, command);
  if (refusal !== null) {
    const refused = {
      ...state,
      refusals: [...state.refusals, { name: command.name, by: command.by, message: refusal }].slice(
        -REFUSALS_KEPT,
      ),
    };
    return seen(refused, command, { accepted: false, message: refusal, checkpoint: null });
  }
  const next = carryOut(state, command, atMs);
  const appended = next.checkpoints.slice(state.checkpoints.length);
  const checkpoint =
    appended.at(-1)?.seq ?? (isRollback(command) ? (next.pending?.checkpoint ?? null) : null);
  return seen(next, command, {
    accepted: true,
    message: effectText(next, command, appended.length),
    checkpoint,
  });
}

/** Why a command cannot be carried out now; null when it can. Pure, so that an update's validator may ask it. */
export function refusalOf(state: MigrationState, command: Command): string | null {
  if (state.phase === 'closed') return `the migration is closed: ${state.outcome}`;
  switch (command.name) {
    case 'emergencyRollback':
      return null;
    case 'rollback':
      return rollbackRefusal(state, command);
    case 'pause':
      return state.phase === 'rolling back' ? 'a rollback is under way and cannot be paused' : null;
    case 'resume':
      return resumeRefusal(state, command.accept);
    case 'promote':
      return promoteRefusal(state, command);
    case 'reevaluate':
      return state.phase === 'observing' ? null : `nothing is judged while the migration is ${state.phase}`;
    case 'approve':
      return approvalRefusal(state, command);
    case 'forget':
      return forgetRefusal(state, command.gateway);
    case 'amend':
      return amendmentRefusal(state, command);
    case 'finish':
      return state.phase === 'handover'
        ? null
        : `expected the handover, got ${state.phase}: finish closes a migration whose complete stage has passed`;
    default:
      return command satisfies never;
  }
}

/** Where a rollback command leads: share 0 and final unless it names an earlier checkpoint above 0. */
function rollbackTarget(
  state: MigrationState,
  to: number | 'previous' | null,
): { readonly share: number; readonly stageIndex: number } | string {
  if (to === null) return { share: 0, stageIndex: 0 };
  if (to === 'previous') {
    const share = highestShareOut(state);
    const earlier = routingEffectsOf(state).findLast((effect) => effect.share < share);
    if (earlier === undefined) return { share: 0, stageIndex: 0 };
    return { share: earlier.share, stageIndex: indexOf(state, earlier.stage) };
  }
  if (to > checkpointCount(state)) {
    return `expected a checkpoint from 1 to ${checkpointCount(state)}, got ${to}`;
  }
  const effect = effectOf(state, to);
  if (effect === null) {
    return to > state.archived.count
      ? `checkpoint ${to} never took effect: a rollback goes to one that did`
      : `checkpoint ${to} is archived and cannot be a target: cutover status shows where a rollback can go`;
  }
  // What a raise that is under way asks for is not yet the current share.
  const current = state.inEffect?.record.share ?? 0;
  if (effect.share > current) {
    return `checkpoint ${to} has ${formatShare(effect.share)}, above the current ${formatShare(current)}: a rollback never raises the share`;
  }
  return { share: effect.share, stageIndex: indexOf(state, effect.stage) };
}

function rollbackRefusal(state: MigrationState, command: Command & { name: 'rollback' }): string | null {
  const target = rollbackTarget(state, command.to);
  if (typeof target === 'string') return target;
  const latched = latchedGateways(state);
  if (target.share > 0 && latched.length > 0 && follows(state, 2)) {
    return `the kill switch of ${latched.join(', ')} is set: nothing above 0% is applied before cutover kill --clear`;
  }
  const running = state.pending?.rollback ?? null;
  if (target.share > 0 && running?.emergency === true) return 'after an emergency only share 0 is accepted';
  if (running !== null && running.share < target.share) {
    return `a rollback to ${formatShare(running.share)} is under way: the lower share wins`;
  }
  return null;
}

function resumeRefusal(state: MigrationState, accept: 'reapply' | null): string | null {
  const latched = latchedGateways(state);
  if (latched.length > 0) {
    return `the kill switch of ${latched.join(', ')} is set: only cutover kill --clear clears it`;
  }
  const drifted = isDrifted(state);
  if (drifted && accept === null) {
    return 'the routing was changed by someone else: resume with accept "reapply" to apply ours under a new epoch';
  }
  const settled = state.phase === 'observing' || state.phase === 'handover';
  if (accept === 'reapply' && !settled) {
    return `a change of routing is under way (${state.phase}): resume when it has settled`;
  }
  if (state.paused === null) {
    return state.stage.held === null
      ? 'the migration is not paused'
      : 'the migration is not paused but held at its deadline: reevaluate or promote it';
  }
  return null;
}

function promoteRefusal(state: MigrationState, command: Command & { name: 'promote' }): string | null {
  const stage = stageAt(state.plan, state.stageIndex);
  if (command.stage !== stage.name)
    return `expected the current stage "${stage.name}", got "${command.stage}"`;
  if (state.phase !== 'observing') return `the migration is ${state.phase}: there is no stage to leave`;
  if (state.promotion !== null) return 'a promotion is already under way';
  if (state.drift !== null)
    return `drift at ${state.drift.gateway} comes first: resume with accept "reapply"`;
  if (command.override) {
    const effect = command.checkpoint === null ? null : effectOf(state, command.checkpoint);
    return effect !== null && effect.closes === state.inEffect?.checkpoint
      ? null
      : `expected the checkpoint in effect (${state.inEffect?.checkpoint ?? 'none'}), got ${command.checkpoint}: look again before you override`;
  }
  if (state.paused !== null) return 'the migration is paused: resume it first';
  const step = rampStep(state);
  if (step !== null) {
    return `${stage.name} is at step ${step.step} of ${step.of} of its ramp, and is judged at ${formatShare(judgedShare(stage))}: wait for it; an override takes the next step, ${formatShare(step.next ?? stage.share)}, now`;
  }
  const { verdict } = state.stage;
  if (verdict === null) return 'expected a pass, got not evaluated: no window has ended yet';
  if (verdict.outcome !== 'pass') return `expected a pass, got ${verdictLine(verdict, false)}`;
  const asks = missingApproval(state);
  if (asks.length > 0) {
    return `an approval comes first (${asks.join('; ')}): approve, or override`;
  }
  const others = gatesWithoutYes(state);
  if (others.length > 0) return `${others.join(', ')} must confirm first: wait for it, or override`;
  return null;
}

function carryOut(state: MigrationState, command: Command, atMs: number): MigrationState {
  const { by, reason, commandId } = command;
  const note = { by, reason, commandId, atMs };
  switch (command.name) {
    case 'emergencyRollback':
      return rollBack(state, { share: 0, final: true, emergency: true, ...note });
    case 'rollback': {
      const target = rollbackTarget(state, command.to);
      if (typeof target === 'string') return state;
      return rollBack(state, { ...target, final: target.share === 0, emergency: false, ...note });
    }
    case 'pause':
      if (state.paused !== null) return state;
      return pauseBecause(record(state, { what: 'paused', ...note }), {
        atMs,
        by,
        reason,
        cause: 'operator',
      });
    case 'resume':
      return resume(state, command.accept === 'reapply', note);
    case 'promote': {
      const told = record(state, { what: command.override ? 'override' : 'promoted', ...note });
      const why = reason === '' ? (state.stage.verdict?.sentence ?? '') : reason;
      return promote(told, { ...note, reason: why, override: command.override });
    }
    case 'reevaluate': {
      const told = takeBack(record(state, { what: 'reevaluate', ...note }), 'judged again', atMs);
      return { ...told, retry: null, promotion: null, stage: { ...told.stage, reevaluating: true } };
    }
    case 'approve':
      return advanceIfDue(grantApproval(state, note), atMs);
    case 'forget':
      return forget(state, command, atMs);
    case 'amend':
      return amend(state, command, note);
    case 'finish':
      return close(state, 'completed', `finished by ${by}: ${reason}`, atMs);
    default:
      return command satisfies never;
  }
}

function isDrifted(state: MigrationState): boolean {
  return state.drift !== null || state.paused?.cause === 'drift';
}

/** Goes on; with `reapply` under a new epoch, so that whatever is out there is ours again (law 9). */
function resume(state: MigrationState, reapply: boolean, note: EntryNote): MigrationState {
  const resumed: MigrationState = {
    ...record(state, { what: 'resumed', ...note }),
    paused: null,
    lapses: [],
    retry: null,
  };
  if (!reapply) return advanceIfDue(withPauseAccepted(resumed, state.paused?.cause), note.atMs);
  return intend(withDrifts(resumed, []), {
    cause: 'reapply',
    stageIndex: state.stageIndex,
    ...(state.inEffect === null ? {} : { share: state.inEffect.record.share }),
    by: note.by,
    reason: note.reason,
    commandId: note.commandId,
    atMs: note.atMs,
  });
}

/**
 * An operator who resumes has seen what paused the stage: the same counts must not pause it again at once. Under a new
 * epoch all evidence is fresh anyway.
 */
function withPauseAccepted(state: MigrationState, cause: Pause['cause'] | undefined): MigrationState {
  if (cause === 'served model' && state.servedModel !== undefined) {
    // A watch that was under way is pre-empted by the resume: the next one begins from here.
    return { ...state, servedModel: afterAcceptance(state.servedModel) };
  }
  const isAccepted = cause === 'candidate closed' || cause === 'sample ratio' || cause === 'outcome reports';
  if (!follows(state, 3) || !isAccepted) return state;
  return { ...state, stage: { ...state.stage, accepted: cause } };
}

function seen(state: MigrationState, command: Command, answer: CommandAnswer): MigrationState {
  const { commandId, name } = command;
  if (commandId === null) return state;
  const revised = follows(state, 2);
  const others = state.seen.filter(
    (earlier) => earlier.commandId !== commandId || (!revised && earlier.name !== name),
  );
  const entry = { commandId, ...(revised ? { asked: askedBy(command) } : {}), name, ...answer };
  return { ...state, seen: [...others, entry].slice(-SEEN_KEPT) };
}

/** Why an id cannot be used again; null when it is new, or repeats what it was used for. */
function misusedId(state: MigrationState, command: Command): string | null {
  if (!follows(state, 2)) return null;
  const before = state.seen.find(({ commandId }) => commandId === command.commandId);
  if (before === undefined || isSame(before, command)) return null;
  return `expected a new commandId, got ${JSON.stringify(command.commandId)}, which was used for ${before.asked ?? before.name}`;
}

function isSame({ name, asked }: SeenCommand, command: Command): boolean {
  return name === command.name && (asked === undefined || asked === askedBy(command));
}

function leadsToLegacy(state: MigrationState, command: Command): boolean {
  if (command.name === 'emergencyRollback') return true;
  if (command.name !== 'rollback') return false;
  const target = rollbackTarget(state, command.to);
  return typeof target !== 'string' && target.share === 0;
}

const BAD_MESSAGES_KEPT = 20;
const BAD_MESSAGES_BYTES = 8_000;

/** Counts a message that is no command and keeps the last 20. */
export function withBadMessage(state: MigrationState, bad: BadMessage): MigrationState {
  const { count, last } = state.badMessages;
  const kept = newestWithin([...last, bad].slice(-BAD_MESSAGES_KEPT), BAD_MESSAGES_BYTES);
  return { ...state, badMessages: { count: count + 1, last: kept } };
}

function effectText(state: MigrationState, command: Command, appended: number): string {
  if (isRollback(command)) {
    const share = formatShare(state.pending?.record.share ?? 0);
    return appended === 0 ? `a rollback to ${share} is already under way` : `rolling back to ${share}`;
  }
  return appended === 0 ? 'already paused' : `${command.name} accepted`;
}

function isRollback(command: Command): boolean {
  return command.name === 'rollback' || command.name === 'emergencyRollback';
}

function indexOf(state: MigrationState, stage: string): number {
  return state.plan.stages.findIndex(({ name }) => name === stage);
}

/** Why an update is refused at the door: like `refusalOf`, and a second pending command of the same name. */
export function updateRefusal(state: MigrationState, command: Command): string | null {
  if (repeatedUpdate(state, command) !== null) return null;
  const misuse = misusedId(state, command);
  if (misuse !== null && !leadsToLegacy(state, command)) return misuse;
  const refusal = refusalOf(state, command);
  if (refusal !== null) return refusal;
  const running = state.pending?.rollback ?? null;
  if (running === null || !isRollback(command)) return null;
  const target =
    command.name === 'rollback' ? rollbackTarget(state, command.to) : { share: 0, stageIndex: 0 };
  if (typeof target === 'string') return target;
  const emergency = command.name === 'emergencyRollback';
  return covers(running, { share: target.share, emergency })
    ? `a rollback to ${formatShare(running.share)} is already under way: follow checkpoint ${state.pending?.checkpoint}`
    : null;
}

/** What was answered to this command id before; null when it is new. */
export function repeatedUpdate(state: MigrationState, command: Command): CommandAnswer | null {
  const before = state.seen.find(
    (earlier) =>
      earlier.commandId === command.commandId &&
      isSame(earlier, command) &&
      // Law 1: a rollback that was refused before may be acceptable now, and is never dropped for its id.
      (earlier.accepted || !isRollback(command)),
  );
  if (before === undefined) return null;
  return { accepted: before.accepted, message: before.message, checkpoint: before.checkpoint };
}
