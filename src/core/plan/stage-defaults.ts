import { DAY_MS, HOUR_MS, MINUTE_MS } from '../text/duration';
import { type AnswerGate, type Gates, SHED_PAUSE_PART, type StagePlan } from './plan';
import type { SpendingMeasure } from './spending-gate';

/** Gates that a stage has only where the plan says so, or that depend on its others. */
type OptionalGate = 'answers' | 'cohort' | SpendingMeasure;
export type ResolvedStage = Omit<StagePlan, 'alpha'>;
export type StageDefaults = Omit<ResolvedStage, 'name' | 'share' | 'windowMs' | 'profile' | 'gates'> & {
  readonly gates: Required<Omit<Gates, OptionalGate>>;
};

/** What a profile says where a plan says nothing. */
export interface Profile {
  readonly stages: readonly string[];
  readonly shares: Readonly<Record<string, number>>;
  readonly holdback: number;
  readonly defaults: (share: number, holdback: number) => StageDefaults;
}

const HOLDBACK = 0.05;

export const PROFILES: Readonly<Record<'standard' | 'small', Profile>> = {
  standard: {
    stages: ['assess', 'canary', 'rolling', 'complete'],
    shares: { assess: 0, canary: 0.1, rolling: 0.5, complete: 1 },
    holdback: HOLDBACK,
    defaults: stageDefaults,
  },
  small: {
    stages: ['assess', 'canary', 'complete'],
    shares: { assess: 0, canary: 0.5, complete: 1 },
    holdback: 2 * HOLDBACK,
    defaults: smallStageDefaults,
  },
};

/** Margins of what some hundreds of requests can show, and the time that they take to come. */
function smallStageDefaults(share: number, holdback: number): StageDefaults {
  const standard = stageDefaults(share, holdback);
  if (share === 0) return standard;
  const { gates } = standard;
  return {
    ...standard,
    soakMs: 2 * DAY_MS,
    minimumSample: 200,
    minimumKeys: share === 1 ? 0 : 20,
    deadline: { holdMs: 14 * DAY_MS, rollbackMs: share === 1 ? null : 28 * DAY_MS },
    gates: {
      ...gates,
      errors: { ...gates.errors, promotionExcess: 0.05 },
      latency: { ...gates.latency, promotionIncrease: holdback > 0 ? 0.5 : 0.3, quantile: 0.5 },
      floor: { success: 0.93 },
    },
  };
}

function stageDefaults(share: number, holdback: number): StageDefaults {
  if (share === 0) {
    return {
      soakMs: 0,
      minimumSample: 30,
      minimumKeys: 0,
      burnIn: { timeMs: 0, requests: 0 },
      deadline: { holdMs: DAY_MS, rollbackMs: null },
      gates: gateDefaults(0.02, null),
    };
  }
  const burnIn = { timeMs: 10 * MINUTE_MS, requests: 50 };
  if (share === 1) {
    return {
      soakMs: DAY_MS,
      minimumSample: 2_000,
      minimumKeys: 0,
      burnIn,
      // So few requests at legacy take longer, and wider margins than the stage before has shown.
      deadline: { holdMs: (holdback > 0 ? 5 : 2) * DAY_MS, rollbackMs: null },
      gates: holdback > 0 ? gateDefaults(0.02, 0.5) : gateDefaults(0.01, 0.2),
    };
  }
  if (share < 0.5) {
    return {
      soakMs: DAY_MS,
      minimumSample: 400,
      minimumKeys: 50,
      burnIn,
      deadline: { holdMs: 3 * DAY_MS, rollbackMs: 7 * DAY_MS },
      gates: gateDefaults(0.02, null),
    };
  }
  return {
    soakMs: 2 * DAY_MS,
    minimumSample: 2_000,
    minimumKeys: 200,
    burnIn,
    deadline: { holdMs: 5 * DAY_MS, rollbackMs: 10 * DAY_MS },
    gates: gateDefaults(0.01, 0.2),
  };
}

function gateDefaults(
  promotionExcess: number,
  promotionIncrease: number | null,
): Required<Omit<Gates, OptionalGate>> {
  return {
    errors: { rollbackRatio: 1.5, promotionExcess },
    latency: { rollbackIncrease: 0.5, promotionIncrease, quantile: 0.95, tailIncrease: 2, ignoreBelowMs: 10 },
    interToken: { rollbackIncrease: 1, ignoreBelowMs: 2 },
    leavers: { rollbackRatio: 2 },
    shed: { pausePart: SHED_PAUSE_PART },
    sampleRatio: { pausePValue: 0.001 },
    floor: { success: 0.97 },
    probes: { rollbackStreak: 5, promotionStreak: 12 },
  };
}

/** Some answers of every route are cut or refused: a point wider than errors, which are rarer. */
const ANSWERS_WIDER = 0.01;

export function answerDefaults({ promotionExcess }: Gates['errors'], minimumSample: number): AnswerGate {
  return {
    rollbackRatio: 1.5,
    promotionExcess: Number(Math.min(0.999, promotionExcess + ANSWERS_WIDER).toPrecision(12)),
    minimum: Math.min(100, minimumSample),
    maxUnchecked: 0.2,
  };
}

/** Some hundreds of requests of people who know that they try something. */
export function cohortDefaults(): StageDefaults {
  return {
    soakMs: DAY_MS,
    minimumSample: 200,
    minimumKeys: 0,
    burnIn: { timeMs: 0, requests: 0 },
    deadline: { holdMs: 3 * DAY_MS, rollbackMs: 7 * DAY_MS },
    gates: gateDefaults(0.02, null),
  };
}

/** Pairs tell more than two arms do: some hundreds are enough. */
export function shadowDefaults(): StageDefaults {
  return {
    soakMs: HOUR_MS,
    minimumSample: 300,
    minimumKeys: 0,
    burnIn: { timeMs: 0, requests: 0 },
    deadline: { holdMs: 3 * DAY_MS, rollbackMs: null },
    gates: gateDefaults(0.02, null),
  };
}
