import type { HandoverFindings } from './core/assessment/handover-conversation';
import type { IdentityFindings } from './core/assessment/identity-findings';
import type { ParityFindings } from './core/assessment/parity-report';
import type { ProbedFeatures } from './core/assessment/probe-rotation';
import type { UsageFindings } from './core/assessment/usage-digest';
import type { ConfirmAnswer, EffectContext, Json, PlannedEffect } from './core/effects/effect';
import type { Baseline, ProbeRecord } from './core/gates/verdict';
import type { IdentityKnowledge } from './core/identity/identity-audit';
import type { Checkpoint } from './core/migration/checkpoint';
import type { CommandName } from './core/migration/command';
import type { ApplyResult, HealthCheckResult, RoutingReading, WindowResult } from './core/migration/events';
import type {
  AssessmentSummary,
  Drift,
  MigrationStart,
  MigrationState,
  Outcome,
  RosterEntry,
  StageProgress,
} from './core/migration/migration-state';
import type { AssessPlan } from './core/plan/assess-plan';
import type { IdentityPlan, ReferencePlan } from './core/plan/identity-plan';
import type { MigrationEffort } from './core/plan/migration-effort';
import type { ParityPlan, RolloutPlan, StagePlan } from './core/plan/plan';
import type { RoutingRecord } from './core/routing/routing';
import type { SavedSteps, TrainingProblem } from './core/training/fine-tune-events';
import type { TrainingCheckpoint, TrainingFacts, TrainingOutcome } from './core/training/fine-tune-state';
import type { MemoryFit } from './core/training/memory-fit';
import type { PairedLoss } from './core/training/paired-loss';
import type { TrainingPlan, TrainingSettings } from './core/training/training-plan';

/** Workflow, applying and verifying: nothing long runs here, so that a rollback never waits for a slot. */
export const TASK_QUEUE = 'cutover';

/** Watching, assessing and probing. */
export const WATCH_TASK_QUEUE = 'cutover-watch';

/** The workflow type. */
export const MIGRATION_WORKFLOW = 'migration';

/** The name by which a run's history is marked with the revision of decisions that it follows; 1 has none. */
export function revisionPatchOf(revision: number): string {
  return `revision-${revision}`;
}

/** Law 8: the workflow id follows from the route, so that a second start is refused. */
export function workflowIdOf(route: string): string {
  return `cutover/${route}`;
}

/** Search attributes that a Temporal service must know, with their types. */
export const SEARCH_ATTRIBUTES = {
  CutoverRoute: 'Keyword',
  CutoverStage: 'Keyword',
  CutoverShare: 'Double',
  CutoverPaused: 'Bool',
} as const;

/** Workers of one release: a version of a Worker Deployment of Temporal. */
export interface WorkerBuild {
  readonly deployment: string;
  readonly buildId: string;
}

/** Signal of both workflows: continue as new at the next chance, on workers of the build that is current then. */
export const MOVE_TO_CURRENT_BUILD = 'moveToCurrentBuild';

/** What a person reads of it in the Temporal UI's menus. */
export const MOVE_DESCRIPTION =
  'Continue as new on workers of the current build; `cutover migrate-workers` sends it to every open run';

/** The one argument of the workflow: a start, or the state that an earlier run carried on. */
export interface MigrationInput {
  readonly start: MigrationStart;
  readonly carried: MigrationState | null;
  /** Whether the Temporal service knows `SEARCH_ATTRIBUTES`. */
  readonly searchAttributes: boolean;
}

/** What the workflow returns. */
export interface MigrationResult {
  /** What became of it and why, in a line; first, so that Temporal shows it first. Absent from older releases. */
  readonly headline?: string;
  readonly migrationId: string;
  readonly route: string;
  readonly outcome: Outcome;
  readonly reason: string;
  /** Who asked for the end; absent where cutover decided by itself. */
  readonly by?: string;
  readonly endedAtMs?: number;
  readonly checkpoints: number;
}

/** Names of the queries; `checkpoints` takes `{ after?: number; limit?: number }`, `amendment` a plan. */
export const QUERIES = {
  status: 'status',
  checkpoints: 'checkpoints',
  rollbackEligibility: 'rollbackEligibility',
  assessment: 'assessment',
  verdicts: 'verdicts',
  amendment: 'amendment',
} as const;

