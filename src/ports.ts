import type { ParityProgress, ParityReport } from './core/assessment/parity-report';
import type { ProbeKind } from './core/assessment/probe-rotation';
import type { Question, Reply } from './core/assessment/question';
import type { RateLimits } from './core/assessment/rate-limits';
import type { UsageFindings } from './core/assessment/usage-digest';
import type { ConfirmAnswer, EffectContext, Json, PlannedEffect } from './core/effects/effect';
import type { EvidenceReading } from './core/evidence/evidence';
import type { GateVerdict, ProbeRecord, VerdictOutcome } from './core/gates/verdict';
import type { IdentityReply } from './core/identity/identity-audit';
import type { IdentityQuestion } from './core/identity/identity-questions';
import type { IdentityReference } from './core/identity/identity-reference';
import type { Checkpoint } from './core/migration/checkpoint';
import type { ApplyResult } from './core/migration/events';
import type { Drift, Outcome, RosterEntry } from './core/migration/migration-state';
import type { AssessPlan } from './core/plan/assess-plan';
import type { MigrationEffort } from './core/plan/migration-effort';
import type { ParityPlan } from './core/plan/plan';
import type { FoundGateway } from './core/routing/gateway-identity';
import type {
  AdminError,
  Arm,
  GatewayStatus,
  PushAccepted,
  PushRequest,
  RenewRequest,
} from './core/routing/routing';
import type { TrainingProblem } from './core/training/fine-tune-events';
import type { MemoryNeed } from './core/training/memory-fit';
import type { TrainingSettings } from './core/training/training-plan';

/** What a gateway answered, or that it did not. */
export type GatewayAnswer<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'refused'; readonly refusal: AdminError }
  | { readonly kind: 'unreachable'; readonly reason: string };

/** The gateways' admin listeners. */
export interface GatewayPort {
  /** All gateways of the configuration, or every address behind the discovery name. */
  discover(): Promise<readonly FoundGateway[]>;
  status(gateway: RosterEntry, route: string): Promise<GatewayAnswer<GatewayStatus>>;
  push(gateway: RosterEntry, route: string, request: PushRequest): Promise<GatewayAnswer<PushAccepted>>;
  renew(gateway: RosterEntry, route: string, request: RenewRequest): Promise<GatewayAnswer<GatewayStatus>>;
  evidence(
    gateway: RosterEntry,
    route: string,
    epoch: number,
    since: string | null,
  ): Promise<GatewayAnswer<EvidenceReading>>;
  /** All evidence of an epoch, without a cursor: whoever judges is not disturbed. */
  peek(gateway: RosterEntry, route: string, epoch: number): Promise<GatewayAnswer<EvidenceReading>>;
}

export type { ProbeKind };

/** One synthetic request to one provider. */
export interface ProbeResult {
  readonly kind: ProbeKind;
  readonly ok: boolean;
  readonly latencyMs: number;
  readonly firstTokenMs: number | null;
  /** Class and short text of the error, without addresses or keys; null when ok. */
  readonly error: string | null;
  /** Model names, for `models`. */
  readonly models: readonly string[] | null;
  /** Digests that the list of models states, by model, for `models`; models without one are absent. */
  readonly digests?: Readonly<Record<string, readonly string[]>> | null;
  /** The limits that the answer's headers name; absent: they name none. */
  readonly rateLimits?: RateLimits;
}

