import {
  ActivityCancellationType,
  type ActivityOptions,
  condition,
  proxyActivities,
} from '@temporalio/workflow';
import { type OrProblem, TRAINING_TASK_QUEUE, type TrainingActivities } from '../contract';
import type { TrainingProblem, TrainingStep, UntimedTrainingEvent } from '../core/training/fine-tune-events';
import type { FineTuneState } from '../core/training/fine-tune-state';
import { stepText } from '../core/training/fine-tune-status';
import type { TrainingSettings } from '../core/training/training-plan';
import { unlessPreempted } from './unless-preempted';

/** Does what was decided and returns what came of it, or null when something pre-empted it. */
export function carryOutTraining(
  step: TrainingStep,
  state: FineTuneState,
  preempted: () => boolean,
): Promise<UntimedTrainingEvent | null> {
  if (step.type === 'wait') return condition(preempted).then(() => null);
  return unlessPreempted(
    () => perform(step, state),
    preempted,
    (message) => failure(step, state, { kind: 'bad input', message }),
  );
}

async function perform(
  step: Exclude<TrainingStep, { type: 'wait' }>,
  state: FineTuneState,
): Promise<UntimedTrainingEvent> {
  const { plan, epoch, trainingId } = state;
  const run = activities(stepText(step), step.type === 'train' ? { startToCloseTimeout: '30 days' } : {});
  switch (step.type) {
    case 'plan': {
      const planned = await run.planTraining({ plan });
      return isProblem(planned)
        ? failure(step, state, planned.problem)
        : { type: 'planned', epoch, fit: planned.fit, facts: planned.facts };
    }
    case 'train': {
      const { lane, settings, toStep } = step;
      const saved = await run.trainSteps({ plan, settings, from: step.from?.path ?? null, toStep });
      if (isProblem(saved)) return failure(step, state, saved.problem);
      return { type: 'trained', epoch, lane, settings, saved };
    }
    case 'evaluate': {
      const { about, judged, against } = step;
      const settings = state.settings as TrainingSettings;
      const verdict = await run.evaluateTraining({ plan, settings, judged, against: against.path });
      if (isProblem(verdict)) return failure(step, state, verdict.problem);
      return { type: 'evaluated', epoch, about, checkpoint: judged.number, step: judged.step, verdict };
    }
    case 'export': {
      const settings = state.settings as TrainingSettings;
      const verdicts = state.verdicts.map(({ sentence }) => sentence);
      const input = { plan, settings, trainingId, checkpoint: step.checkpoint, verdicts };
      const exported = await run.exportModel(input);
      return isProblem(exported)
        ? failure(step, state, exported.problem)
        : { type: 'exported', epoch, ...exported };
    }
    case 'close':
      throw new Error('expected something to do, and it is over');
    default:
      return step satisfies never;
  }
}

function failure(
  step: TrainingStep,
  { epoch }: FineTuneState,
  problem: TrainingProblem,
): UntimedTrainingEvent {
  return { type: 'failed', epoch, lane: step.type === 'train' ? step.lane : null, problem };
}

function isProblem<T extends object>(
  answer: OrProblem<T>,
): answer is Extract<OrProblem<T>, { problem: unknown }> {
  return 'problem' in answer;
}

function activities(summary: string, options: Pick<ActivityOptions, 'startToCloseTimeout'>) {
  return proxyActivities<TrainingActivities>({
    taskQueue: TRAINING_TASK_QUEUE,
    startToCloseTimeout: '1 day',
    // A process that was killed is begun anew from the checkpoint; one that always ends so is looked at by a person.
    retry: { initialInterval: '1s', backoffCoefficient: 1.5, maximumInterval: '1 min', maximumAttempts: 30 },
    heartbeatTimeout: '30s',
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    ...options,
    summary: summary.slice(0, 200),
  });
}
