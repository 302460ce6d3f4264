import type { UsageDigest } from '../assessment/usage-digest';
import { type EffectRun, isOpen } from '../effects/effect-run';
import { runsOf } from '../effects/effect-runs';
import type { TrafficTally } from '../evidence/traffic-tally';
import type { GateVerdict, ProbeRecord } from '../gates/verdict';
import { formatShare, judgedShare, type RampPlan } from '../plan/plan';
import { type RampStatus, rampText } from '../plan/ramp';
import { type Cohort, cohortText } from '../routing/cohort';
import { type Checkpoint, checkpointCount, routingEffectsOf } from './checkpoint';
import { refusalOf } from './command-handling';
import { type EndCause, endCauseOfState } from './end-cause';
import { goneGateways } from './gateway-roster';
import { nextDecision } from './migration';
import {
  type ApprovalRequest,
  highestShareOut,
  isHoldingBack,
  isRamping,
  type MigrationState,
  type Outcome,
  type Phase,
  rampStep,
  type SeenCommand,
  stageAt,
} from './migration-state';
import { nextDeadline, waitsFor } from './stage-exit';

/** What the `status` query answers: everything that a person needs to know now, on one page. */
export interface MigrationStatus {
  readonly migrationId: string;
  readonly route: string;
  readonly phase: Phase;
  readonly outcome: Outcome | null;
  /** How it ended, or why it goes back; null before. Absent from older releases. */
  readonly ending?: EndCause | null;
  readonly stage: string;
  readonly stages: readonly {
    readonly name: string;
    readonly share: number;
    /** What stays at legacy until the stage has passed; absent: nothing. */
    readonly holdback?: number;
    /** How its share is raised; absent: at once. */
    readonly ramp?: RampPlan;
    /** Whom alone it serves by the candidate; absent: whom its share draws. */
    readonly only?: Cohort;
    /** `ended`: where a rollback found it. */
    readonly state: 'done' | 'now' | 'next' | 'ended';
  }[];
  /** The share that took effect, and what is asked for while a change is under way. */
  readonly share: number;
  readonly shareAsked: number;
  readonly observedShare: number | null;
  readonly epoch: number;
  readonly paused: MigrationState['paused'];
  readonly held: MigrationState['stage']['held'];
  readonly drift: MigrationState['drift'];
  readonly verdict: GateVerdict | null;
  readonly probes: ProbeRecord;
  /** What the usage logs showed; null where none were read. */
  readonly usage: UsageDigest | null;
  /** What callers and money were through in all windows so far. Absent before the first, and from older releases. */
  readonly traffic?: TrafficTally;
  readonly soak: { readonly observedMs: number; readonly requiredMs: number; readonly windows: number };
  /** On the way to the current stage's own share; absent: it is there, or the stage has no ramp. */
  readonly ramp?: RampStatus;
  readonly deadlineAtMs: number | null;
  /** What happens then to a stage that has not passed. Absent without a deadline, and from older releases. */
  readonly deadlineThen?: 'hold' | 'rollback';
  /** What a person is asked to approve. */
  readonly approval: ApprovalRequest | null;
  /** Outside of the plan's rollout hours: when the share may next be raised. */
  readonly nextPossibleAtMs: number | null;
  /** Effects that are not done, oldest first; `lastError` says why one is tried again. */
  readonly effects: readonly {
    readonly name: string;
    readonly purpose: EffectRun['purpose'];
    readonly stage: string;
    readonly attempts: number;
    readonly lastError: string | null;
    readonly sinceMs: number;
  }[];
  /** A change of routing under way: who confirmed, who is missing. */
  readonly pending: {
    readonly checkpoint: number;
    readonly share: number;
    readonly confirmed: readonly string[];
    readonly missing: readonly string[];
  } | null;
  readonly roster: readonly string[];
  /** Where the gateways of the roster were found last, by name. Absent from older releases. */
  readonly addresses?: Readonly<Record<string, string>>;
  /** Gateways that an operator attested to be gone for good. Absent from older releases. */
  readonly forgotten?: readonly string[];
  readonly unreachable: readonly string[];
  /** Why, by name; a refusal is one too. */
  readonly unreachableBecause: Readonly<Record<string, string>>;
  readonly settled: readonly string[];
  /** What the migration does or waits for, in words. */
  readonly doing: string;
  readonly checkpoints: number;
  /** The last five, oldest first. */
  readonly lastCheckpoints: readonly Checkpoint[];
  readonly inEffect: number | null;
  readonly commands: readonly SeenCommand[];
  readonly refusals: MigrationState['refusals'];
  readonly badMessages: MigrationState['badMessages'];
  readonly startedAtMs: number;
  /**
   * How Temporal ended the run where the migration itself did not: `terminated`, `failed`, `timed out`. Set by
   * clients, which ask Temporal as well as the migration: its own answer is as old as its last task.
   */
  readonly endedByTemporal?: string;
}

