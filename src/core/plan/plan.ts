import type { PlannedEffect, PlannedNotification } from '../effects/effect';
import { type Cohort, cohortText } from '../routing/cohort';
import type { AssessPlan } from './assess-plan';
import type { IdentityPlan } from './identity-plan';
import type { JudgePlan } from './judge/judge-plan';
import type { OutcomeGate } from './outcome-gate';
import type { SpendingGate } from './spending-gate';

/**
 * A plan with every default filled in: what the operator asks for. Plain data; durations in milliseconds.
 * This file holds no parser, because the workflow imports it: `plan-schema.ts` parses.
 */
export interface Plan {
  readonly route: string;
  readonly stages: readonly StagePlan[];
  readonly leaseMs: number;
  readonly renewalMs: number;
  readonly probes: ProbePlan;
  readonly watchHeartbeatMs: number;
  /** What the usage logs have to show first; absent: no logs are read. */
  readonly assess?: AssessPlan;
  /** Who is told of what; absent: nobody. */
  readonly notify?: readonly PlannedNotification[];
  /** Whether the worker writes a report when the migration is final; absent: no. */
  readonly report?: boolean;
  /** When promotions may happen; absent: always. A rollback never waits for it. */
  readonly rollout?: RolloutPlan;
  /** Golden prompts that both providers answer in the assess stage; absent: none. */
  readonly parity?: ParityPlan;
  /** Chances of a wrong decision in the whole migration; absent in plans of older releases, whose stages say theirs. */
  readonly alpha?: PlanAlpha;
  /** Whether conversations made by each provider are replayed on the other in the assess stage; absent in older plans. */
  readonly handover?: { readonly probe: boolean };
  /** What shows that the candidate is the model that is meant; absent: nothing of it is asked. */
  readonly identity?: IdentityPlan;
}

/** What `gates.shed.pausePart` is unless a plan says otherwise; plans of older releases do not say. */
export const SHED_PAUSE_PART = 0.05;

/** Hours and days at which a share may be raised. */
export interface RolloutPlan {
  /** IANA name, such as `Europe/Berlin`. */
  readonly timeZone: string;
  /** Weekly hours, of which one must be open; none: any hour. */
  readonly hours: readonly {
    readonly days: readonly Weekday[];
    /** `HH:MM` of local time; `to` is not included and below `from` where the hours pass midnight. */
    readonly from: string;
    readonly to: string;
  }[];
  /** Local times between which nothing is raised: `YYYY-MM-DDTHH:MM`, `to` not included. */
  readonly freezes: readonly { readonly from: string; readonly to: string; readonly reason: string }[];
}

export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun';

/** A stage that a person must approve before it is left. */
export interface ApprovalPlan {
  /** After it was asked for. */
  readonly expiresMs: number;
  readonly onExpiry: 'hold' | 'roll back';
}

/** One stage: the share it applies, how long and on what evidence it is judged, and what a deadline does. */
export interface StagePlan {
  readonly name: string;
  /** 0 for assess, 1 for complete, strictly rising between. */
  readonly share: number;
  /**
   * Part of the traffic, above 0, that stays at legacy until the soak of the last stage has passed; only then is its
   * share applied. Absent: none, as in all plans of older releases.
   */
  readonly holdback?: number;
  /**
   * Part of legacy's requests that is copied to the candidate, above 0, in a stage that serves nobody by it; what it may
   * cost, USD, comes with it. Absent: the stage copies nothing of its own.
   */
  readonly mirror?: number;
  readonly maxCostUsd?: number;
  /** A model that says which answer of a pair is better, beside `mirror`; absent: nobody is asked. */
  readonly judge?: JudgePlan;
  /** Whom alone the candidate serves; the share is then one by which nobody is drawn. Absent: whom the share draws. */
  readonly only?: Cohort;
  /** How the share of the stage before is raised to this one's; absent: at once. */
  readonly ramp?: RampPlan;
  /** Of a stage as it is judged during its ramp: the share that comes last. Absent in plans. */
  readonly rampingTo?: number;
  readonly soakMs: number;
  readonly windowMs: number;
  /** Candidate requests; for assess, probes of each side. */
  readonly minimumSample: number;
  readonly minimumKeys: number;
  readonly burnIn: { readonly timeMs: number; readonly requests: number };
  readonly deadline: {
    /** Since the stage was entered: stop advancing by itself and tell the operator. */
    readonly holdMs: number;
    /** Since the stage was entered: roll back; null means never. */
    readonly rollbackMs: number | null;
  };
  readonly gates: Gates;
  /** Chances of a wrong decision in this stage, at the margin. */
  readonly alpha: StageAlpha;
  /** Done in this order when the stage is entered, compensated in reverse on rollback; absent: none. */
  readonly effects?: readonly PlannedEffect[];
  /** Gates by others that must answer yes before the stage is entered; absent: none. */
  readonly confirm?: readonly string[];
  /** Whether a person must approve before the stage is left; absent: no. */
  readonly approval?: ApprovalPlan;
  /** What applications say of answers, as it is judged; absent: nothing of it, as in plans of older releases. */
  readonly outcomes?: readonly OutcomeGate[];
  /** Little traffic: wide margins, and a pass that a named person has to approve. */
  readonly profile?: 'small';
}

