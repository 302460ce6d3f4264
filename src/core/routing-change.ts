import { append, closingOf, openIntent, type RecordedWhat, type RoutingCause } from './checkpoint';
import type { ApplyResult } from './events';
import {
  enteredStage,
  highestShareOut,
  type MigrationState,
  type Outcome,
  type PendingRouting,
  type RollbackRequest,
  stageAt,
} from './migration-state';
import { formatShare } from './plan';
import type { RoutingRecord } from './routing';

/** A change of routing to write ahead. */
export interface Intention {
  readonly cause: RoutingCause;
  readonly stageIndex: number;
  readonly by: string;
  readonly reason: string;
  readonly commandId: string | null;
  readonly leaseConfirms: boolean;
  readonly inFlight?: 'drain' | 'cut';
  readonly rollback?: RollbackRequest;
  readonly pauseOnEntry?: boolean;
  readonly atMs: number;
}

/** Writes the intended checkpoint under a new epoch and makes it pending; an open one is superseded first. */
export function intend(state: MigrationState, intention: Intention): MigrationState {
  const { atMs, stageIndex } = intention;
  const stage = stageAt(state.plan, stageIndex);
  const share = intention.rollback?.share ?? stage.share;
  const epoch = state.epoch + 1;
  const out = highestShareOut(state);
  const pinnedOut = state.inEffect?.record.pinned === true || state.pending?.record.pinned === true;
  const superseded = supersede(state, `${intention.cause} under epoch ${epoch}`, atMs);
  const checkpoints = append(superseded.checkpoints, {
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
    shadow: state.shadow,
  };
  const pending: PendingRouting = {
    checkpoint: checkpoints.length,
    cause: intention.cause,
    record: wanted,
    stageIndex,
    direction: share === 0 || share < out ? 'lower' : 'raise',
    inFlight: intention.inFlight ?? 'drain',
    leaseConfirms: intention.leaseConfirms && !pinnedOut,
    confirmations: null,
    rollback: intention.rollback ?? null,
    pauseOnEntry: intention.pauseOnEntry ?? false,
  };
  return {
    ...superseded,
    checkpoints,
    epoch,
    pending,
    promotion: null,
    retry: null,
    phase: intention.rollback === undefined ? 'applying' : 'rolling back',
  };
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
 * far, as hard, goes on unchanged.
 */
export function rollBack(state: MigrationState, wanted: RollbackIntention): MigrationState {
  if (state.phase === 'closed') return state;
  const running = state.pending?.rollback ?? null;
  if (running !== null && covers(running, wanted)) return state;
  return intend(state, {
    cause: wanted.emergency ? 'emergency' : 'rollback',
    stageIndex: wanted.stageIndex ?? 0,
    by: wanted.by,
    reason: wanted.reason,
    commandId: wanted.commandId,
    leaseConfirms: true,
    inFlight: wanted.emergency ? 'cut' : 'drain',
    rollback: { share: wanted.share, emergency: wanted.emergency, final: wanted.final },
    pauseOnEntry: !wanted.final,
    atMs: wanted.atMs,
  });
}

/** Whether a running rollback already does all that another one asks for. */
export function covers(running: RollbackRequest, wanted: RollbackRequest): boolean {
  if (running.emergency) return true;
  if (wanted.emergency) return false;
  return running.share <= wanted.share;
}

/** Takes in what a push or a verification found; closes the checkpoint when there is nothing left to wait for. */
export function settleRouting(
  state: MigrationState,
  checkpoint: number,
  result: ApplyResult,
  atMs: number,
): MigrationState {
  const pending = state.pending;
  if (pending === null || pending.checkpoint !== checkpoint) return state;
  const raised = { ...state, epoch: Math.max(state.epoch, result.epoch) };
  const confirmed = [...new Set([...(pending.confirmations?.confirmed ?? []), ...result.confirmed])];
  const lapsed = result.lapsed.filter((gateway) => !confirmed.includes(gateway));
  const missing = result.missing.filter((gateway) => !confirmed.includes(gateway));
  const attempts = (pending.confirmations?.attempts ?? 0) + 1;
  const confirmations = { confirmed, lapsed, missing, attempts };

  if (pending.direction === 'lower') {
    if (result.drift !== null && pending.record.share > 0) {
      // Someone else's epoch or latch is in the way of a partial rollback: share 0 may take any epoch, so it wins.
      return rollBack(failed(raised, confirmations, result, atMs), {
        share: 0,
        final: true,
        emergency: false,
        by: 'cutover',
        reason: `a rollback to ${pending.record.stage} met drift: ${result.drift.detail}`,
        commandId: null,
        atMs,
      });
    }
    return missing.length > 0
      ? { ...raised, pending: { ...pending, confirmations } }
      : tookEffect(raised, confirmations, result, atMs);
  }
  if (confirmed.length === 0) {
    // An advance that reached nobody is undone; what restores the routing goes on until somebody has it.
    return pending.cause === 'advance' || result.drift !== null
      ? failed(raised, confirmations, result, atMs)
      : { ...raised, pending: { ...pending, confirmations } };
  }
  return tookEffect(raised, confirmations, result, atMs);
}

type Confirmed = NonNullable<PendingRouting['confirmations']>;

function tookEffect(
  state: MigrationState,
  confirmations: Confirmed,
  result: ApplyResult,
  atMs: number,
): MigrationState {
  const pending = state.pending as PendingRouting;
  const effective: RoutingRecord = { ...pending.record, epoch: result.epoch };
  const stage = stageAt(state.plan, pending.stageIndex);
  const checkpoints = append(state.checkpoints, {
    kind: 'took effect',
    atMs,
    closes: pending.checkpoint,
    stage: stage.name,
    share: effective.share,
    epoch: effective.epoch,
    gateways: confirmations.confirmed,
    lapsed: confirmations.lapsed,
    missing: confirmations.missing,
    reason: result.notes.join('; '),
  });
  const entered: MigrationState = {
    ...state,
    checkpoints,
    pending: null,
    phase: 'observing',
    stageIndex: pending.stageIndex,
    inEffect: { checkpoint: pending.checkpoint, record: effective, stageIndex: pending.stageIndex },
    stage: enteredStage(atMs, effective.epoch),
    drift: result.drift,
    lapses: [],
    retry: null,
    settled: [],
    paused: pending.pauseOnEntry
      ? { atMs, by: 'cutover', reason: `rolled back to ${stage.name}`, cause: 'rollback' }
      : state.paused,
  };
  if (pending.rollback?.final === true) {
    return close(
      entered,
      'rolled back',
      `share 0 is verified on every gateway under epoch ${effective.epoch}`,
      atMs,
    );
  }
  return result.drift === null ? entered : pauseForDrift(entered, atMs);
}

function failed(
  state: MigrationState,
  confirmations: Confirmed,
  result: ApplyResult,
  atMs: number,
): MigrationState {
  const pending = state.pending as PendingRouting;
  const stage = stageAt(state.plan, pending.stageIndex);
  const reason = result.notes.join('; ') || 'no gateway confirmed';
  const closed: MigrationState = {
    ...state,
    pending: null,
    phase: 'observing',
    checkpoints: append(state.checkpoints, {
      kind: 'failed',
      atMs,
      closes: pending.checkpoint,
      stage: stage.name,
      share: pending.record.share,
      epoch: pending.record.epoch,
      gateways: confirmations.confirmed,
      lapsed: confirmations.lapsed,
      missing: confirmations.missing,
      reason,
    }),
    stage: { ...state.stage, verdict: null },
  };
  if (result.drift !== null) return pauseForDrift({ ...closed, drift: result.drift }, atMs);
  // A push that timed out may still have arrived: the routing in effect is applied again under a newer epoch.
  return intend(closed, {
    cause: 'restore',
    stageIndex: closed.inEffect?.stageIndex ?? 0,
    by: 'cutover',
    reason,
    commandId: null,
    leaseConfirms: true,
    atMs,
  });
}

/** Law 9: drift pauses the migration, is shown, and is neither overwritten nor adopted. */
export function pauseForDrift(state: MigrationState, atMs: number): MigrationState {
  const drift = state.drift;
  if (drift === null) return state;
  const told = record(state, { what: 'drift', reason: `${drift.gateway}: ${drift.detail}`, atMs });
  if (told.paused !== null) return told;
  return {
    ...told,
    paused: { atMs, by: 'cutover', reason: `${drift.gateway}: ${drift.detail}`, cause: 'drift' },
  };
}

/** Appends an entry that changes no routing. */
export function record(
  state: MigrationState,
  entry: {
    readonly what: RecordedWhat;
    readonly reason: string;
    readonly atMs: number;
    readonly by?: string;
    readonly commandId?: string | null;
  },
): MigrationState {
  return {
    ...state,
    checkpoints: append(state.checkpoints, {
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
    retry: null,
  };
}

function supersede(state: MigrationState, by: string, atMs: number): MigrationState {
  const open = openIntent(state.checkpoints);
  if (open === null || closingOf(state.checkpoints, open.seq) !== null) return state;
  const confirmations = state.pending?.confirmations;
  return {
    ...state,
    pending: null,
    checkpoints: append(state.checkpoints, {
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
