import { stageKind } from '../plan/plan';
import { digestOf } from '../record/digest';
import { DAY_MS } from '../text/duration';
import { rollBackByItself } from './automatic-rollback';
import { checkpointCount } from './checkpoint';
import { type MigrationState, openApproval, stageAt } from './migration-state';
import { record } from './routing-change';

const EXPIRES_MS = DAY_MS;

/** What a person has to approve before the current stage is left, given that it has passed. */
function approvalAsks(state: MigrationState): readonly string[] {
  const stage = stageAt(state.plan, state.stageIndex);
  const questions = stageKind(stage) === 'assess' ? (state.assessment?.approvals ?? []) : [];
  return [
    ...(stage.approval === undefined ? [] : [`the plan asks for an approval to leave ${stage.name}`]),
    ...questions.map(({ text, asks }) => (asks === null ? text : `${asks} is asked: ${text}`)),
    ...(state.stage.verdict?.approvals ?? []),
  ];
}

/** What is still to be approved before the current stage is left; nothing once a person has. */
export function missingApproval(state: MigrationState): readonly string[] {
  return state.approval?.granted == null ? approvalAsks(state) : [];
}

/** Asks for what is needed, once; a request that stands is left as it is. */
export function askForApproval(state: MigrationState, asks: readonly string[], atMs: number): MigrationState {
  if (state.approval != null) return state;
  const stage = stageAt(state.plan, state.stageIndex);
  const told = record(state, { what: 'approval asked', reason: asks.join('; '), atMs });
  const seen = stageKind(stage) === 'assess' ? state.assessment : state.stage.verdict;
  return {
    ...told,
    approval: {
      checkpoint: checkpointCount(told),
      digest: digestOf(seen),
      stage: stage.name,
      asks,
      askedAtMs: atMs,
      expiresAtMs: atMs + (stage.approval?.expiresMs ?? EXPIRES_MS),
      onExpiry: stage.approval?.onExpiry ?? 'hold',
      granted: null,
    },
  };
}

/** Takes a request back, granted or not, because what it was asked for holds no longer. */
export function withdrawApproval(state: MigrationState, reason: string, atMs: number): MigrationState {
  if (state.approval == null) return state;
  return record({ ...state, approval: null }, { what: 'approval withdrawn', reason, atMs });
}

/** What the plan says happens to a request that nobody answered in time. */
export function expireApproval(state: MigrationState, atMs: number): MigrationState {
  const approval = openApproval(state);
  if (approval === null || atMs < approval.expiresAtMs) return state;
  const reason = `nobody approved checkpoint ${approval.checkpoint} in time: ${approval.asks.join('; ')}`;
  const told = record({ ...state, approval: null }, { what: 'approval expired', reason, atMs });
  if (approval.onExpiry === 'roll back' && stageKind(stageAt(state.plan, state.stageIndex)) !== 'assess') {
    return rollBackByItself(told, { reason, atMs });
  }
  return { ...told, stage: { ...told.stage, held: { atMs, reason } } };
}

/** Why an approval cannot be given; null when it can. */
export function approvalRefusal(
  state: MigrationState,
  answer: { readonly by: string; readonly checkpoint: number; readonly digest: string | null },
): string | null {
  const { approval } = state;
  if (answer.by === 'unknown') return 'expected by: an approval records who gave it';
  if (approval == null) return 'no approval is pending';
  if (approval.granted !== null) return `already approved by ${approval.granted.by}`;
  if (answer.checkpoint !== approval.checkpoint || (answer.digest ?? approval.digest) !== approval.digest) {
    return `expected an approval of checkpoint ${approval.checkpoint} (digest ${approval.digest.slice(0, 12)}), got one of ${answer.checkpoint}${answer.digest === null ? '' : ` (digest ${answer.digest.slice(0, 12)})`}: look again at what is asked`;
  }
  return null;
}

/** Gives the approval that `approvalRefusal` has found nothing against. */
export function grantApproval(
  state: MigrationState,
  answer: {
    readonly by: string;
    readonly reason: string;
    readonly commandId: string | null;
    readonly atMs: number;
  },
): MigrationState {
  const { approval } = state;
  if (approval == null) return state;
  const { by, reason, atMs } = answer;
  const granted = { ...approval, granted: { by, reason, atMs } };
  return record({ ...state, approval: granted }, { what: 'approved', ...answer });
}
