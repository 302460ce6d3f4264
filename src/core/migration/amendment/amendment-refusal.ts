import type { Plan } from '../../plan/plan';
import { changeTexts, type PlanChange, planChanges } from '../../plan/plan-change';
import { digestOf } from '../../record/digest';
import { routingEffectsOf } from '../checkpoint';
import { follows, type MigrationState, stageAt } from '../migration-state';
import { amendedPlanProblem } from './amended-plan';
import { LIMITS, limitRefusal } from './new-budget';

/** A plan that is to replace the one by which a migration runs. */
export interface Amendment {
  readonly plan: Plan;
  /** `digestOf` the plan that the difference was looked at with; null: whichever is in force. */
  readonly digest: string | null;
}

/** Changes named in a refusal. */
const REFUSED_NAMED = 5;

/** Why a plan cannot be amended so now; null when it can. */
export function amendmentRefusal(state: MigrationState, { plan, digest }: Amendment): string | null {
  if (!follows(state, 5)) {
    return 'this run follows the decisions of an older release, which had no amendments: amend the plan once the migration has continued in its next run';
  }
  if (state.phase !== 'observing' && state.phase !== 'handover') {
    return state.phase === 'rolling back'
      ? 'a rollback is under way: it is not amended'
      : `a change of routing is under way (${state.phase}): amend the plan when it has settled`;
  }
  const problem = amendedPlanProblem(plan);
  if (problem !== null) return problem;
  const current = digestOf(state.plan);
  if (digest !== null && digest !== current) {
    return `expected an amendment of the plan in force (digest ${current.slice(0, 12)}), got one of ${digest.slice(0, 12)}: it was amended meanwhile, look again`;
  }
  const changes = planChanges(state.plan, plan);
  if (changes.length === 0 && isSameOrder(state.plan, plan))
    return 'the plan says this already: nothing changes';
  const refused = changes.flatMap((change) => {
    const why = changeRefusal(state, plan, change);
    return why === null ? [] : [`${changeTexts(change).what}: ${why}`];
  });
  if (refused.length === 0) return null;
  const more = refused.length - REFUSED_NAMED;
  return [...refused.slice(0, REFUSED_NAMED), ...(more > 0 ? [`${more} more`] : [])].join('; ');
}

function isSameOrder(before: Plan, after: Plan): boolean {
  return before.stages.every(({ name }, index) => after.stages[index]?.name === name);
}

/** Of the plan itself: what decides nothing that was judged. */
const OF_PLAN: readonly string[] = ['notify', 'rollout'];
/** Of the plan as well, where it changes and does not come or go: another reference is compared with from its beginning. */
const OF_IDENTITY: readonly string[] = ['identity.reference', 'identity.perHour'];
/** Of a stage that was entered: how long it takes and how much it needs, never how it is judged. */
const OF_ENTERED: readonly string[] = [
  'soakMs',
  'windowMs',
  'minimumSample',
  'minimumKeys',
  'deadline.holdMs',
  'deadline.rollbackMs',
  // Follows the minimum sample where a plan does not say it.
  'gates.answers.minimum',
];
/** Of a stage that was never entered, these and all that is under them. */
const OF_AHEAD: readonly string[] = ['burnIn', 'gates', 'outcomes', 'ramp', 'only'];

function changeRefusal(state: MigrationState, after: Plan, change: PlanChange): string | null {
  const { stage, path } = change;
  if (stage === null) {
    const changes = change.from !== undefined && change.to !== undefined;
    return OF_PLAN.includes(path.split('.')[0] as string) || (OF_IDENTITY.includes(path) && changes)
      ? null
      : 'cannot be amended: roll back and start again with this plan';
  }
  const index = state.plan.stages.findIndex(({ name }) => name === stage);
  if (path === '') {
    if (index >= 0) return 'a stage cannot be left out: promote it with an override when it is there';
    return addedRefusal(state, after, stage);
  }
  if (index < state.stageIndex || state.phase === 'handover') return 'the stage was judged already';
  if (LIMITS.includes(path)) return limitRefusal(state, change);
  if (OF_ENTERED.includes(path)) return index === state.stageIndex ? earlierRefusal(change) : null;
  if (!OF_AHEAD.includes(path.split('.')[0] as string)) {
    return 'cannot be amended: roll back and start again with this plan';
  }
  return wasEntered(state, stage)
    ? 'the stage was entered, and what it has seen was judged by it: only soak, windows, minimums and deadlines can be amended there'
    : null;
}

function wasEntered(state: MigrationState, name: string): boolean {
  return (
    stageAt(state.plan, state.stageIndex).name === name ||
    routingEffectsOf(state).some(({ stage }) => stage === name)
  );
}

/** Between two stages ahead: its share is then above what is served now, and a pass must come before it. */
function addedRefusal(state: MigrationState, after: Plan, name: string): string | null {
  const current = stageAt(state.plan, state.stageIndex);
  const place = after.stages.findIndex((stage) => stage.name === name);
  const currentPlace = after.stages.findIndex((stage) => stage.name === current.name);
  if (state.phase === 'handover' || place < currentPlace) {
    return `a stage can only be added ahead of the migration, which is in ${current.name}`;
  }
  return place === after.stages.length - 1 ? 'the last stage cannot be replaced' : null;
}

/** A deadline of the current stage that comes earlier could be over already, and would act at once. */
function earlierRefusal({ path, from, to }: PlanChange): string | null {
  if (!path.startsWith('deadline.')) return null;
  const ms = (value: unknown) => (typeof value === 'number' ? value : Number.POSITIVE_INFINITY);
  return ms(to) < ms(from) ? 'the deadline of the current stage can only be moved later' : null;
}