/** The status of a run that Temporal ended: nobody watches or carries out anything there. */
export function endedStatus(status: MigrationStatus, ended: string): MigrationStatus {
  return {
    ...status,
    phase: 'closed',
    outcome: null,
    pending: null,
    doing: `nothing: its run was ${ended}, and nobody watches the gateways`,
    endedByTemporal: ended,
  };
}

const LAST_CHECKPOINTS = 5;

/** The status of a migration at a moment of workflow time. */
export function statusOf(state: MigrationState, nowMs: number): MigrationStatus {
  const deadline = state.phase === 'observing' ? nextDeadline(state) : null;
  const stage = stageAt(state.plan, state.stageIndex);
  const { pending } = state;
  const ending = endCauseOfState(state);
  const ramp = rampStatus(state);
  return {
    migrationId: state.migrationId,
    route: state.plan.route,
    phase: state.phase,
    outcome: state.outcome,
    ending,
    stage: stage.name,
    stages: state.plan.stages.map(({ name, share, holdback, ramp, only }, index) => ({
      name,
      share,
      ...(holdback === undefined ? {} : { holdback }),
      ...(ramp === undefined ? {} : { ramp }),
      ...(only === undefined ? {} : { only }),
      state: stageState(state, index, ending),
    })),
    share: state.inEffect?.record.share ?? 0,
    shareAsked: pending?.record.share ?? state.inEffect?.record.share ?? 0,
    observedShare: state.stage.verdict?.observedShare ?? null,
    epoch: state.inEffect?.record.epoch ?? 0,
    paused: state.paused,
    held: state.stage.held,
    drift: state.drift,
    verdict: state.stage.verdict,
    probes: state.probes,
    usage: state.assessment?.usage?.digest ?? null,
    ...(state.traffic === undefined ? {} : { traffic: state.traffic }),
    soak: {
      observedMs: ramp === null ? state.stage.observedMs : 0,
      requiredMs: stage.soakMs,
      windows: state.stage.windows,
    },
    ...(ramp === null ? {} : { ramp }),
    deadlineAtMs: deadline?.atMs ?? null,
    ...(deadline === null ? {} : { deadlineThen: deadline.leadsTo }),
    pending:
      pending === null
        ? null
        : {
            checkpoint: pending.checkpoint,
            share: pending.record.share,
            confirmed: pending.confirmations?.confirmed ?? [],
            missing: pending.confirmations?.missing ?? state.roster.map(({ name }) => name),
          },
    approval: state.approval ?? null,
    nextPossibleAtMs:
      state.stage.notBefore != null && state.stage.notBefore.atMs > nowMs ? state.stage.notBefore.atMs : null,
    effects: runsOf(state)
      .filter(isOpen)
      .map(({ effect, purpose, about, attempts, lastError, createdAtMs }) => ({
        ...{ name: effect.name, purpose, stage: about.stage, attempts, lastError, sinceMs: createdAtMs },
      })),
    roster: state.roster.map(({ name }) => name),
    addresses: Object.fromEntries(state.roster.map(({ name, admin }) => [name, admin])),
    forgotten: goneGateways(state).map(({ name }) => name),
    unreachable: state.unreachable,
    unreachableBecause: state.unreachableBecause ?? {},
    settled: state.settled,
    doing: doingNow(state, nowMs),
    checkpoints: checkpointCount(state),
    lastCheckpoints: state.checkpoints.slice(-LAST_CHECKPOINTS),
    inEffect: state.inEffect?.checkpoint ?? null,
    commands: state.seen,
    refusals: state.refusals,
    badMessages: state.badMessages,
    startedAtMs: state.startedAtMs,
  };
}

