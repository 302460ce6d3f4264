import type { JudgePlan } from '../plan/judge/judge-plan';
import { formatShare, type StagePlan } from '../plan/plan';
import type { JudgeOrder } from '../routing/judge-order';
import { highestOf, type RoutingRecord } from '../routing/routing';
import { append, checkpointCount, openIntent, type RecordedWhat, type RoutingCause } from './checkpoint';
import {
  type Drift,
  entryShare,
  follows,
  type MigrationState,
  type Outcome,
  type Pause,
  type PendingRouting,
  type RollbackRequest,
  stageAt,
  UNKNOWN_HOLDING,
} from './migration-state';

/** A change of routing to write ahead. */
export interface Intention {
  readonly cause: RoutingCause;
  readonly stageIndex: number;
  readonly by: string;
  readonly reason: string;
  readonly commandId: string | null;
  readonly inFlight?: 'drain' | 'cut';
  readonly rollback?: RollbackRequest;
  /** The share to apply; the one at which the stage is entered when absent. */
  readonly share?: number;
  readonly pauseOnEntry?: boolean;
  readonly atMs: number;
}

/** Writes the intended checkpoint under a new epoch and makes it pending; an open one is superseded first. */
export function intend(state: MigrationState, intention: Intention): MigrationState {
  const { atMs, stageIndex, rollback = null } = intention;
  const stage = stageAt(state.plan, stageIndex);
  const share = rollback?.share ?? intention.share ?? entryShare(state, stageIndex);
  const epoch = state.epoch + 1;
  const direction = rollback !== null || share === 0 || share < state.mayHold.share ? 'lower' : 'raise';
  const superseded = supersede(state, `${intention.cause} under epoch ${epoch}`, atMs);
  const checkpoints = append(superseded, {
    kind: 'intended',
    atMs,
    cause: intention.cause,
    stage: stage.name,
    share,
    epoch,
    by: intention.by,
    reason: intention.reason,
    commandId: intention.commandId,
  });
  const wanted: RoutingRecord = {
    migrationId: state.migrationId,
    stage: stage.name,
    epoch,
    share,
    salt: state.salt,
    stickyKey: state.stickyKey,
    leaseMs: state.plan.leaseMs,
    pinned: share === 1,
    newConversationsOnly: state.newConversationsOnly,
    // A rollback to legacy sends the candidate no copies either.
    shadow: rollback?.final === true ? 0 : (stage.mirror ?? state.shadow),
    ...(share === 0 || stage.only === undefined ? {} : { only: stage.only }),
    ...(rollback?.final === true || stage.mirror === undefined ? {} : { shadowUsd: shadowUsd(state, stage) }),
    ...(rollback?.final === true || stage.judge === undefined
      ? {}
      : { judge: judgeOrder(state, stage.judge) }),
  };
  const pending: PendingRouting = {
    checkpoint: checkpointCount({ ...superseded, checkpoints }),
    cause: intention.cause,
    record: wanted,
    stageIndex,
    direction,
    inFlight: intention.inFlight ?? 'drain',
    leaseConfirms: direction === 'lower' && !state.mayHold.pinned,
    confirmations: null,
    rollback,
    pauseOnEntry: intention.pauseOnEntry ?? false,
    ...(rollback !== null && hasMovedNothing(state) ? { sparesSettled: true } : {}),
  };
  return {
    ...superseded,
    checkpoints,
    epoch,
    pending,
    mayHold: {
      share: Math.max(state.mayHold.share, share),
      pinned: state.mayHold.pinned || wanted.pinned,
    },
    promotion: null,
    approval: null,
    retry: null,
    phase: rollback === null ? 'applying' : 'rolling back',
  };
}

/** What each gateway may spend on copies: an equal part of what is left. */
function shadowUsd({ copiesUsd = 0, roster }: MigrationState, { maxCostUsd = 0 }: StagePlan): number {
  return gatewayPart(maxCostUsd - copiesUsd, roster.length);
}

function judgeOrder(
  { judgeUsd = 0, roster }: MigrationState,
  { provider, model, rubric, sample, maxCostUsd }: JudgePlan,
): JudgeOrder {
  const usd = gatewayPart(maxCostUsd - judgeUsd, roster.length);
  return { provider, model, ...(rubric === undefined ? {} : { rubric }), sample, usd };
}

/** An equal part of what is left for each gateway, in whole millionths of a dollar. */
function gatewayPart(leftUsd: number, gateways: number): number {
  return Math.floor((Math.max(0, leftUsd) / Math.max(1, gateways)) * 1e6) / 1e6;
}

/** Whether the gateways were not even read: what they serve is not this migration's, and nobody asked to move it. */
function hasMovedNothing(state: MigrationState): boolean {
  if (state.moveBack === true || !follows(state, 3)) return false;
  return state.phase === 'reading' || state.pending?.sparesSettled === true;
}