/** A raise in steps: each is applied for a while before the next one. */
export interface RampPlan {
  /** Of the traffic, above 0. */
  readonly step: number;
  /** How long each step is applied, at least. */
  readonly everyMs: number;
}

/** How often a migration may be decided wrongly. */
export interface PlanAlpha {
  /** Of a false rollback, over all stages and their repetitions. */
  readonly rollback: number;
  /** Of a false promotion by each goal of a stage, over all of its repetitions. */
  readonly promotion: number;
  readonly weights: GuardrailWeights;
  /** The part of `rollback` that outcomes and a judge have; absent where the plan has neither. */
  readonly outcomes?: number;
  /** The part of `rollback` that cost and output tokens have; absent where no stage judges them. */
  readonly spending?: number;
}

/** How often a stage may decide wrongly: the parts of the plan's that its entry has. */
export interface StageAlpha {
  readonly rollback: number;
  readonly promotion: number;
  /** Absent in plans of older releases: the default ones. */
  readonly weights?: GuardrailWeights;
  /** Of a false rollback by what applications or a judge say, besides `rollback`; absent where the plan has neither. */
  readonly outcomes?: number;
  /** Of a false rollback by cost and output tokens, besides `rollback`; absent where the plan judges neither. */
  readonly spending?: number;
}

/** How a stage's chance of a false rollback is divided over its guardrails; the sum is 1. */
export interface GuardrailWeights {
  readonly errors: number;
  /** The latencies of all models and shapes together. */
  readonly latency: number;
  /** Their far tails together. */
  readonly tail: number;
  readonly leavers: number;
  readonly floor: number;
  /** Answers that break their contract. Absent in plans of older releases, which have no such gate. */
  readonly answers?: number;
}

/** The margins of a stage; null means that the side of the gate is not judged. */
export interface Gates {
  readonly errors: {
    /** Harm: the candidate's error rate above this multiple of legacy's. */
    readonly rollbackRatio: number;
    /** Promotion: the candidate's error rate at most this much above legacy's, absolute. */
    readonly promotionExcess: number;
  };
  /** Answers that break their contract (`BreachClass`); absent in plans of older releases: not judged. */
  readonly answers?: AnswerGate;
  readonly latency: {
    /** Harm: p95 (total of plain answers, first token of streams) more than this part above legacy's. */
    readonly rollbackIncrease: number;
    readonly promotionIncrease: number | null;
    /** Which quantile is judged; p95 when absent. The median takes fewer requests. */
    readonly quantile?: LatencyQuantile;
    /** Harm: p99 more than this part above legacy's; not judged in plans of older releases. */
    readonly tailIncrease?: number;
    /** A difference of fewer milliseconds is none; 0 in plans of older releases. */
    readonly ignoreBelowMs?: number;
  };
  readonly interToken: { readonly rollbackIncrease: number; readonly ignoreBelowMs?: number };
  /** Cost per request; absent: reported, not judged. */
  readonly cost?: SpendingGate;
  /** Output tokens per request; absent: reported, not judged. */
  readonly outputTokens?: SpendingGate;
  /** Harm: callers leave before their answer more than this many times as often. Absent in plans of older releases. */
  readonly leavers?: { readonly rollbackRatio: number };
  /** Pause: more than this part of the candidate's requests could not be sent to it; absent: `SHED_PAUSE_PART`. */
  readonly shed?: { readonly pausePart: number };
  readonly sampleRatio: { readonly pausePValue: number };
  /** Bounds of a stage that serves a cohort, which has no arm to compare with. Absent in all others. */
  readonly cohort?: CohortGate;
  /** The candidate's success rate must never fall below this. */
  readonly floor: { readonly success: number };
  readonly probes: {
    /** Harm: so many failures in a row while legacy's probes pass. */
    readonly rollbackStreak: number;
    /** Promotion: the last so many probes passed. */
    readonly promotionStreak: number;
  };
}