function rampStatus(state: MigrationState): RampStatus | null {
  const at = rampStep(state);
  const stage = stageAt(state.plan, state.stageIndex);
  if (at === null || at.next === null || stage.ramp === undefined || state.phase === 'closed') return null;
  return {
    step: at.step,
    of: at.of,
    nextShare: at.next,
    toShare: judgedShare(stage),
    observedMs: state.stage.observedMs,
    everyMs: stage.ramp.everyMs,
  };
}

/** What the `rollbackEligibility` query answers. */
export interface RollbackEligibility {
  readonly eligible: boolean;
  readonly reason: string;
  readonly phase: Phase;
  readonly share: number;
  /** Checkpoints that a rollback may go to, newest first. */
  readonly targets: readonly {
    readonly checkpoint: number;
    readonly stage: string;
    readonly share: number;
    readonly atMs: number;
  }[];
}

const NOBODY = { by: 'unknown', reason: '', commandId: null } as const;

/** Where a rollback could go now; back to share 0 is possible in every state that is not closed. */
export function rollbackEligibilityOf(state: MigrationState): RollbackEligibility {
  const share = highestShareOut(state);
  const targets = routingEffectsOf(state)
    .filter(({ seq }) => refusalOf(state, { ...NOBODY, name: 'rollback', to: seq }) === null)
    .map(({ seq, stage, share: to, atMs }) => ({ checkpoint: seq, stage, share: to, atMs }))
    .reverse();
  const closed = state.phase === 'closed';
  return {
    eligible: !closed,
    reason: closed ? `the migration is closed: ${state.outcome}` : 'a rollback to share 0 is always accepted',
    phase: state.phase,
    share,
    targets,
  };
}

/** What is kept at legacy to compare with, in words; null where nothing is. */
function heldBackText(state: MigrationState): string | null {
  const { stageIndex, plan } = state;
  if (!isHoldingBack(state) || isRamping(state) || state.inEffect?.stageIndex !== stageIndex) return null;
  const { holdback = 0 } = stageAt(plan, stageIndex);
  return `${formatShare(holdback)} stay at legacy to compare with until the stage has passed`;
}

function stageState(
  state: MigrationState,
  index: number,
  ending: EndCause | null,
): MigrationStatus['stages'][number]['state'] {
  if (ending !== null && ending.what !== 'completed') {
    // A rollback takes the state back to its first stage: what is shown is how far it had come.
    const reached = state.plan.stages.findIndex(({ name }) => name === ending.stage);
    return index < reached ? 'done' : index === reached ? 'ended' : 'next';
  }
  if (state.outcome === 'completed' || index < state.stageIndex) return 'done';
  if (index > state.stageIndex || state.phase === 'closed') return 'next';
  return state.phase === 'handover' ? 'done' : 'now';
}

function doingNow(state: MigrationState, nowMs: number): string {
  const decision = nextDecision(state, nowMs);
  switch (decision.type) {
    case 'close':
      return `closed: ${state.outcome}${runsOf(state).some(isOpen) ? '; effects are pending' : ''}`;
    case 'wait':
      return decision.why;
    case 'read routing':
      return 'reading what the gateways hold';
    case 'assess':
      return state.plan.assess === undefined
        ? 'assessing both providers'
        : 'analysing usage and assessing both providers';
    case 'check health':
      return 'checking the health of both providers before the next step';
    case 'apply routing':
      return decision.missing === null
        ? 'applying routing'
        : `waiting for ${decision.missing.map((name) => missingText(state, name)).join(', ')} to confirm`;
    case 'watch':
      return decision.handover
        ? 'waiting for every gateway to be settled on the candidate'
        : ['watching', cohortNow(state), rampingText(state), heldBackText(state), waitsFor(state)]
            .filter((part) => part !== null)
            .join('; ');
    default:
      return decision satisfies never;
  }
}

function cohortNow({ inEffect }: MigrationState): string | null {
  const only = inEffect?.record.only;
  return only === undefined ? null : `serving ${cohortText(only)} alone, and nobody else by the candidate`;
}

function rampingText(state: MigrationState): string | null {
  const ramp = rampStatus(state);
  return ramp === null ? null : `ramping, ${rampText(ramp)}`;
}

function missingText({ pending }: MigrationState, name: string): string {
  const isInMemory = pending?.confirmations?.undurable?.includes(name) === true;
  return isInMemory ? `${name} (applied in memory, its disk refuses)` : name;
}
