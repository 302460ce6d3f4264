import type { ApprovalQuestion } from '../assessment/finding';
import type { HandoverFindings } from '../assessment/handover-conversation';
import type { IdentityFindings } from '../assessment/identity-findings';
import type { ParityFindings } from '../assessment/parity-report';
import type { UsageFindings } from '../assessment/usage-digest';
import type { EffectRun } from '../effects/effect-run';
import { type AcceptedCause, noStageEvidence, type StageEvidence } from '../evidence/stage/stage-evidence';
import type { TrafficTally } from '../evidence/traffic-tally';
import { type Baseline, type GateVerdict, NO_PROBES, type ProbeRecord } from '../gates/verdict';
import type { IdentityKnowledge } from '../identity/identity-audit';
import { judgedShare, type Plan, type StagePlan } from '../plan/plan';
import { type RampStep, rampShares, rampStepOf } from '../plan/ramp';
import type { SealedEntries } from '../record/record-seal';
import type { KillLatch, RoutingRecord, StickyKey } from '../routing/routing';
import { type ArchivedCheckpoints, type Checkpoint, nothingArchived, type RoutingCause } from './checkpoint';
import type { BadMessage } from './command';

/** How a migration ended. */
export type Outcome = 'completed' | 'rolled back' | 'rejected';

/** Where a migration is; `stage` says in which of the plan's stages. */
export type Phase =
  /** Reading what the gateways hold before anything is touched. */
  | 'reading'
  /** A change of routing is under way that is no rollback. */
  | 'applying'
  /** In a stage: assessing or watching. */
  | 'observing'
  /** Complete has passed; waiting until every gateway's configuration names the candidate. */
  | 'handover'
  | 'rolling back'
  | 'closed';

/** A gateway that may hold a lease: its own stable name says which one it is, the address only where it was last. */
export interface RosterEntry {
  readonly name: string;
  /** `http://HOST:PORT` of its admin listener. */
  readonly admin: string;
}

/** What contradicts the routing that the migration applied. */
export interface Drift {
  readonly gateway: string;
  readonly kind: 'kill latch' | 'newer epoch' | 'other content';
  readonly detail: string;
  readonly kill: KillLatch | null;
  /** The highest epoch that the gateway has seen: `reapply` has to go above it. */
  readonly epoch?: number;
}

/** A gateway that was behind and was pushed the current record. */
export interface Lapse {
  readonly gateway: string;
  readonly atMs: number;
  readonly what: string;
  /** A restart in order: it counts only where one gateway does it again and again. */
  readonly routine?: true;
}

/** A change of routing between its intended checkpoint and its closing one. */
export interface PendingRouting {
  readonly checkpoint: number;
  readonly cause: RoutingCause;
  readonly record: RoutingRecord;
  readonly stageIndex: number;
  readonly direction: 'raise' | 'lower';
  readonly inFlight: 'drain' | 'cut';
  /** Whether a lapsed lease may stand for a confirmation: never where a pinned record may be out there. */
  readonly leaseConfirms: boolean;
  /** Confirmations so far; null before the first push came back. */
  readonly confirmations: Confirmations | null;
  readonly rollback: RollbackRequest | null;
  readonly pauseOnEntry: boolean;
  /** A rollback before anything was moved: a route that is settled on the candidate is left where it is. */
  readonly sparesSettled?: true;
  /** Gateways that were forgotten while it was under way: nobody asks them any more. Absent: none. */
  readonly forgotten?: readonly string[];
}

export interface Confirmations {
  readonly confirmed: readonly string[];
  readonly lapsed: readonly string[];
  readonly missing: readonly string[];
  readonly attempts: number;
  /** Of all of these: whose disk refused, so that a restart would forget it. Absent: none. */
  readonly undurable?: readonly string[];
}

export interface RollbackRequest {
  readonly share: number;
  readonly emergency: boolean;
  readonly final: boolean;
}

/** The routing that took effect last. */
export interface RoutingInEffect {
  readonly checkpoint: number;
  readonly record: RoutingRecord;
  readonly stageIndex: number;
}

