import { Context } from '@temporalio/activity';
import type { ExportModelInput, TrainingActivities } from '../contract';
import type { SavedSteps } from '../core/training/fine-tune-events';
import { fitPlan, PlanTooLarge } from '../core/training/memory-fit';
import { comparePairs } from '../core/training/paired-loss';
import type { TrainingPlan, TrainingSettings } from '../core/training/training-plan';
import type { TrainerAnswer, TrainerPort } from '../ports';
import { withHeartbeats } from './heartbeats';

/** Each starts the process that trains, and translates between the plan and its job. */
export function createTrainingActivities(trainer: TrainerPort): TrainingActivities {
  return {
    planTraining: async ({ plan }) => {
      const { recipe, microBatch, recompute } = plan;
      const answer = await run(trainer, 'check', {
        ...jobOf(plan, { recipe, microBatch, recompute }),
        target: plan.exportFolder,
      });
      if ('problem' in answer) return answer;
      const found = answer.result as unknown as CheckReply;
      const { sequenceTokens } = plan;
      try {
        const fit = fitPlan(plan, plan.memoryBytes ?? found.memoryBytes, (settings) =>
          // On a CPU XLA removes recomputation again.
          trainer.memoryNeed(found.config, {
            ...{ sequenceTokens, ...settings },
            recompute: settings.recompute && !found.device.startsWith('cpu'),
          }),
        );
        const { parameters, chats, evaluationChats, device, jax } = found;
        return { fit, facts: { parameters, chats, evaluationChats, device, jax } };
      } catch (error) {
        if (!(error instanceof PlanTooLarge)) throw error;
        return { problem: { kind: 'bad input', message: error.message } };
      }
    },
    trainSteps: async ({ plan, settings, from, toStep }) => {
      const steps: Step[] = [];
      const answer = await run(trainer, 'train', { ...jobOf(plan, settings), from, toStep }, (step) =>
        steps.push(step as unknown as Step),
      );
      if ('problem' in answer) return answer;
      const { checkpoint, memory, secondsPerStep, saturation } = answer.result as unknown as TrainReply;
      const lastLoss = steps.at(-1)?.loss ?? Number.NaN;
      return { ...checkpoint, ...memory, lastLoss, secondsPerStep, curve: curveOf(steps), saturation };
    },
    evaluateTraining: async ({ plan, settings, judged, against }) => {
      const pair = [
        { checkpoint: judged.path, recipe: judged.settings.recipe },
        { checkpoint: against, recipe: 'bf16' },
      ];
      const answer = await run(trainer, 'evaluate', { ...jobOf(plan, settings), sides: pair });
      if ('problem' in answer) return answer;
      const [losses = [], bf16 = []] = answer.result['losses'] as readonly (readonly number[])[];
      return comparePairs(losses, bf16, plan.gate);
    },
    exportModel: async (input) => {
      const { plan, settings, checkpoint } = input;
      const job = {
        ...jobOf(plan, settings),
        from: checkpoint.path,
        target: plan.exportFolder,
        record: recordOf(input),
      };
      const answer = await run(trainer, 'export', job);
      if ('problem' in answer) return answer;
      const { path, digest } = answer.result as { readonly path: string; readonly digest: string };
      return { path, digest };
    },
  };
}

/** What `check` answers. */
interface CheckReply {
  readonly parameters: number;
  readonly chats: number;
  readonly evaluationChats: number;
  readonly device: string;
  readonly jax: string;
  readonly memoryBytes: number | null;
  readonly config: unknown;
}

/** What `train` answers. */
interface TrainReply extends Pick<SavedSteps, 'secondsPerStep' | 'saturation'> {
  readonly checkpoint: Pick<SavedSteps, 'path' | 'step' | 'digest' | 'bytes'>;
  readonly memory: Pick<SavedSteps, 'liveBytes' | 'temporaryBytes'>;
}

interface Step {
  readonly step: number;
  readonly loss: number;
}

const POINTS_MOST = 20;

/** At most 20 points of a loss curve, evenly spread; all of them are in the checkpoint's metrics. */
function curveOf(steps: readonly Step[]): readonly (readonly [step: number, loss: number])[] {
  const every = Math.max(1, Math.ceil(steps.length / POINTS_MOST));
  return steps
    .filter((_, at) => (at + 1) % every === 0 || at === steps.length - 1)
    .map(({ step, loss }) => [step, loss]);
}

function recordOf({ trainingId, plan, checkpoint, verdicts }: ExportModelInput) {
  return { trainingId, plan: plan.name, checkpoint: checkpoint.digest, gate: verdicts };
}

async function run(
  trainer: TrainerPort,
  command: 'check' | 'train' | 'evaluate' | 'export',
  job: Readonly<Record<string, unknown>>,
  onStep: (step: Readonly<Record<string, unknown>>) => void = () => undefined,
): Promise<TrainerAnswer> {
  let last: unknown;
  const { cancellationSignal: signal } = Context.current();
  return withHeartbeats(
    () =>
      trainer.run(command, job, {
        signal,
        onStep: (step) => {
          last = step;
          onStep(step);
        },
      }),
    () => last,
  );
}

function jobOf(plan: TrainingPlan, settings: TrainingSettings): Readonly<Record<string, unknown>> {
  const { gate, divergence, rehearse } = plan;
  const saves = (steps: number) => Math.ceil(steps / plan.checkpointEvery);
  const { model, tokenizer, data, evaluation, runFolder, steps, sequenceTokens, seed } = plan;
  const { learningRate, warmupSteps, weightDecay, clip, memoryBytes } = plan;
  return {
    ...{ model, tokenizer, data, evaluation, runFolder, steps, sequenceTokens, seed },
    ...{ learningRate, warmupSteps, weightDecay, clip, memoryBytes },
    ...settings,
    accumulation: plan.batch / settings.microBatch,
    gradientNormMost: divergence.gradientNorm,
    saturationMost: divergence.saturation,
    checkpoints: saves(steps) + (plan.recipe === 'bf16' ? 0 : saves(gate.steps)),
    // Safer recipes are to show that they come through without it; the reference is never disturbed.
    ...(rehearse === null || settings.recipe !== plan.recipe ? {} : { fault: rehearse }),
  };
}
