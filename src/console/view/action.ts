import type { CommandName } from '../../core/migration/command';
import { openApproval } from '../../core/migration/migration-state';
import type { MigrationStatus, RollbackEligibility } from '../../core/migration/status';
import { formatShare } from '../../core/plan/plan';

/** A command that may be given now, with what it would do: shown before it is sent. */
export interface ActionView {
  readonly id: string;
  readonly name: CommandName;
  readonly label: string;
  readonly tone: 'plain' | 'danger';
  /** Why it would be refused now; null when it would be taken. */
  readonly refusal: string | null;
  /** What happens when it is confirmed, in full sentences. */
  readonly consequence: string;
  readonly reasonNeeded: boolean;
  /** What is sent beside who, why and the command's id. */
  readonly payload: Readonly<Record<string, string | number | boolean>>;
  /** Another plan is given with it, and what it changes is shown before it is sent. */
  readonly asksPlan?: true;
}

export interface ProviderNames {
  readonly legacy: string;
  readonly candidate: string;
}

type Draft = Omit<ActionView, 'reasonNeeded' | 'payload' | 'tone'> & Partial<ActionView>;

/** Every command in the order of the page; the migration itself decides when it arrives. */
export function actionsOf(
  status: MigrationStatus,
  eligibility: RollbackEligibility | null,
  providers: ProviderNames,
): readonly ActionView[] {
  const drafts = [
    status.paused === null ? pause(status) : resume(status),
    ...approve(status),
    promote(status, providers),
    reevaluate(status),
    amend(status),
    ...(status.phase === 'handover' ? [finish(status, providers)] : []),
    ...stepsBack(status, eligibility),
    rollback(status, providers),
    emergency(status, providers),
  ];
  const over =
    status.phase === 'closed' ? `the migration is closed: ${status.endedByTemporal ?? status.outcome}` : null;
  return drafts.map((draft) => ({
    reasonNeeded: false,
    payload: {},
    tone: 'plain',
    ...draft,
    refusal: over ?? draft.refusal,
  }));
}

function pause({ phase, stage, share }: MigrationStatus): Draft {
  return {
    id: 'pause',
    name: 'pause',
    label: 'Pause',
    refusal: phase === 'rolling back' ? 'a rollback is under way and cannot be paused' : null,
    consequence: `The migration stays in ${stage} at ${formatShare(share)} until it is resumed. It is still watched: harm still rolls back automatically, and the deadline still counts.`,
  };
}

function resume({ drift, phase, paused, stage, share }: MigrationStatus): Draft {
  const drifted = drift !== null || paused?.cause === 'drift';
  const settled = phase === 'observing' || phase === 'handover';
  const base = { id: 'resume', name: 'resume', label: drifted ? 'Resume and reapply' : 'Resume' } as const;
  if (!drifted) {
    const consequence = `The migration continues on its own: once ${stage} has passed, the next stage begins.`;
    return { ...base, refusal: null, consequence };
  }
  return {
    ...base,
    refusal:
      drift?.kill != null
        ? `the kill switch of ${drift.gateway} is set: clear it first, by cutover kill --clear`
        : settled
          ? null
          : 'a change of routing is under way',
    consequence: `Our routing (${stage}, ${formatShare(share)}) is applied again at every gateway under a new epoch, over what is there now. Then the migration continues on its own.`,
    payload: { accept: 'reapply' },
  };
}

function approve(status: MigrationStatus): Draft[] {
  const open = openApproval(status);
  if (open === null) return [];
  const { checkpoint, digest, stage, asks } = open;
  return [
    {
      id: `approve ${checkpoint}`,
      name: 'approve',
      label: `Approve leaving ${stage}`,
      refusal: null,
      consequence: `You approve: ${asks.join(' ')} If everything else has passed, the next stage begins. It is refused if what was judged has changed meanwhile. To say no, pause or roll back.`,
      payload: { checkpoint, digest },
    },
  ];
}