/** What a person reads in the Temporal UI's menus. */
export const COMMAND_DESCRIPTIONS: Readonly<Record<CommandName, string>> = {
  pause: 'Stop advancing; watching continues. {"by":"ana","reason":"..."}',
  resume: 'Continue. After drift: {"accept":"reapply"}',
  promote:
    'Leave a stage that has passed: {"stage":"canary"}; without a pass also override, by, reason, checkpoint',
  rollback:
    'Back to legacy, verified: {"by":"ana","reason":"..."}; or to a checkpoint: {"to":4} or {"to":"previous"}',
  emergencyRollback: 'Share 0 now; requests in flight fail over at once. {"by":"ana","reason":"..."}',
  reevaluate: 'End the window now and judge again',
  approve: 'Approve what a checkpoint asks for: {"checkpoint":7,"by":"ana","reason":"..."}',
  forget: 'Attest that a silent gateway is gone for good: {"gateway":"gw-2","by":"ana","reason":"..."}',
  amend:
    'Change the plan where a running migration allows it: {"plan":{...},"by":"ana","reason":"..."}; cutover amend shows it first',
  finish: 'Close a migration in handover: {"reason":"..."}',
};

export interface CheckpointsQuery {
  /** Sequence number after which the page starts; 0 by default. */
  readonly after?: number;
  /** At most 500; 100 by default. */
  readonly limit?: number;
}

export interface CheckpointsPage {
  readonly checkpoints: readonly Checkpoint[];
  readonly total: number;
  /** Pass it as `after` for the next page; null on the last one. */
  readonly next: number | null;
  /** The first ones that the state no longer carries: the histories of this run and of those before it hold them. */
  readonly archived?: { readonly count: number; readonly runId: string };
}

export interface ReadRoutingInput {
  readonly route: string;
  /**
   * Whether gateways that are settled on the candidate are named. Runs of earlier releases do not ask, so their
   * histories replay by what they were answered.
   */
  readonly nameSettled?: boolean;
}

export interface ApplyRoutingInput {
  readonly route: string;
  readonly record: RoutingRecord;
  readonly roster: readonly RosterEntry[];
  readonly direction: 'raise' | 'lower';
  readonly inFlight: 'drain' | 'cut';
  /**
   * Whether gateways that joined meanwhile are named in the result. Runs of earlier releases do not ask: they would
   * not record them.
   */
  readonly reportsJoined?: boolean;
  /** Whether nothing is pushed where a gateway is settled on the candidate and serves it. */
  readonly sparesSettled?: true;
}

export interface VerifyRoutingInput extends ApplyRoutingInput {
  readonly missing: readonly string[];
  /** Whether a gateway that stays silent counts as confirmed once every older lease has run out. */
  readonly leaseConfirms: boolean;
  /** Earlier attempts: the wait grows with them. */
  readonly attempts: number;
}

export interface AssessInput {
  readonly route: string;
  readonly record: RoutingRecord;
  readonly roster: readonly RosterEntry[];
  readonly stage: StagePlan;
  readonly probes: { readonly intervalMs: number; readonly timeoutMs: number } & ProbedFeatures;
  /** As the plan declares it. Absent: nothing is declared. */
  readonly identity?: IdentityPlan;
}

export interface CheckHealthInput {
  readonly route: string;
  readonly timeoutMs: number;
  readonly embeddings: boolean;
  /** The plan's rollout hours, asked first. */
  readonly rollout?: RolloutPlan;
  /** The workflow's time, by which the hours are read: clocks of workers differ. Absent from older workflows. */
  readonly nowMs?: number;
  readonly features?: ProbedFeatures['features'];
  /** As the plan declares it. Absent: nothing is declared. */
  readonly identity?: IdentityPlan;
  /** The raise that the check is for, where the candidate is to have room for it. Absent from older workflows. */
  readonly raise?: {
    readonly roster: readonly RosterEntry[];
    /** Of the routing in effect, and for how long it has been. */
    readonly epoch: number;
    readonly forMs: number;
    readonly fromShare: number;
    readonly toShare: number;
  };
}

export type HealthCheck = HealthCheckResult;

