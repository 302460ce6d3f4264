import { follows, type MigrationState, stageAt } from '../migration/migration-state';
import type { StagePlan } from '../plan/plan';
import { alphaAtEntry } from './alpha-spending';

/** The current stage as this entry into it is judged: with its own part of alpha, at the share that is applied. */
export function judgedStage(state: MigrationState): StagePlan {
  const { plan, stageIndex, inEffect, stage: progress } = state;
  const { entry = 0 } = progress;
  const { holdback, ...stage } = stageAt(plan, stageIndex);
  const held =
    holdback !== undefined && follows(state, 3)
      ? { ...stage, holdback, share: inEffect?.record.share ?? stage.share }
      : stage;
  // A plan of an older release gives each stage its alpha once and for all.
  return plan.alpha === undefined || entry === 0
    ? held
    : { ...held, alpha: alphaAtEntry(plan.alpha, entry, stageIndex) };
}