/** A rollback as asked for by a person, a gate, a deadline or a cancellation. */
export interface RollbackIntention extends RollbackRequest {
  readonly stageIndex?: number;
  readonly by: string;
  readonly reason: string;
  readonly commandId: string | null;
  readonly atMs: number;
}

/**
 * Law 1: rollback pre-empts everything. Whatever is pending is superseded; what already rolls back at least as
 * far, as hard, goes on, without waiting for a retry.
 */
export function rollBack(state: MigrationState, wanted: RollbackIntention): MigrationState {
  const running = state.pending?.rollback ?? null;
  if (running !== null && covers(running, wanted)) return { ...state, retry: null };
  return intend(state, {
    cause: wanted.emergency ? 'emergency' : 'rollback',
    stageIndex: wanted.stageIndex ?? 0,
    by: wanted.by,
    reason: wanted.reason,
    commandId: wanted.commandId,
    inFlight: wanted.emergency ? 'cut' : 'drain',
    rollback: { share: wanted.share, emergency: wanted.emergency, final: wanted.final },
    pauseOnEntry: !wanted.final,
    atMs: wanted.atMs,
  });
}

/** Back to legacy for good because of what happened, not because a person asked. */
export function rollBackToLegacy(
  state: MigrationState,
  why: { readonly reason: string; readonly atMs: number; readonly by?: string },
): MigrationState {
  return rollBack(state, {
    share: 0,
    final: true,
    emergency: false,
    by: why.by ?? 'cutover',
    reason: why.reason,
    commandId: null,
    atMs: why.atMs,
  });
}

/** Whether a running rollback already does all that another one asks for. */
export function covers(running: RollbackRequest, wanted: Omit<RollbackRequest, 'final'>): boolean {
  if (running.emergency) return true;
  if (wanted.emergency) return false;
  return running.share <= wanted.share;
}

/** What drift says about what gateways may hold and about the epochs that are taken. */
export function noteDrift(state: MigrationState, drift: Drift): MigrationState {
  return {
    ...state,
    epoch: highestOf(state.epoch, drift.epoch),
    mayHold: drift.kind === 'kill latch' ? state.mayHold : UNKNOWN_HOLDING,
  };
}

/**
 * Law 9: drift pauses the migration, is shown, and is neither overwritten nor adopted. It replaces another pause,
 * because going on then takes more than what that one asked for.
 */
export function pauseForDrift(state: MigrationState, drift: Drift, atMs: number): MigrationState {
  const reason = `${drift.gateway}: ${drift.detail}`;
  return pauseBecause(record(state, { what: 'drift', reason, atMs }), {
    atMs,
    by: 'cutover',
    reason,
    cause: 'drift',
  });
}

/** Stops advancing, also where a promotion waits for its health check; watching goes on (law 4). */
export function pauseBecause(state: MigrationState, paused: Pause): MigrationState {
  return { ...state, promotion: null, paused };
}

/** Who asked for what an entry records, why, and by which command. */
export interface EntryNote {
  readonly by: string;
  readonly reason: string;
  readonly commandId: string | null;
  readonly atMs: number;
}

/** Appends an entry that changes no routing. */
export function record(
  state: MigrationState,
  entry: Pick<EntryNote, 'reason' | 'atMs'> & Partial<EntryNote> & { readonly what: RecordedWhat },
): MigrationState {
  return {
    ...state,
    checkpoints: append(state, {
      kind: 'recorded',
      atMs: entry.atMs,
      what: entry.what,
      stage: stageAt(state.plan, state.stageIndex).name,
      by: entry.by ?? 'cutover',
      reason: entry.reason,
      commandId: entry.commandId ?? null,
    }),
  };
}

/** Ends the migration; nothing changes it afterwards. */
export function close(state: MigrationState, outcome: Outcome, reason: string, atMs: number): MigrationState {
  return {
    ...record(state, { what: outcome, reason, atMs }),
    phase: 'closed',
    outcome,
    pending: null,
    promotion: null,
    approval: null,
    retry: null,
  };
}

function supersede(state: MigrationState, by: string, atMs: number): MigrationState {
  const open = openIntent(state.checkpoints);
  if (open === null) return state;
  const confirmations = state.pending?.confirmations;
  return {
    ...state,
    pending: null,
    checkpoints: append(state, {
      kind: 'superseded',
      atMs,
      closes: open.seq,
      stage: open.stage,
      share: open.share,
      epoch: open.epoch,
      gateways: confirmations?.confirmed ?? [],
      lapsed: confirmations?.lapsed ?? [],
      missing: confirmations?.missing ?? [],
      reason: `superseded by ${by} (share ${formatShare(open.share)} was not waited for)`,
    }),
  };
}