/** What was learned of the current stage since it was entered. */
export interface StageProgress {
  readonly enteredAtMs: number;
  /** Of a step of the stage's ramp after its first one; absent otherwise. */
  readonly ramp?: RampProgress;
  /** Which entry into a stage that moves traffic this is, from 1; 0 before the first. Absent in older records. */
  readonly entry?: number;
  /** Time that counts as soak. */
  readonly observedMs: number;
  readonly windows: number;
  /** What its gates rest on: as the last window returned it. */
  readonly evidence: StageEvidence;
  /** Candidate requests seen during burn-in: recorded, never judged. */
  readonly burnInRequests: number;
  /** Where each gateway's evidence was read to. */
  readonly cursors: Readonly<Record<string, string>>;
  readonly verdict: GateVerdict | null;
  readonly held: { readonly atMs: number; readonly reason: string } | null;
  /** Set by `reevaluate` until the next verdict. */
  readonly reevaluating: boolean;
  /** Another limit on its costs was amended, of which gateways hear once the window under way has ended. Absent: none. */
  readonly newBudget?: true;
  /** What a resume has accepted: it is counted anew from the end of the window under way. Absent: nothing. */
  readonly accepted?: AcceptedCause;
  /** When the stage first passed with its soak behind it: its deadline never rolls it back then. */
  readonly passedAtMs?: number | null;
  /** Before this time nothing is promoted: outside of the plan's rollout hours. Absent in older records. */
  readonly notBefore?: { readonly atMs: number; readonly reason: string } | null;
}

/** A step of a ramp: evidence begins anew with it, the stage's entry and its burn-in do not. */
export interface RampProgress {
  /** When this step took effect. */
  readonly sinceMs: number;
  /** What the steps before it have had of the burn-in. */
  readonly observedMs: number;
  readonly burnInRequests: number;
}

export interface Pause {
  readonly atMs: number;
  readonly by: string;
  readonly reason: string;
  readonly cause:
    | 'operator'
    | 'drift'
    | 'lapses'
    | 'rollback'
    | 'sample ratio'
    | 'outcome reports'
    | 'served model'
    | 'candidate closed'
    | 'failures in a row'
    | 'identity';
}

/** A promotion that waits for its health check. */
export interface Promotion {
  readonly toIndex: number;
  /** How many checkpoints there were when it began: its health check is not the one of another. Absent in older records. */
  readonly since?: number;
  readonly by: string;
  readonly reason: string;
  readonly commandId: string | null;
}

/** The assess stage's answer: what is kept in the workflow; the rest is where `digest` points. */
export interface AssessmentSummary {
  readonly outcome: 'pass' | 'fail' | 'inconclusive';
  readonly blockers: readonly string[];
  readonly warnings: readonly string[];
  readonly sentence: string;
  readonly probes: ProbeRecord;
  /** False when legacy's traffic is split unevenly by the planned salt. */
  readonly saltBalanced: boolean;
  /** What the usage logs showed; absent where the plan names none. */
  readonly usage?: UsageFindings;
  /** What golden prompts showed; absent where the plan names none. */
  readonly parity?: ParityFindings;
  /** Which model the candidate serves; absent where the plan does not ask. */
  readonly identity?: IdentityFindings;
  /** What became of conversations that one provider began and the other went on with; absent: not tried. */
  readonly handover?: HandoverFindings;
  /** What a named person has to approve before anything is moved; absent: nothing. */
  readonly approvals?: readonly ApprovalQuestion[];
}

/** A question to a person that stands between a stage that has passed and the next one. */
export interface ApprovalRequest {
  /** The checkpoint that asked: an answer names it, so that nobody approves what has changed meanwhile. */
  readonly checkpoint: number;
  /** SHA-256 of the verdict (or assessment) that was to be seen when it was asked, in hex. */
  readonly digest: string;
  readonly stage: string;
  /** What is approved, a sentence each. */
  readonly asks: readonly string[];
  readonly askedAtMs: number;
  readonly expiresAtMs: number;
  readonly onExpiry: 'hold' | 'roll back';
  readonly granted: { readonly by: string; readonly reason: string; readonly atMs: number } | null;
}

/** A gateway that is no longer asked for anything, on an operator's word. */
export interface ForgottenGateway {
  readonly name: string;
  /** The checkpoint that says who attested it, and why. */
  readonly checkpoint: number;
  /** Whether it may hold a pinned record: such a one is served for as long as the gateway runs somewhere. */
  readonly mayServe: boolean;
}

export interface SeenCommand {
  readonly commandId: string;
  /** What was asked under this id, as JSON without who and why. Absent in older records. */
  readonly asked?: string;
  readonly name: string;
  readonly accepted: boolean;
  readonly message: string;
  readonly checkpoint: number | null;
}

