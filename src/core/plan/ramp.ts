import { formatDuration } from '../text/duration';
import { formatShare, judgedShare, type Plan, type StagePlan } from './plan';

/** More steps than this are refused: each one is a change of routing with checkpoints of its own. */
export const MOST_RAMP_STEPS = 100;

type Stages = Pick<Plan, 'stages'>;

/** The share from which a stage is entered: the one at which the stage before was judged. */
export function shareBefore({ stages }: Stages, index: number): number {
  const before = stages[index - 1];
  // A cohort is no share of the traffic.
  return before === undefined || before.only !== undefined ? 0 : judgedShare(before);
}

/** The shares that a stage applies, lowest first; the last one is that at which it is judged. One without a ramp. */
export function rampShares(plan: Stages, index: number): readonly number[] {
  const stage = plan.stages[index] as StagePlan;
  const to = judgedShare(stage);
  const { ramp } = stage;
  if (ramp === undefined) return [to];
  const from = shareBefore(plan, index);
  const count = rampStepCount({ from, to, step: ramp.step });
  return [...Array.from({ length: count - 1 }, (_, at) => exact(from + (at + 1) * ramp.step)), to];
}

/** How many raises lead from one share to another; the last one may be smaller than the others. */
export function rampStepCount(raise: {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}): number {
  // Shares such as 0.05 are not exact: what is left over below a millionth of a step is none.
  return Math.max(1, Math.ceil((raise.to - raise.from) / raise.step - 1e-6));
}

/** How long a stage takes until its own share is applied, at least. */
export function rampMs(plan: Stages, index: number): number {
  const { ramp } = plan.stages[index] as StagePlan;
  return ramp === undefined ? 0 : (rampShares(plan, index).length - 1) * ramp.everyMs;
}

/** Where a share stands in the ramp of a stage. */
export interface RampStep {
  /** From 1. */
  readonly step: number;
  readonly of: number;
  /** The next share; null at the last step. */
  readonly next: number | null;
}

/** The step of a stage's ramp that a share belongs to: that of the first share which is not below it. */
export function rampStepOf(plan: Stages, index: number, share: number): RampStep {
  const shares = rampShares(plan, index);
  const at = shares.findIndex((each) => each >= share);
  const step = at < 0 ? shares.length : at + 1;
  return { step, of: shares.length, next: shares.find((each) => each > share) ?? null };
}

/** Where a stage is in its ramp; soak and minimums count from its own share on. */
export interface RampStatus {
  /** From 1. */
  readonly step: number;
  readonly of: number;
  readonly nextShare: number;
  /** At which the stage is judged. */
  readonly toShare: number;
  /** How long this step has counted, and how long it is applied at least. */
  readonly observedMs: number;
  readonly everyMs: number;
}

/** A step of a ramp in words, such as `step 2 of 8, next 20%, up to 50%: 4m of 10m`. */
export function rampText({ step, of, nextShare, toShare, observedMs, everyMs }: RampStatus): string {
  const next = nextShare === toShare ? '' : `, up to ${formatShare(toShare)}`;
  const applied = `${formatDuration(Math.min(observedMs, everyMs))} of ${formatDuration(everyMs)}`;
  return `step ${step} of ${of}, next ${formatShare(nextShare)}${next}: ${applied}`;
}

function exact(share: number): number {
  return Number(share.toPrecision(12));
}
