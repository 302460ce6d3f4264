import type { IdentityReading } from '../assessment/declared-identity';
import type { BreachClass } from '../evidence/breach-classes';
import type { LatencyMeasure } from '../evidence/stage/latency-measures';
import type { StageEvidence } from '../evidence/stage/stage-evidence';
import type { IdentityKnowledge } from '../identity/identity-audit';

/** What a gate or one of its metrics says. `not applicable` neither passes nor holds. */
export type VerdictOutcome = 'pass' | 'fail' | 'inconclusive' | 'not evaluated' | 'not applicable';

/** One metric's judgement with the numbers it rests on. */
export interface MetricVerdict {
  readonly metric: string;
  /** Whether the candidate may be promoted as far as this metric goes. */
  readonly outcome: VerdictOutcome;
  /** Whether this metric alone asks for a rollback. */
  readonly harm: boolean;
  /** Requests, failures or probes that were looked at. */
  readonly n: { readonly legacy: number; readonly candidate: number };
  /** Rate, milliseconds or USD, as the metric says; null where there is no data. */
  readonly legacy: number | null;
  readonly candidate: number | null;
  readonly margin: number | null;
  /** A sentence that an operator understands. */
  readonly sentence: string;
  readonly unit: MetricUnit;
  readonly role: MetricRole;
  // Absent from here on is the same as null.
  /** How much worse the candidate is, where arms are compared: a difference of rates, or a part of legacy's value. */
  readonly estimate?: number | null;
  /** Where `estimate` lies with 95% confidence, at all times at once; null for a bound that is not known. */
  readonly interval?: readonly [low: number | null, high: number | null] | null;
  /** Evidence for what the sentence says (harm, or being within the margin), and the value that decides. */
  readonly eValue?: number | null;
  readonly threshold?: number | null;
  /** How many more requests are expected to decide; null when it is decided or not to be foreseen. */
  readonly moreRequests?: number | null;
  /** Of answers: how many broke their contract, by class; classes without any, and an empty list, are absent. */
  readonly breaches?: readonly BreachCount[];
  /** Of answers: how many could not be checked; absent where all were. */
  readonly unchecked?: { readonly legacy: number; readonly candidate: number };
  /** Of pairs of answers by a judge's word: how many of each, and what judging has cost. */
  readonly judged?: JudgedCount;
}

/** Pairs of answers by a judge's word, seen from the candidate; `unjudged` were drawn for it and have no result. */
export interface JudgedCount {
  readonly won: number;
  readonly lost: number;
  readonly tied: number;
  readonly unjudged: number;
  readonly costUsd: number;
}

/** Answers of both arms that broke their contract in one way. */
export interface BreachCount {
  readonly class: BreachClass;
  readonly legacy: number;
  readonly candidate: number;
}

/** What `legacy` and `candidate` count. */
export type MetricUnit = 'rate' | 'ms' | 'usd' | 'tokens' | 'requests' | 'keys' | 'probes' | 'p-value';

/** The metric of which model answers; in verdicts by a plan that watches it. */
export const SERVED_MODEL = 'served model';

/** The metric that pauses a stage of low traffic; among a verdict's metrics only while it does. */
export const FAILURES_IN_A_ROW = 'failures in a row';

/** The metric of the identity that a plan declares; among a verdict's metrics only where it was read. */
export const IDENTITY = 'identity';

/** The metric of requests that the candidate did not take; among a verdict's metrics only where there are some. */
export const SHED = 'candidate closed';

/** The metric of answers that break their contract; in verdicts by a plan that gates them. */
export const ANSWERS = 'answers';

/** How the metrics of pairs begin: copies of legacy's requests, beside what legacy answered. */
export const PAIRS = 'pair';

/** How the metrics begin by which it is judged whether both arms report their outcomes alike. */
export const OUTCOME_REPORTS = 'reports of ';

/** Whether a metric is one of those: where arms do not report alike, the stage pauses. */
export function isOutcomeReports({ metric }: Pick<MetricVerdict, 'metric'>): boolean {
  return metric.startsWith(OUTCOME_REPORTS);
}

/** A guardrail is watched for harm, a goal has to be met for a promotion; what is reported is neither. */
export type MetricRole = 'guardrail' | 'goal' | 'guardrail and goal' | 'report';

/**
 * The rules by which this release judges: raised whenever the same evidence may give other numbers.
 * 1: releases before 0.2. 2: each start of a latency has its own minimum; the floor holds against legacy too;
 * windows whose share was not applied everywhere are not judged; errors by stratum, callers who left, far tails;
 * what was shed is outside of ratios; goals hold in the last quarter of the soak as well. 3: guardrails and strata have
 * weights that are fixed beforehand, every entry into a stage a part of alpha of its own; events are compared by the
 * share that each window really had. 4: latencies of all answers are judged together as well, by half of what latencies
 * may spend; bets for harm in latencies go by the share; answers that break their contract are a guardrail and a goal
 * of plans that say so; outcomes of applications likewise. 5: the split of sticky keys is held against the requests that
 * keys of both arms bear. 6: how requests of a key go together is measured by what each bucket of keys is worth to the
 * rate, so that one that bears most of an arm cannot hide it; latencies of all answers together have seven tenths of
 * what latencies may spend.
 */