function promote(status: MigrationStatus, { candidate }: ProviderNames): Draft {
  const { phase, stage, stages, verdict, paused, drift, inEffect } = status;
  const asked = openApproval(status) !== null;
  const index = stages.findIndex(({ name }) => name === stage);
  const next = stages[index + 1];
  const passed = verdict?.outcome === 'pass' && paused === null && !asked;
  const current = stages[index];
  const holdsBack = current?.holdback !== undefined && status.share < current.share;
  const { ramp } = status;
  const then =
    ramp !== undefined
      ? `Step ${ramp.step + 1} of ${ramp.of} of the ramp is applied: ${formatShare(ramp.nextShare)} of the traffic then goes to ${candidate}.`
      : next === undefined
        ? holdsBack
          ? `What was held back goes to ${candidate} as well, and the handover begins.`
          : `${stage} is the last stage: the handover begins.`
        : `${formatShare(next.share)} of the traffic then goes to ${candidate} (${next.name})`;
  const refusal =
    phase !== 'observing'
      ? `the migration is ${phase}: there is no stage to leave`
      : drift !== null
        ? `drift at ${drift.gateway} comes first`
        : null;
  if (passed) {
    return {
      id: 'promote',
      name: 'promote',
      label: `Promote ${stage}`,
      refusal,
      consequence: `${stage} has passed. It ends now, even if its soak is not over. ${then}${next === undefined ? '' : ', after a health check of both providers.'}`,
      payload: { stage },
    };
  }
  const why =
    paused !== null
      ? 'the migration is paused'
      : asked
        ? 'an approval is needed'
        : (verdict?.outcome ?? 'no window has ended yet');
  return {
    id: 'promote',
    name: 'promote',
    label:
      ramp !== undefined
        ? `Take the next step of ${stage}`
        : asked
          ? `Promote ${stage} without approval`
          : `Promote ${stage} without a pass`,
    tone: 'danger',
    refusal: refusal ?? (inEffect === null ? 'nothing is in effect yet' : null),
    consequence: `${ramp !== undefined ? `${stage} is on its way to ${formatShare(ramp.toShare)}. An override takes the next step immediately, without a health check` : `${stage} cannot be left yet (${why}). An override leaves it anyway, immediately and without a health check`}. ${then}${next === undefined || ramp !== undefined ? '' : '.'} Your name, reason and checkpoint ${inEffect ?? '–'} are recorded.`,
    reasonNeeded: true,
    payload: { stage, override: true, ...(inEffect === null ? {} : { checkpoint: inEffect }) },
  };
}

function reevaluate({ phase, stage }: MigrationStatus): Draft {
  return {
    id: 'reevaluate',
    name: 'reevaluate',
    label: 'Reevaluate',
    refusal: phase === 'observing' ? null : `nothing is judged while the migration is ${phase}`,
    consequence: `The window ends now and ${stage} is judged on what was seen so far. A hold at its deadline is lifted when it passes.`,
  };
}

function amend({ route }: MigrationStatus): Draft {
  return {
    id: 'amend',
    name: 'amend',
    label: 'Amend the plan',
    refusal: null,
    consequence: `Give the plan of ${route} that applies from now on. What it changes is shown first. Nothing is raised before a window under it has ended, and what was judged stays as it is.`,
    reasonNeeded: true,
    asksPlan: true,
  };
}

function finish({ roster, settled }: MigrationStatus, { candidate }: ProviderNames): Draft {
  const open = roster.filter((name) => !settled.includes(name));
  const left =
    open.length === 0
      ? ''
      : ` ${open.join(', ')} have not declared it: without their record they would serve legacy.`;
  return {
    id: 'finish',
    name: 'finish',
    label: 'Finish',
    refusal: null,
    consequence: `The migration closes as completed, with all traffic at ${candidate}, without waiting for \`settled: candidate\` everywhere.${left}`,
    reasonNeeded: true,
  };
}

const STEPS_SHOWN = 4;

/** Earlier checkpoints above share 0; share 0 is the plain rollback. */
function stepsBack({ epoch }: MigrationStatus, eligibility: RollbackEligibility | null): Draft[] {
  const seen = new Set<string>();
  return (eligibility?.targets ?? [])
    .filter(({ share, stage }) => {
      const key = `${stage} ${share}`;
      if (share === 0 || share >= (eligibility?.share ?? 0) || seen.has(key)) return false;
      seen.add(key);
      return true;
    })
    .slice(0, STEPS_SHOWN)
    .map(({ checkpoint, stage, share }) => ({
      id: `rollback ${checkpoint}`,
      name: 'rollback',
      label: `Back to ${stage}, ${formatShare(share)}`,
      refusal: null,
      consequence: `The candidate's share goes back to ${formatShare(share)} under an epoch above ${epoch}. The migration enters ${stage} again, paused, with fresh evidence.`,
      payload: { to: checkpoint },
    }));
}

function rollback({ route }: MigrationStatus, { legacy }: ProviderNames): Draft {
  return {
    id: 'rollback',
    name: 'rollback',
    label: 'Roll back',
    tone: 'danger',
    refusal: null,
    consequence: `All traffic of ${route} goes back to ${legacy}. Requests that the candidate is answering may end. The migration ends as rolled back; a new one has to be started to try again.`,
  };
}

function emergency({ route }: MigrationStatus, { legacy }: ProviderNames): Draft {
  return {
    id: 'emergency',
    name: 'emergencyRollback',
    label: 'Emergency rollback',
    tone: 'danger',
    refusal: null,
    consequence: `All traffic of ${route} goes back to ${legacy} now. Requests in flight at the candidate that have no content yet fail over at once. The migration ends as rolled back.`,
  };
}