/** The two providers of a route. */
export interface ProviderPort {
  probe(
    route: string,
    provider: Arm,
    kind: ProbeKind,
    limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<ProbeResult>;
  /** One question, sent once; a failure is a reply. Throws only for a broken configuration. */
  ask(
    route: string,
    provider: Arm,
    question: Question,
    limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<Reply>;
  /** The route's models: as callers name them, and as the candidate does. */
  models(route: string): readonly { readonly legacy: string; readonly candidate: string }[];
}

/** Which model a provider serves: a file on this machine, and questions that look like what applications send. */
export interface IdentityPort {
  /** Reads a plan's reference. Throws `InvalidDocument` for one that cannot be used. */
  reference(path: string): Promise<IdentityReference>;
  /** One question to the candidate, sent once; a failure is a reply. Throws only for a broken configuration. */
  ask(
    route: string,
    model: string | null,
    question: IdentityQuestion,
    limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<IdentityReply>;
  /** The context in tokens that the candidate's list of models names; null where it names none. */
  contextTokens(
    route: string,
    model: string | null,
    limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<number | null>;
  /** Uniform in [0, 1). */
  draw(): number;
}

/** What a parity run is asked for. */
export interface ParityRequest extends ParityPlan {
  readonly route: string;
  /** Which earlier answers stand in for new ones: all, or only those of a run that did not come to its end. */
  readonly reuse: 'all' | 'unfinished';
}

/** Golden prompts, their answers, and what the two come to: files on this machine, and both providers. */
export interface ParityPort {
  /**
   * Sends what was not answered yet and compares. `standing` is what `report` gave out last in an earlier attempt,
   * maybe on another machine. Throws `InvalidDocument` for golden prompts that cannot be read.
   */
  run(
    request: ParityRequest,
    hooks: {
      readonly signal: AbortSignal;
      readonly standing: ParityProgress | null;
      /** Called after each prompt, with the number of all. */
      readonly report: (standing: ParityProgress, prompts: number) => void;
    },
  ): Promise<ParityReport>;
}

/**
 * Whether this activity may still grant leases: its run is open, it is pending at this attempt and not asked to
 * cancel, and no workflow task is past attempt 2 or older than one lease.
 */
export interface LeaseGrantPort {
  mayGrantLeases(leaseMs: number): Promise<{ readonly granted: boolean; readonly reason: string }>;
}

/** How far an analysis of usage logs is: what a person sees of it, and where a later attempt goes on. */
export interface UsageProgress {
  readonly phase: string;
  /** Of the phase, 0 to 1; null when it is not known. */
  readonly done: number | null;
  readonly filesRead: number;
  readonly files: number | null;
  /** Rows of the files that were read. */
  readonly rows: number;
  /** The folder on this machine that holds what was read so far. */
  readonly folder: string | null;
}

/** Usage logs on this machine. */
export interface UsagePort {
  analyse(
    request: {
      readonly route: string;
      readonly plan: AssessPlan;
      /** What the migration itself sends; null where an older release asks. */
      readonly effort: MigrationEffort | null;
    },
    observed: {
      readonly progress: (progress: UsageProgress) => void;
      readonly signal: AbortSignal;
      /** How far an earlier attempt came; null for the first. */
      readonly earlier: UsageProgress | null;
    },
  ): Promise<UsageFindings>;
}

/**
 * The targets of effects and the external gates. Each throws `EffectProblem` for what a target did, `InvalidDocument`
 * for what the configuration does not have, and the signal's reason when it aborts.
 */
export interface EffectPort {
  /** The state that the effect would change; null where nothing can be undone. */
  capture(effect: PlannedEffect, context: EffectContext, signal: AbortSignal): Promise<Json>;
  /** Sets and verifies; the note is for people. */
  apply(effect: PlannedEffect, key: string, context: EffectContext, signal: AbortSignal): Promise<string>;
  restore(
    effect: PlannedEffect,
    captured: Json,
    key: string,
    context: EffectContext,
    signal: AbortSignal,
  ): Promise<string>;
  /** Asks until there is an answer or the gate's own time is over. */
  confirm(
    question: {
      readonly name: string;
      readonly key: string;
      readonly context: EffectContext;
      /** For how long it has been asked before, milliseconds: part of the gate's own time. Absent: not at all. */
      readonly askedMs?: number;
    },
    signal: AbortSignal,
  ): Promise<{ readonly answer: ConfirmAnswer; readonly note: string }>;
}

/** Where reports of migrations go. */
export interface ReportPort {
  /** Writes the report of the migration whose activity asks; null where no folder was given. */
  write(end: {
    readonly outcome: Outcome;
    readonly reason: string;
    readonly checkpoints: readonly Checkpoint[] | null;
  }): Promise<{ readonly html: string; readonly markdown: string } | null>;
}

/** Time as an argument. */
export interface ClockPort {
  /** Monotonic milliseconds. */
  now(): number;
  /** Resolves after the time, or at once when the signal aborts. */
  sleep(durationMs: number, signal: AbortSignal): Promise<void>;
}

/** A stage that is assessed or watched from now on. */
export interface ObservedStage {
  readonly route: string;
  /** The plan's name of the stage, or `handover`. */
  readonly stage: string;
  readonly shareAsked: number;
  readonly soakRequiredMs: number;
  readonly gateways: readonly string[];
}

/** What one round of a watch saw. */
export interface ObservedRound {
  readonly verdict: GateVerdict;
  readonly probes: ProbeRecord;
  /** What counts as soak so far in this stage. */
  readonly soakMs: number;
  readonly drift: Drift['kind'] | null;
  /** Gateways that were behind and were pushed the record. */
  readonly lapsed: readonly string[];
  /** Gateways whose evidence could not be read. */
  readonly silent: readonly string[];
}

/** Told of one stage while this worker looks at it. */
export interface StageTelemetry {
  round(round: ObservedRound): void;
  /** It is no longer looked at here; with the verdict of a window that came to its end. */
  end(outcome: VerdictOutcome | null): void;
}

/** A change of routing that this worker carries out or verifies. */
export interface ObservedChange {
  readonly route: string;
  readonly epoch: number;
  readonly direction: 'raise' | 'lower';
  /** When Temporal scheduled it, milliseconds since 1970. */
  readonly scheduledAtMs: number;
}

/** Told of one change of routing. */
export interface ChangeTelemetry {
  /** After each push: who has not confirmed yet. */
  pushed(missing: readonly string[]): void;
  /** What came of it; null when it failed or was cancelled. */
  end(result: ApplyResult | null): void;
}

/** One attempt of an effect, or to undo it. */
export interface ObservedEffect {
  readonly route: string;
  readonly effect: string;
  readonly key: string;
}

/** Told of one attempt of an effect. */
export interface EffectTelemetry {
  end(how: 'done' | 'failed' | 'cancelled'): void;
}

/** Told what this worker does, for metrics: it never fails, and nothing waits for it. */
export interface TelemetryPort {
  effect(effect: ObservedEffect): EffectTelemetry;
  stage(stage: ObservedStage): StageTelemetry;
  change(change: ObservedChange): ChangeTelemetry;
}

/** Everything that the activities need of the world. */
export interface Ports {
  readonly gateways: GatewayPort;
  readonly providers: ProviderPort;
  readonly parity: ParityPort;
  readonly identity: IdentityPort;
  readonly leaseGrants: LeaseGrantPort;
  readonly usage: UsagePort;
  readonly reports: ReportPort;
  readonly clock: ClockPort;
  readonly telemetry: TelemetryPort;
  readonly effects: EffectPort;
}

/** The process that trains, on this machine. */
export interface TrainerPort {
  /**
   * Runs one command of `python -m cutover_training` to its end and returns its result or what it could not do. Throws
   * when the process ended in any other way, such as by a signal.
   */
  run(
    command: 'check' | 'train' | 'evaluate' | 'export',
    job: Readonly<Record<string, unknown>>,
    hooks: {
      readonly signal: AbortSignal;
      readonly onStep: (step: Readonly<Record<string, unknown>>) => void;
    },
  ): Promise<TrainerAnswer>;
  /** What training a model of a config.json takes. */
  memoryNeed(config: unknown, batch: { readonly sequenceTokens: number } & TrainingSettings): MemoryNeed;
}

export type TrainerAnswer =
  | { readonly result: Readonly<Record<string, unknown>> }
  | { readonly problem: TrainingProblem };