export const JUDGING_RULES = 6;

/** A stage's gate, judged once: recorded in history and never recomputed there. */
export interface GateVerdict {
  readonly stage: string;
  readonly epoch: number;
  readonly outcome: VerdictOutcome;
  /** The metric that asks for a rollback, or null. */
  readonly harm: string | null;
  /** The metric that asks for a pause (sample ratio), or null. */
  readonly pause: string | null;
  readonly sentence: string;
  /** Whether the window fell into burn-in: recorded, only floor and probes judged. */
  readonly burnIn: boolean;
  readonly metrics: readonly MetricVerdict[];
  /** The candidate's part of the randomised requests as measured; null without requests. */
  readonly observedShare: number | null;
  readonly requests: { readonly legacy: number; readonly candidate: number };
  /** Legacy's numbers in this evidence, which bound the complete stage once it has no control arm. */
  readonly baseline: Baseline | null;
  /** The rules that judged it, as `JUDGING_RULES`; absent: the first ones. */
  readonly rules?: number;
  /** What a named person must accept before this pass counts, a sentence each; absent: nothing. */
  readonly approvals?: readonly string[];
  /** Legacy itself succeeds less often than the floor says: an operator has to accept that before a pass counts. */
  readonly baselineUnhealthy?: true;
  /** A pass on little traffic, which a named person has to approve. */
  readonly lowPower?: LowPower;
}

/** What a pass on little traffic could have seen at all. */
export interface LowPower {
  /** The smallest true regression that as many requests as were seen would show as harm; null: none would. */
  readonly smallestRegression: {
    /** Of the error rate, absolute. */
    readonly errors: number | null;
    /** Of the judged latency quantile, as a part of legacy's value. */
    readonly latency: number | null;
  };
  readonly sentence: string;
}

/** Legacy's rates of the last stage that had a control arm. */
export interface Baseline {
  readonly errorRate: number;
  /** Of its answers that were checked, how many broke their contract; absent where none was. */
  readonly breachRate?: number;
  readonly plainP95Ms: number | null;
  readonly firstTokenP95Ms: number | null;
  /** Each latency by itself; absent where a stage had no strata to tell apart. */
  readonly latencies?: readonly (Pick<LatencyMeasure, 'what' | 'model'> & {
    readonly p95Ms: number;
    /** Where the stage judged the median. */
    readonly p50Ms?: number;
  })[];
  /** All that it counted, in one segment; absent where the next stage has a control arm of its own, and in older records. */
  readonly before?: StageEvidence;
}

/** How the last probes of each provider went. */
export interface ProbeRecord {
  readonly legacy: ProbeStreak;
  readonly candidate: ProbeStreak;
}

export interface ProbeStreak {
  readonly probes: number;
  readonly failures: number;
  readonly passedInARow: number;
  readonly failedInARow: number;
  /** Of the probes that passed; null before the first. */
  readonly meanMs: number | null;
  /** Within 3%, of the probes that passed; absent in records of older releases. */
  readonly p50Ms?: number | null;
  readonly p95Ms?: number | null;
  /** What the two rest on: packed counts, a few hundred characters at most. */
  readonly latencies?: string;
}

export const NO_PROBES: ProbeStreak = {
  probes: 0,
  failures: 0,
  passedInARow: 0,
  failedInARow: 0,
  meanMs: null,
};

/** What is known of the candidate's model, and how much evidence makes it another. */
export interface JudgedServedModel {
  /** Null before anything was asked. */
  readonly standing: IdentityKnowledge | null;
  readonly alpha: number;
}

/** What a gate is judged on: evidence of one epoch, probes, and how long the stage was observed. */
export interface GateInput {
  readonly evidence: StageEvidence;
  /** Requests of the window alone: what burn-in has seen. */
  readonly windowRequests: { readonly legacy: number; readonly candidate: number };
  readonly probes: ProbeRecord;
  /** Failures of the candidate in a row at one gateway, and in this window at all; absent: none is known. */
  readonly candidateFailures?: { readonly inARow: number; readonly inWindow: number };
  /** What the candidate's server states of the identity that the plan declares; absent: none declared, or not read yet. */
  readonly identity?: IdentityReading;
  /** Burn-in is recorded, not judged, but for floor and probes. */
  readonly burnIn: boolean;
  /** Gateways of the roster whose evidence is missing: then nothing passes. */
  readonly silent: readonly string[];
  readonly baseline: Baseline | null;
  /** Which model answers, where the plan watches it. Absent: it does not. */
  readonly servedModel?: JudgedServedModel;
  /** Whether to foresee how many more requests decide (`moreRequests`); rehearsals do without. Yes when absent. */
  readonly foresees?: boolean;
}
