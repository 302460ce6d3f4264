import { DAY_MS, formatDuration } from '../text/duration';
import { formatShare, type Plan, type StagePlan } from './plan';
import { estimatePlan, isDecidable, type StageEstimate } from './plan-estimate';
import { planSchema } from './plan-schema';
import type { Traffic } from './traffic';

/** A plan that is likely to decide, and in which fields it differs. */
export interface PlanSuggestion {
  readonly changes: readonly { readonly path: string; readonly from: string; readonly to: string }[];
  readonly plan: Plan;
  readonly estimates: readonly StageEstimate[];
}

/** Waiting longer than this for one stage is no plan: other margins are. */
const PATIENCE_MS = 14 * DAY_MS;
const LONGEST_MS = 60 * DAY_MS;
/** What is left between the likely time and the deadline. */
const SPARE = 1.25;

/**
 * A plan that decides on the same traffic, nearest to the given one: with later deadlines, else by the profile small,
 * else null.
 */
export function decidingPlan(plan: Plan, traffic: Traffic): PlanSuggestion | null {
  const small = planSchema.parse({ route: plan.route, profile: 'small' });
  return (
    patient(plan, plan, traffic, PATIENCE_MS) ??
    (plan.stages.some(({ profile }) => profile === 'small')
      ? patient(plan, plan, traffic, LONGEST_MS)
      : patient(plan, small, traffic, LONGEST_MS))
  );
}

/** The same plan with deadlines late enough for every stage; null where one would be later than `mostMs`. */
function patient(before: Plan, plan: Plan, traffic: Traffic, mostMs: number): PlanSuggestion | null {
  const known = new Map(estimatePlan(plan, traffic).map((each) => [each.stage, each]));
  const stages = plan.stages.map((stage) => {
    const estimate = known.get(stage.name);
    return estimate === undefined || estimate.decides ? stage : later(stage, estimate);
  });
  const changed = { ...plan, stages: stages.filter((stage) => stage !== null) };
  if (changed.stages.length < stages.length) return null;
  if (changed.stages.some((stage, index) => stage !== plan.stages[index] && stage.deadline.holdMs > mostMs)) {
    return null;
  }
  const estimates = estimatePlan(changed, traffic);
  if (!isDecidable(estimates)) return null;
  return { changes: changesOf(before, changed), plan: changed, estimates };
}

function later(stage: StagePlan, { likelyMs }: StageEstimate): StagePlan | null {
  if (likelyMs === null) return null;
  const holdMs = Math.ceil((likelyMs * SPARE) / DAY_MS) * DAY_MS;
  const { rollbackMs } = stage.deadline;
  return {
    ...stage,
    deadline: { holdMs, rollbackMs: rollbackMs === null ? null : Math.max(rollbackMs, 2 * holdMs) },
  };
}

/** Fields of the plan file that differ; a profile stands for all of its defaults. */
function changesOf(before: Plan, after: Plan): PlanSuggestion['changes'] {
  const isSmall = ({ stages }: Plan) => stages.some(({ profile }) => profile === 'small');
  const text = ({ stages }: Plan) =>
    stages.map(({ name, share }) => `${name} ${formatShare(share)}`).join(', ');
  const profile =
    isSmall(after) && !isSmall(before)
      ? [
          { path: 'profile', from: 'standard', to: 'small' },
          { path: 'stages', from: text(before), to: text(after) },
        ]
      : [];
  const base = profile.length > 0 ? planSchema.parse({ route: after.route, profile: 'small' }) : before;
  const deadlines = after.stages.flatMap((stage, index) => {
    const was = base.stages[index]?.deadline;
    if (was === undefined) return [];
    const { holdMs, rollbackMs } = stage.deadline;
    const at = (field: string, from: number | null, to: number | null) =>
      from === to
        ? []
        : [{ path: `stages[${index}].deadline.${field}`, from: deadlineText(from), to: deadlineText(to) }];
    return [...at('hold', was.holdMs, holdMs), ...at('rollback', was.rollbackMs, rollbackMs)];
  });
  return [...profile, ...deadlines];
}

/** As a plan takes it where it is whole days. */
function deadlineText(ms: number | null): string {
  if (ms === null) return 'null';
  return ms % DAY_MS === 0 ? `${ms / DAY_MS}d` : formatDuration(ms).replaceAll(' ', '');
}

/** The least traffic on which a plan itself is likely to decide, to two digits; null where none is enough. */
export function leastTraffic(plan: Plan, traffic: Traffic): number | null {
  const decides = (requestsPerDay: number) => isDecidable(estimatePlan(plan, { ...traffic, requestsPerDay }));
  if (!decides(MOST_A_DAY)) return null;
  let [low, high] = [1, MOST_A_DAY];
  while (high / low > 1.02) {
    const middle = Math.sqrt(low * high);
    if (decides(middle)) high = middle;
    else low = middle;
  }
  return Number(high.toPrecision(2));
}

const MOST_A_DAY = 1e8;
