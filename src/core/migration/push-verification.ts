import { type StagePlan, stageKind } from '../plan/plan';
import { withDrifts } from '../routing/drift';
import { highestOf } from '../routing/routing';
import { underNewBudget } from './amendment/new-budget';
import { append } from './checkpoint';
import type { ApplyResult } from './events';
import { goneGateways, silentIn, withLocated } from './gateway-roster';
import {
  type Confirmations,
  type Drift,
  enteredStage,
  follows,
  isWhole,
  type MigrationState,
  type PendingRouting,
  stageAt,
} from './migration-state';
import { close, intend, noteDrift, pauseForDrift, record, rollBackToLegacy } from './routing-change';

/** Takes in what a push or a verification found; closes the checkpoint when there is nothing left to wait for. */
export function applyPushResult(
  state: MigrationState,
  checkpoint: number,
  result: ApplyResult,
  atMs: number,
): MigrationState {
  if (state.pending === null || state.pending.checkpoint !== checkpoint) return state;
  const found = follows(state, 3) ? withFound(state, result, atMs) : state;
  const seen = driftsIn(result).reduce(noteDrift, found);
  const { record } = state.pending;
  const asked: PendingRouting = {
    ...state.pending,
    // Only share 0 may have gone above a newer epoch; who is still missing gets that same epoch.
    record: record.share === 0 ? { ...record, epoch: highestOf(record.epoch, result.epoch) } : record,
    leaseConfirms: state.pending.leaseConfirms && !seen.mayHold.pinned,
  };
  const pending = { ...asked, confirmations: confirmationsOf(found, asked, result) };
  const epoch = highestOf(seen.epoch, result.epoch);
  const settling: StateAfterPush = { ...seen, epoch, pending, retry: null };
  const { confirmed, missing } = pending.confirmations;

  if (result.settled !== undefined) return leftSettled(settling, result.settled, atMs);
  if (pending.direction === 'lower') {
    if (result.drift !== null && pending.record.share > 0) {
      const stopped = failed(settling, result, atMs);
      if (pending.rollback === null) return stopped;
      // Someone else's epoch or latch is in the way of a partial rollback: share 0 may take any epoch, so it wins.
      const reason = `a rollback to ${pending.record.stage} met drift: ${result.drift.detail}`;
      return rollBackToLegacy(stopped, { reason, atMs });
    }
    return missing.length > 0 ? settling : tookEffect(settling, result, atMs);
  }
  if (confirmed.length > 0) return tookEffect(settling, result, atMs);
  // An advance that reached nobody is undone; what restores the routing goes on until somebody has it.
  return pending.cause === 'advance' || pending.cause === 'step' || result.drift !== null
    ? failed(settling, result, atMs)
    : settling;
}

/** Where gateways are now, who joined, and who is silent. */
function withFound(state: MigrationState, { located, answered }: ApplyResult, atMs: number): MigrationState {
  // Before the first reading nobody has been recorded: the start reads everyone.
  if (located === undefined || state.roster.length === 0) return state;
  const found = withLocated(state, located, atMs);
  return answered === undefined ? found : { ...found, unreachable: silentIn(found.roster, answered) };
}

/** A state whose change of routing has been answered at least once. */
type StateAfterPush = MigrationState & { readonly pending: PendingRouting };

/**
 * Adds up who confirmed. Everyone of the roster who is not named counts as missing; before the first reading
 * there is no roster, and the activity asks the configuration.
 */
function confirmationsOf(state: MigrationState, pending: PendingRouting, result: ApplyResult): Confirmations {
  const { roster } = state;
  const before = pending.confirmations;
  const undurable = undurableAfter(before, result);
  // What a restart would forget is confirmed only where a restart needs a lease.
  const waitsForDisks = follows(state, 3) && pending.direction === 'lower' && !pending.leaseConfirms;
  const said = result.confirmed.filter((name) => !(waitsForDisks && undurable.includes(name)));
  const everyone =
    roster.length > 0
      ? roster.map(({ name }) => name)
      : [...result.confirmed, ...result.lapsed, ...result.missing];
  const confirmed = [...new Set([...(before?.confirmed ?? []), ...said])];
  const lapsed = pending.leaseConfirms
    ? [...new Set([...(before?.lapsed ?? []), ...result.lapsed])].filter((name) => !confirmed.includes(name))
    : [];
  const missing = [...new Set(everyone)].filter(
    (name) => !confirmed.includes(name) && !lapsed.includes(name),
  );
  return {
    ...{ confirmed, lapsed, missing, attempts: (before?.attempts ?? 0) + 1 },
    ...(undurable.length === 0 ? {} : { undurable }),
  };
}

/** Who has the change in memory only: known until it confirms with its disk. */
function undurableAfter(before: Confirmations | null, { confirmed, undurable = [] }: ApplyResult): string[] {
  const earlier = (before?.undurable ?? []).filter((name) => !confirmed.includes(name));
  return [...new Set([...earlier, ...undurable])];
}