/** What the requests of a cohort have to keep to; each is harm beyond it, and a goal within it. */
export interface CohortGate {
  /** At least this part succeeds, before legacy answers for the candidate. */
  readonly success: number;
  /** At most this part of the answers breaks its contract. */
  readonly breaches: number;
  /** p95 of plain answers, and of the first token of streams, in milliseconds; null: not judged. */
  readonly p95Ms: number | null;
  readonly firstTokenP95Ms: number | null;
}

/** What of the answers with a status of success may break its contract: empty, cut, JSON or calls that were not asked for. */
export interface AnswerGate {
  /** Harm: the candidate breaks its contract more than this many times as often as legacy. */
  readonly rollbackRatio: number;
  /** Promotion: the candidate breaks it at most this much more often than legacy, absolute. */
  readonly promotionExcess: number;
  /** So many answers of the candidate have to be checked for a promotion. */
  readonly minimum: number;
  /** Not evaluated while more than this part of the answers of either arm could not be checked. */
  readonly maxUnchecked: number;
}

/** The median or p95. */
export type LatencyQuantile = 0.5 | 0.95;

/** What synthetic probes do and how often. */
export interface ProbePlan {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly embeddings: boolean;
  readonly features: readonly ProbeFeature[];
}

/** What of a provider is used beyond plain and streamed answers, and so is probed. */
export type ProbeFeature = 'embeddings' | 'tools' | 'jsonSchema' | 'longContext';

/** How golden prompts are sent and compared. */
export interface ParityPlan {
  /** Path on the worker's machine. */
  readonly golden: string;
  /** Nothing more is sent once this is spent; null for no cap. */
  readonly maxCostUsd: number | null;
  /** Calls at a time. */
  readonly concurrency: number;
  /** For one answer. */
  readonly timeoutMs: number;
  /** At least this many prompts must be compared for a pass. */
  readonly minimumPrompts: number;
  readonly margins: ParityMargins;
}

/** How much worse than legacy against itself the candidate may be, each 0 to 1. */
export interface ParityMargins {
  /** Decisions that differ: a tool called or not, valid JSON, a refusal, a truncation, the language. */
  readonly decisions: number;
  readonly toolArguments: number;
  readonly jsonFields: number;
  readonly similarity: number;
  readonly length: number;
  readonly embedding: number;
}

/** The share at which a stage is judged: its own, less what is held back at legacy. */
export function judgedShare({ share, holdback = 0 }: Pick<StagePlan, 'share' | 'holdback'>): number {
  return Number((share - holdback).toPrecision(12));
}

/** A stage's share as people read it: `10%`, or `95% in steps of 5%, then 100%` where it has a ramp and a holdback. */
export function stageShareText(
  stage: Pick<StagePlan, 'share' | 'holdback' | 'mirror' | 'ramp' | 'only'>,
): string {
  if (stage.only !== undefined) return `${cohortText(stage.only)} alone`;
  const share = formatShare(stage.share);
  if (stage.mirror !== undefined) return `${share}, copies ${formatShare(stage.mirror)}`;
  const steps = stage.ramp === undefined ? '' : ` in steps of ${formatShare(stage.ramp.step)}`;
  return stage.holdback === undefined
    ? `${share}${steps}`
    : `${formatShare(judgedShare(stage))}${steps}, then ${share}`;
}

/**
 * How a stage is treated: assess moves nothing, shadow copies requests and serves nobody by the candidate, cohort serves
 * named callers alone, split compares two arms, complete has no control arm.
 */
export type StageKind = 'assess' | 'shadow' | 'cohort' | 'split' | 'complete';

/** The kind of a stage follows from its share, from what it copies, and from whom it serves. */
export function stageKind(stage: Pick<StagePlan, 'share' | 'mirror' | 'only'>): StageKind {
  if (stage.only !== undefined) return 'cohort';
  if (stage.share === 0) return stage.mirror === undefined ? 'assess' : 'shadow';
  return stage.share === 1 ? 'complete' : 'split';
}

/** A share as people read it: `10%`, `0.5%`. */
export function formatShare(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}
