import { alphaAtEntry } from './alpha-spending';
import { type MigrationState, stageAt } from './migration-state';
import type { StagePlan } from './plan';

/** The current stage as this entry into it is judged: with its own part of alpha. */
export function judgedStage({
  plan,
  stageIndex,
  stage: { entry },
}: Pick<MigrationState, 'plan' | 'stageIndex' | 'stage'>): StagePlan {
  const stage = stageAt(plan, stageIndex);
  // A plan of an older release gives each stage its alpha once and for all.
  if (plan.alpha === undefined || entry === undefined || entry === 0) return stage;
  return { ...stage, alpha: alphaAtEntry(plan.alpha, entry, stageIndex) };
}