/** What starts a migration. */
export interface MigrationStart {
  readonly migrationId: string;
  readonly plan: Plan;
  readonly by: string;
  readonly reason: string;
  readonly stickyKey: StickyKey;
  readonly newConversationsOnly: boolean;
  readonly shadow: number;
  readonly salt: string;
  /** Whether a route that is settled on the candidate may be moved back to legacy by the start. Absent: it may not. */
  readonly moveBack?: true;
}

/** Everything a migration knows: plain JSON, carried across runs. */
export interface MigrationState extends MigrationStart {
  /** The schema in which it was carried from run to run, see `CARRIED_VERSION`. Absent in older records: 1. */
  readonly version?: number;
  /** Which decisions it follows, see `REVISION`. Absent in older records: 1. */
  readonly revision?: number;
  readonly startedAtMs: number;
  /** As it was started, or amended since. */
  readonly plan: Plan;
  /** How often the plan was amended. Absent: never. */
  readonly amendments?: number;
  readonly phase: Phase;
  readonly outcome: Outcome | null;
  readonly stageIndex: number;
  /** The highest epoch that this migration has given out or seen. */
  readonly epoch: number;
  readonly roster: readonly RosterEntry[];
  /** Gateways that did not answer when they were asked last. */
  readonly unreachable: readonly string[];
  /** Why, by name, as far as it was said. Absent in older records. */
  readonly unreachableBecause?: Readonly<Record<string, string>>;
  /** Gateways that an operator attested to be gone for good, oldest first, at most 50. Absent: none. */
  readonly forgotten?: readonly ForgottenGateway[];
  readonly inEffect: RoutingInEffect | null;
  readonly pending: PendingRouting | null;
  /** The most that any gateway may hold: raised before a push, lowered only by what every gateway confirmed. */
  readonly mayHold: { readonly share: number; readonly pinned: boolean };
  readonly stage: StageProgress;
  readonly promotion: Promotion | null;
  readonly paused: Pause | null;
  /** The gravest of `drifts`. */
  readonly drift: Drift | null;
  /** All that is known to contradict our routing, the gravest first. Absent in older records. */
  readonly drifts?: readonly Drift[];
  readonly lapses: readonly Lapse[];
  readonly probes: ProbeRecord;
  readonly baseline: Baseline | null;
  /** What callers and money were through in all windows. Absent before the first, and in older records. */
  readonly traffic?: TrafficTally;
  /** Which model the candidate serves, as far as it was asked. Absent where the plan does not ask. */
  readonly servedModel?: IdentityKnowledge;
  /** What a stage that copies has spent, USD, all of its entries together. Absent while it has copied nothing. */
  readonly copiesUsd?: number;
  /** What judging its pairs has cost, likewise. Absent while nothing was judged. */
  readonly judgeUsd?: number;
  readonly assessment: AssessmentSummary | null;
  /** The last verdicts of all stages, oldest first, at most 20. */
  readonly verdicts: readonly (GateVerdict & { readonly atMs: number; readonly window: number })[];
  /** Those that are carried: all, or the last ones after the archived. */
  readonly checkpoints: readonly Checkpoint[];
  readonly archived: ArchivedCheckpoints;
  /** What was taken in from outside, for the seals of checkpoints. Absent in older records and in rehearsals. */
  readonly sealed?: SealedEntries;
  readonly seen: readonly SeenCommand[];
  readonly badMessages: { readonly count: number; readonly last: readonly BadMessage[] };
  readonly refusals: readonly { readonly name: string; readonly by: string; readonly message: string }[];
  /** Gateways whose configuration names the candidate as settled, seen in handover. */
  readonly settled: readonly string[];
  /** What a person is asked to approve before the stage is left. Absent in older records. */
  readonly approval?: ApprovalRequest | null;
  /** What is done in the world beside routing, oldest first. Absent in older records. */
  readonly effects?: readonly EffectRun[];
  /** Set while a decision should be tried again later: what went wrong. */
  readonly retry: { readonly atMs: number; readonly reason: string } | null;
}

/**
 * The decisions of this release. A history that an earlier one recorded replays by the decisions with which it was
 * made, so whatever decides otherwise since then asks `follows` first.
 */
export const REVISION = 5;

/** Whether a migration follows the decisions that came with a revision. */
export function follows({ revision = 1 }: Pick<MigrationState, 'revision'>, since: number): boolean {
  return revision >= since;
}

