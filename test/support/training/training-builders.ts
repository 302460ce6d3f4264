import type { SavedSteps } from '../../../src/core/training/fine-tune-events';
import type { PairedLoss } from '../../../src/core/training/paired-loss';
import type { TrainingPlan } from '../../../src/core/training/training-plan';
import { trainingPlanSchema } from '../../../src/core/training/training-plan-schema';

/** A plan of 20 steps with a checkpoint every 10. */
export function trainingPlan(changes: Partial<TrainingPlan> = {}): TrainingPlan {
  const written = {
    ...{ name: 'tiny', model: '/m', data: '/d', evaluation: '/e', runFolder: '/r' },
    ...{ steps: 20, checkpointEvery: 10 },
  };
  return { ...trainingPlanSchema.parse(written), ...changes };
}

/** What a process saved at a step. */
export function savedSteps(step: number): SavedSteps {
  return {
    ...{ step, path: `/r/${step}`, digest: `d${step}`, bytes: 1, lastLoss: 1, secondsPerStep: 1 },
    ...{ liveBytes: 1, temporaryBytes: 1, curve: [], saturation: [] },
  };
}

/** A verdict that lets a model pass. */
export function passed(): PairedLoss {
  return {
    ...{ outcome: 'pass', difference: 0, interval: [0, 0], margin: 0.005, batches: 8 },
    ...{ loss: 1, lossBf16: 1, sentence: 'it passes' },
  };
}
