import type { StagePlan } from './plan';
import { stageKind } from './plan';
import type { ArmBehaviour, KeyModel } from './rehearsal';
import type { Traffic } from './traffic';

/** What the candidate does in a rehearsal, from the stage's entry on. */
export interface Scenario {
  readonly name: string;
  /** For people. */
  readonly description: string;
  /** The candidate's behaviour so many milliseconds after the stage was entered. */
  readonly candidate: (stage: StagePlan, traffic: Traffic, atMs: number) => ArmBehaviour;
  /** When assignment is sticky. */
  readonly keys: KeyModel | null;
}

/** Errors of a regression are multiples of legacy's rate, which is taken to be at least this. */
const FAILURE_RATE_LEAST = 0.002;

const BURST_MS = 10 * 60_000;
const BURST_FAILURE_RATE = 0.5;

/** Users whose requests fail together: broken prompts, and retry storms. */
const CLUSTERED_KEYS: KeyModel = {
  keys: 500,
  skew: 0.8,
  failingKeys: 0.02,
  failingRate: 0.5,
  episodes: 0.002,
};

/** Every scenario that a rehearsal knows. */
export const SCENARIOS: readonly Scenario[] = [
  scenario('a/a', 'no difference', () => ({})),
  scenario('errors x2', 'twice the errors from the start', () => ({ errors: 2 })),
  scenario('errors x5', 'five times the errors from the start', () => ({ errors: 5 })),
  scenario('errors x2 late', 'twice the errors from half of the soak on', (stage, atMs) => ({
    errors: isLate(stage, atMs) ? 2 : 1,
  })),
  scenario('errors x5 late', 'five times the errors from half of the soak on', (stage, atMs) => ({
    errors: isLate(stage, atMs) ? 5 : 1,
  })),
  scenario('errors at rollback margin', 'errors exactly at what is no harm yet', ({ gates }) => ({
    errors: gates.errors.rollbackRatio,
  })),
  scenario('errors at promotion margin', 'errors exactly at what may not be promoted', ({ gates }) => ({
    excess: gates.errors.promotionExcess,
  })),
  scenario('p95 +20%', 'every answer 20% slower', () => ({ latency: 1.2 })),
  scenario('p95 +50%', 'every answer 50% slower', () => ({ latency: 1.5 })),
  scenario('p95 x2', 'every answer twice as slow', () => ({ latency: 2 })),
  scenario('slow drift', 'errors rise evenly to five times over the soak', ({ soakMs }, atMs) => ({
    errors: 1 + 4 * Math.min(1, atMs / Math.max(1, soakMs)),
  })),
  scenario('burst', 'half of the requests fail for ten minutes at half of the soak', (stage, atMs) => {
    const sinceMs = atMs - stage.soakMs / 2;
    return sinceMs >= 0 && sinceMs < BURST_MS ? { failureRate: BURST_FAILURE_RATE } : {};
  }),
  {
    ...scenario('sticky keys', 'no difference; 500 sticky keys whose errors cluster', () => ({})),
    keys: CLUSTERED_KEYS,
  },
];

interface Regression {
  readonly errors?: number;
  readonly excess?: number;
  readonly failureRate?: number;
  readonly latency?: number;
}

function scenario(
  name: string,
  description: string,
  regression: (stage: StagePlan, atMs: number) => Regression,
): Scenario {
  return {
    name,
    description,
    keys: null,
    candidate: (stage, { failureRate: base }, atMs) => {
      const { errors = 1, excess = 0, failureRate, latency = 1 } = regression(stage, atMs);
      const multiplied = errors === 1 ? base : Math.max(base, FAILURE_RATE_LEAST) * errors;
      return { failureRate: Math.min(1, failureRate ?? multiplied + excess), latencyFactor: latency };
    },
  };
}

function isLate({ soakMs }: StagePlan, atMs: number): boolean {
  return atMs >= soakMs / 2;
}

const ROUNDING = 1e-9;

/** Whether a rollback is right: the candidate does worse than the stage's margins for harm. */
export function isHarm(
  stage: StagePlan,
  base: number,
  { failureRate, latencyFactor }: ArmBehaviour,
): boolean {
  const { errors, latency, floor } = stage.gates;
  const limit = stageKind(stage) === 'complete' ? base + errors.promotionExcess : base * errors.rollbackRatio;
  return (
    failureRate > limit + ROUNDING ||
    failureRate > 1 - floor.success + ROUNDING ||
    latencyFactor > 1 + latency.rollbackIncrease + ROUNDING
  );
}

/** Whether a promotion is right: the candidate does better than the stage's margins for a promotion. */
export function isFit(stage: StagePlan, base: number, { failureRate, latencyFactor }: ArmBehaviour): boolean {
  const { errors, latency } = stage.gates;
  const { promotionIncrease } = latency;
  return (
    failureRate < base + errors.promotionExcess - ROUNDING &&
    (promotionIncrease === null || latencyFactor < 1 + promotionIncrease - ROUNDING)
  );
}