export interface WatchStageInput {
  readonly route: string;
  readonly record: RoutingRecord;
  readonly roster: readonly RosterEntry[];
  readonly stage: StagePlan;
  readonly windowMs: number;
  readonly renewalMs: number;
  readonly handover: boolean;
  /** What the stage has gathered so far. */
  readonly progress: Pick<
    StageProgress,
    'evidence' | 'cursors' | 'observedMs' | 'windows' | 'burnInRequests'
  >;
  readonly probePlan: AssessInput['probes'];
  readonly probes: ProbeRecord;
  readonly baseline: Baseline | null;
  /** Gateway and kind of the drift that is known, for watches of older releases. */
  readonly knownDrift: string | null;
  /** What is known to contradict our routing, so that only a change ends the window. Absent from older workflows. */
  readonly knownDrifts?: readonly Drift[];
  /**
   * Gateways that are known not to answer: that one of them answers, or that another is silent for longer than a lease,
   * ends the window. Absent from older workflows.
   */
  readonly knownSilent?: readonly string[];
  /** As the plan declares it, and whether the migration is paused, so that another one need not end the window. Absent: nothing. */
  readonly identity?: IdentityPlan & { readonly paused: boolean };
  /** Which model the candidate has to serve, and what is known of it; absent where the plan does not ask. */
  readonly servedModel?: { readonly plan: ReferencePlan; readonly standing: IdentityKnowledge | null };
  /** What the copies of the stage have cost in all of its entries, USD. Absent: nothing yet. */
  readonly copiesUsd?: number;
}

/** On `TASK_QUEUE`. */
export interface RoutingActivities {
  readRouting(input: ReadRoutingInput): Promise<RoutingReading>;
  applyRouting(input: ApplyRoutingInput): Promise<ApplyResult>;
  verifyRouting(input: VerifyRoutingInput): Promise<ApplyResult>;
}

/** On `WATCH_TASK_QUEUE`. */
export interface WatchActivities {
  analyseUsage(input: AnalyseUsageInput): Promise<UsageFindings>;
  assess(input: AssessInput): Promise<AssessmentSummary>;
  checkHealth(input: CheckHealthInput): Promise<HealthCheck>;
  checkIdentity(input: CheckIdentityInput): Promise<IdentityFindings>;
  checkParity(input: CheckParityInput): Promise<ParityResult>;
  handoverProbe(input: HandoverProbeInput): Promise<HandoverResult>;
  watchStage(input: WatchStageInput): Promise<WindowResult>;
}

/** Types of the failures that activities translate everything into. */
export const FAILURES = {
  /** The configuration does not know the route, or a key reference leads to nothing: retried, a person must act. */
  configuration: 'ConfigurationProblem',
  /** The activity may not grant leases any more: its run is closed, it was cancelled, or workflow tasks fail. */
  noStanding: 'NoStanding',
  /** An effect's target could not be reached, was slow or said to come again: retried. */
  effectUnavailable: 'EffectUnavailable',
  /** An effect's target refused, or answered what cannot be right: not retried by itself, a person must act. */
  effectRefused: 'EffectRefused',
} as const;

/** What a migration came to, for its report. */
export interface WriteReportInput {
  readonly outcome: Outcome;
  readonly reason: string;
  /** Null: they are retraced from the history. */
  readonly checkpoints: readonly Checkpoint[] | null;
}

/** On `EFFECT_TASK_QUEUE`, once a migration is final. */
export interface ReportActivities {
  /** The files that were written; none where the worker was given no folder for reports. */
  writeReport(input: WriteReportInput): Promise<{ readonly files: readonly string[] }>;
}

export interface AnalyseUsageInput {
  readonly route: string;
  readonly plan: AssessPlan;
  /** Absent from workflows of older releases. */
  readonly effort?: MigrationEffort;
}

/** Effects and external gates: slots of their own, so that a target that hangs holds up nothing else. */
export const EFFECT_TASK_QUEUE = 'cutover-effects';

export interface CaptureEffectInput {
  readonly effect: PlannedEffect;
  readonly context: EffectContext;
}

export interface ApplyEffectInput {
  readonly effect: PlannedEffect;
  /** Migration id, checkpoint sequence and effect: a receiver that honours it acts once. */
  readonly key: string;
  readonly context: EffectContext;
}