/** The state before anything was done. */
export function initialState(start: MigrationStart, atMs: number, revision = REVISION): MigrationState {
  return {
    ...start,
    ...(revision === 1 ? {} : { revision }),
    startedAtMs: atMs,
    phase: 'reading',
    outcome: null,
    stageIndex: 0,
    epoch: 0,
    roster: [],
    unreachable: [],
    inEffect: null,
    pending: null,
    mayHold: UNKNOWN_HOLDING,
    stage: enteredStage(atMs, 0),
    promotion: null,
    paused: null,
    drift: null,
    lapses: [],
    probes: { legacy: NO_PROBES, candidate: NO_PROBES },
    baseline: null,
    assessment: null,
    verdicts: [],
    checkpoints: [],
    archived: nothingArchived(start.migrationId),
    seen: [],
    badMessages: { count: 0, last: [] },
    refusals: [],
    settled: [],
    approval: null,
    effects: [],
    retry: null,
  };
}

/** What a gateway may hold whose routing is not known to be ours: anything. */
export const UNKNOWN_HOLDING = { share: 1, pinned: true } as const;

/** A stage's progress at its entry. */
export function enteredStage(atMs: number, epoch: number): StageProgress {
  return {
    enteredAtMs: atMs,
    observedMs: 0,
    windows: 0,
    evidence: noStageEvidence(epoch),
    burnInRequests: 0,
    cursors: {},
    verdict: null,
    held: null,
    reevaluating: false,
    notBefore: null,
  };
}

/** The plan's stage at an index; throws when there is none, which no state allows. */
export function stageAt(plan: Plan, index: number): StagePlan {
  const stage = plan.stages[index];
  if (stage === undefined) {
    throw new RangeError(`expected a stage index below ${plan.stages.length}, got ${index}`);
  }
  return stage;
}

/** The request that waits for an answer; null where there is none. */
export function openApproval({ approval }: Pick<MigrationState, 'approval'>): ApprovalRequest | null {
  return approval?.granted === null ? approval : null;
}

/** What the current stage holds back at legacy until it has passed; 0 where nothing is. */
function holdbackOf(state: MigrationState): number {
  return follows(state, 3) ? (stageAt(state.plan, state.stageIndex).holdback ?? 0) : 0;
}

/** Whether the current stage is on its way to its own share, which is the one that it is judged at. */
export function isRamping({ plan, stageIndex, inEffect }: MigrationState): boolean {
  const stage = stageAt(plan, stageIndex);
  return stage.ramp !== undefined && inEffect !== null && inEffect.record.share < judgedShare(stage);
}

/** Where the current stage is in its ramp; null where it is not ramping. */
export function rampStep(state: MigrationState): RampStep | null {
  if (!isRamping(state)) return null;
  return rampStepOf(state.plan, state.stageIndex, state.inEffect?.record.share ?? 0);
}

/** The share that a promotion applies: the next step of a ramp, all of what was held back, or that of the next stage. */
export function promotedShare(state: MigrationState, toIndex: number): number {
  const next = stageAt(state.plan, toIndex);
  if (toIndex === state.stageIndex) return rampStep(state)?.next ?? next.share;
  return entryShare(state, toIndex);
}

/** The share that is applied when a stage is entered. */
export function entryShare(state: MigrationState, index: number): number {
  const stage = stageAt(state.plan, index);
  if (stage.ramp !== undefined) return rampShares(state.plan, index)[0] as number;
  return follows(state, 3) ? judgedShare(stage) : stage.share;
}

/** Whether the current stage still holds traffic back at legacy. */
export function isHoldingBack(state: MigrationState): boolean {
  const { share } = stageAt(state.plan, state.stageIndex);
  return holdbackOf(state) > 0 && (state.inEffect?.record.share ?? 0) < share;
}

/** Whether what the current stage had held back has moved as well: there is no control arm any more. */
export function isWhole(state: MigrationState): boolean {
  return holdbackOf(state) > 0 && !isHoldingBack(state);
}

/** Whether the current stage has spent what its copies may cost: no gateway sends more of them. */
export function hasSpentCopies(state: MigrationState): boolean {
  const { mirror, maxCostUsd = 0 } = stageAt(state.plan, state.stageIndex);
  return mirror !== undefined && (state.copiesUsd ?? 0) >= maxCostUsd;
}

/** The share that may be served somewhere: the one in effect or one under way, whichever is higher. */
export function highestShareOut(state: Pick<MigrationState, 'inEffect' | 'pending'>): number {
  return Math.max(state.inEffect?.record.share ?? 0, state.pending?.record.share ?? 0);
}
