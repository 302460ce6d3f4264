import { follows, isRamping, type MigrationState, stageAt } from '../migration/migration-state';
import { judgedShare, type StagePlan } from '../plan/plan';
import { rampStepOf } from '../plan/ramp';
import { alphaAtEntry, alphaAtStep } from './alpha-spending';

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
  const judged =
    plan.alpha === undefined || entry === 0
      ? held
      : { ...held, alpha: alphaAtEntry(plan.alpha, entry, stageIndex) };
  return stage.ramp === undefined ? judged : judgedInRamp(judged, state);
}

/** A stage with a ramp: each share has its part of alpha, and what earlier steps have had of the burn-in is over. */
function judgedInRamp(judged: StagePlan, state: MigrationState): StagePlan {
  const { plan, stageIndex, inEffect, stage: progress } = state;
  const stage = stageAt(plan, stageIndex);
  const share = inEffect?.record.share ?? stage.share;
  const { burnIn } = stage;
  const { observedMs = 0, burnInRequests = 0 } = progress.ramp ?? {};
  return {
    ...judged,
    ...(isRamping(state) ? { share, rampingTo: judgedShare(stage) } : {}),
    alpha: alphaAtStep(judged.alpha, rampStepOf(plan, stageIndex, share)),
    burnIn: {
      timeMs: Math.max(0, burnIn.timeMs - observedMs),
      requests: Math.max(0, burnIn.requests - burnInRequests),
    },
  };
}