export interface RestoreEffectInput extends ApplyEffectInput {
  readonly captured: Json;
}

export interface ConfirmInput {
  readonly name: string;
  readonly key: string;
  readonly context: EffectContext;
  /** For how long earlier runs of the workflow have asked, milliseconds. Absent from older releases: not at all. */
  readonly askedMs?: number;
}

/** On `EFFECT_TASK_QUEUE`; each heartbeats every 2 s while it works, and stops when it is cancelled. */
export interface EffectActivities {
  /** The state before, at most 4 KB of JSON; null where nothing can be undone, as for notifications. */
  captureEffect(input: CaptureEffectInput): Promise<{ captured: Json }>;
  /** Sets and verifies; safe to repeat. The note says what was seen and what may still be cached. */
  applyEffect(input: ApplyEffectInput): Promise<{ note: string }>;
  /** Returns the target to what was captured and verifies; safe to repeat. */
  restoreEffect(input: RestoreEffectInput): Promise<{ note: string }>;
  /** Asks until there is an answer or the target's timeout (at most 24 h) is over; then its default. */
  confirm(input: ConfirmInput): Promise<{ answer: ConfirmAnswer; note: string }>;
}

export interface CheckParityInput {
  readonly route: string;
  readonly parity: ParityPlan;
}

export type ParityResult = ParityFindings;

export interface CheckIdentityInput {
  readonly route: string;
  readonly identity: ReferencePlan;
  /** For one answer. */
  readonly timeoutMs: number;
}

export interface HandoverProbeInput {
  readonly route: string;
  /** For one answer. */
  readonly timeoutMs: number;
  readonly newConversationsOnly: boolean;
}

export type HandoverResult = HandoverFindings;

/** Training: each takes a whole device, so these slots are few, and only workers with a trainer poll it. */
export const TRAINING_TASK_QUEUE = 'cutover-training';

/** The workflow type of fine-tuning; its argument is a `FineTuneInput`. */
export const FINE_TUNE_WORKFLOW = 'fineTune';

/** One job of a name runs at a time. */
export function trainingWorkflowIdOf(name: string): string {
  return `cutover-training/${name}`;
}

/** Queries of `fineTune`. */
export const TRAINING_QUERIES = { status: 'status', checkpoints: 'checkpoints' } as const;

/** What the workflow `fineTune` returns. */
export interface FineTuneResult {
  readonly headline: string;
  readonly trainingId: string;
  readonly outcome: TrainingOutcome;
  readonly reason: string;
  readonly exported: { readonly path: string; readonly digest: string } | null;
}

/** What a process could not do although it ran is a value: the workflow decides what follows. */
export type OrProblem<T> = T | { readonly problem: TrainingProblem };

export interface TrainStepsInput {
  readonly plan: TrainingPlan;
  readonly settings: TrainingSettings;
  /** The checkpoint's folder; null: from the weights. */
  readonly from: string | null;
  readonly toStep: number;
}

export interface EvaluateInput {
  readonly plan: TrainingPlan;
  readonly settings: TrainingSettings;
  readonly judged: Pick<TrainingCheckpoint, 'path' | 'settings'>;
  /** The checkpoint that BF16 computes. */
  readonly against: string;
}

export interface ExportModelInput {
  readonly plan: TrainingPlan;
  readonly settings: TrainingSettings;
  readonly trainingId: string;
  readonly checkpoint: Pick<TrainingCheckpoint, 'path' | 'digest'>;
  readonly verdicts: readonly string[];
}

/** On `TRAINING_TASK_QUEUE`; each starts a process and ends it when it is cancelled. */
export interface TrainingActivities {
  planTraining(input: {
    readonly plan: TrainingPlan;
  }): Promise<OrProblem<{ readonly fit: MemoryFit; readonly facts: TrainingFacts }>>;
  /** Heartbeats the last step; safe to repeat, because the same steps give the same checkpoint. */
  trainSteps(input: TrainStepsInput): Promise<OrProblem<SavedSteps>>;
  evaluateTraining(input: EvaluateInput): Promise<OrProblem<PairedLoss>>;
  exportModel(
    input: ExportModelInput,
  ): Promise<OrProblem<{ readonly path: string; readonly digest: string }>>;
}
