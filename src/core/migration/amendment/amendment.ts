import { runsOf } from '../../effects/effect-runs';
import type { Plan, StagePlan } from '../../plan/plan';
import { changeText, type PlanChange, planChanges } from '../../plan/plan-change';
import { digestOf } from '../../record/digest';
import { hasSpentCopies, type MigrationState, stageAt } from '../migration-state';
import { type EntryNote, record } from '../routing-change';
import { takeBack } from '../stage-exit';
import { amendedPlanProblem } from './amended-plan';
import { type Amendment, amendmentRefusal } from './amendment-refusal';
import { LIMITS, withNewBudget } from './new-budget';

/** What an amendment would do now: shown before it is asked for. */
export interface AmendmentPreview {
  readonly changes: readonly PlanChange[];
  /** Why it would be refused; null where it would not. */
  readonly refusal: string | null;
  /** Of the plan in force. */
  readonly digest: string;
}

/** Looks at an amendment without making it; a document that is not a plan has no changes. */
export function previewAmendment(state: MigrationState, plan: unknown): AmendmentPreview {
  const digest = digestOf(state.plan);
  const problem = amendedPlanProblem(plan);
  if (problem !== null) return { changes: [], refusal: problem, digest };
  const amendment = { plan: plan as Plan, digest: null };
  return {
    changes: planChanges(state.plan, amendment.plan),
    refusal: amendmentRefusal(state, amendment),
    digest,
  };
}

/**
 * Makes an amendment that `amendmentRefusal` has found nothing against. What was asked or had passed under the former
 * plan is judged again: the next window runs by the new one, and nothing is raised before it has ended. Entries and
 * their alpha are counted on, evidence stays.
 */
export function amend(state: MigrationState, { plan }: Amendment, note: EntryNote): MigrationState {
  const changes = planChanges(state.plan, plan);
  const reason = `${note.reason}: ${changes.map(changeText).join('; ')}`;
  const recorded = record(state, { what: 'amended', ...note, reason });
  const amended: MigrationState = {
    ...recorded,
    plan,
    amendments: (state.amendments ?? 0) + 1,
    ...(state.effects === undefined ? {} : { effects: atNewIndexes(recorded, plan) }),
  };
  if (state.phase !== 'observing' || changes.every(({ path }) => path.startsWith('notify'))) return amended;
  const changed = (stage: string | null, path: string) =>
    changes.some((change) => change.stage === stage && change.path === path);
  const { name } = stageAt(plan, state.stageIndex);
  const limits = LIMITS.filter((path) => changed(name, path));
  const again = takeBack(amended, 'the plan was amended', note.atMs);
  const next: MigrationState = {
    ...again,
    retry: null,
    promotion: null,
    stage: {
      ...again.stage,
      verdict: null,
      ...(changed(null, 'rollout') ? { notBefore: null } : {}),
      // Held at a deadline that now comes later, or by a limit that is now another one.
      ...(changed(name, 'deadline.holdMs') || limits.length > 0 ? { held: null } : {}),
      ...(limits.length > 0 ? { newBudget: true as const } : {}),
    },
  };
  return hasSpentCopies(state) ? withNewBudget(next, note.atMs) : next;
}

/** Effects and questions keep the stage that they are about. */
function atNewIndexes(state: MigrationState, plan: Plan): NonNullable<MigrationState['effects']> {
  const placeOf = ({ name }: StagePlan) => plan.stages.findIndex((stage) => stage.name === name);
  return runsOf(state).map((run) => {
    const stage = state.plan.stages[run.stageIndex];
    return stage === undefined ? run : { ...run, stageIndex: placeOf(stage) };
  });
}