function tookEffect(state: StateAfterPush, result: ApplyResult, atMs: number): MigrationState {
  const { pending } = state;
  const { confirmed, lapsed, missing, undurable = [] } = pending.confirmations as Confirmations;
  const { record: effective } = pending;
  const stage = stageAt(state.plan, pending.stageIndex);
  const checkpoints = append(state, {
    kind: 'took effect',
    atMs,
    closes: pending.checkpoint,
    stage: stage.name,
    share: effective.share,
    epoch: effective.epoch,
    gateways: confirmed,
    lapsed,
    missing,
    ...(follows(state, 3) && undurable.length > 0 ? { undurable } : {}),
    reason: result.notes.join('; '),
  });
  const entered: MigrationState = {
    ...state,
    checkpoints,
    pending: null,
    phase: 'observing',
    stageIndex: pending.stageIndex,
    inEffect: { checkpoint: pending.checkpoint, record: effective, stageIndex: pending.stageIndex },
    mayHold:
      missing.length === 0 && result.drift === null
        ? { share: effective.share, pinned: effective.pinned }
        : state.mayHold,
    stage:
      pending.cause === 'budget'
        ? underNewBudget(state, effective.epoch)
        : {
            ...enteredStage(atMs, effective.epoch),
            ...(pending.cause === 'step'
              ? nextStep(state, atMs)
              : entryOf(state, effective.share > 0 || isShadow(stage))),
          },
    lapses: pending.cause === 'step' || pending.cause === 'budget' ? state.lapses : [],
    retry: null,
    settled: [],
    paused: pending.pauseOnEntry
      ? { atMs, by: 'cutover', reason: `rolled back to ${stage.name}`, cause: 'rollback' }
      : state.paused,
  };
  const told = meetDrifts(handedOver(entered, atMs), result, atMs);
  if (pending.rollback?.final !== true) return told;
  const reason =
    confirmed.length + lapsed.length === 0
      ? 'no gateway is configured or discovered: none can serve the candidate'
      : `share 0 is verified on every gateway under epoch ${effective.epoch}${withoutWord(state)}`;
  return close(told, 'rolled back', reason, atMs);
}

/** A last stage that had held traffic back has passed when all of it has moved. */
function handedOver(state: MigrationState, atMs: number): MigrationState {
  if (!isWhole(state)) return state;
  const reason = 'what was held back at legacy has moved as well';
  return { ...record(state, { what: 'handover', reason, atMs }), phase: 'handover' };
}

/** What a verified rollback cannot promise. */
function withoutWord(state: MigrationState): string {
  const left = goneGateways(state).filter(({ mayServe }) => mayServe);
  if (left.length === 0) return '';
  const names = left.map(({ name, checkpoint }) => `${name} (checkpoint ${checkpoint})`).join(', ');
  return `, except at what was forgotten: ${names} may serve the candidate if it still runs somewhere`;
}

/** Every entry begins with fresh evidence, so it is counted: alpha is divided over entries. */
function entryOf(state: MigrationState, isJudged: boolean): { readonly entry?: number } {
  if (!follows(state, 3)) return {};
  return { entry: (state.stage.entry ?? 0) + (isJudged ? 1 : 0) };
}

/** A step has fresh evidence, because the share is another; entry, deadlines and burn-in are the stage's. */
function nextStep({ stage }: MigrationState, atMs: number): Partial<MigrationState['stage']> {
  const { enteredAtMs, entry, ramp, observedMs, burnInRequests } = stage;
  return {
    enteredAtMs,
    ...(entry === undefined ? {} : { entry }),
    ramp: {
      sinceMs: atMs,
      observedMs: (ramp?.observedMs ?? 0) + observedMs,
      burnInRequests: (ramp?.burnInRequests ?? 0) + burnInRequests,
    },
  };
}

function isShadow(stage: StagePlan): boolean {
  return stageKind(stage) === 'shadow';
}

function driftsIn({ drift, drifts }: ApplyResult): readonly Drift[] {
  return drifts ?? (drift === null ? [] : [drift]);
}

/** What a push met is what is known from then on: the push was the last to look. */
function meetDrifts(state: MigrationState, result: ApplyResult, atMs: number): MigrationState {
  const drifts = driftsIn(result);
  return drifts.reduce((told, drift) => pauseForDrift(told, drift, atMs), withDrifts(state, drifts));
}

/** Ends a migration that was taken back before it moved anything, over a route that is settled on the candidate. */
function leftSettled(state: StateAfterPush, gateways: readonly string[], atMs: number): MigrationState {
  const { plan } = state;
  const reason = `nothing was moved, and nothing is: ${plan.route} is settled on the candidate at ${gateways.join(', ')}`;
  const checkpoints = closedAsFailed(state, { confirmed: [], lapsed: [], missing: [] }, reason, atMs);
  return close({ ...state, checkpoints, pending: null }, 'rejected', reason, atMs);
}

function failed(state: StateAfterPush, result: ApplyResult, atMs: number): MigrationState {
  const { pending } = state;
  const reason = result.notes.join('; ') || 'no gateway confirmed';
  const closed: MigrationState = {
    ...state,
    pending: null,
    phase: isWhole(state) ? 'handover' : 'observing',
    checkpoints: closedAsFailed(state, pending.confirmations as Confirmations, reason, atMs),
    stage: { ...state.stage, verdict: null },
  };
  if (result.drift !== null) return meetDrifts(closed, result, atMs);
  // A push that timed out may still have arrived: the routing in effect is applied again under a newer epoch.
  return intend(closed, {
    cause: 'restore',
    stageIndex: closed.inEffect?.stageIndex ?? 0,
    ...(closed.inEffect === null ? {} : { share: closed.inEffect.record.share }),
    by: 'cutover',
    reason,
    commandId: null,
    atMs,
  });
}

/** The checkpoints with one that says that the change under way came to nothing. */
function closedAsFailed(
  state: StateAfterPush,
  { confirmed, lapsed, missing }: Pick<Confirmations, 'confirmed' | 'lapsed' | 'missing'>,
  reason: string,
  atMs: number,
): MigrationState['checkpoints'] {
  const { checkpoint, record: wanted } = state.pending;
  const { stage, share, epoch } = wanted;
  return append(state, {
    ...{ kind: 'failed', atMs, closes: checkpoint, stage, share, epoch },
    ...{ gateways: confirmed, lapsed, missing, reason },
  });
}
