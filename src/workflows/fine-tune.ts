import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  log,
  setCurrentDetails,
  setDefaultSignalHandler,
  setHandler,
} from '@temporalio/workflow';
import { type FineTuneResult, TRAINING_QUERIES } from '../contract';
import { jsonBytes } from '../core/text/json-bytes';
import { isPreempted, nextStep, trainingTransition } from '../core/training/fine-tune';
import {
  readTrainingCommand,
  TRAINING_COMMANDS,
  type TrainingCommandName,
  trainingRefusal,
} from '../core/training/fine-tune-command';
import type { TrainingEvent, TrainingStep, UntimedTrainingEvent } from '../core/training/fine-tune-events';
import { type FineTuneInput, type FineTuneState, startedTraining } from '../core/training/fine-tune-state';
import { trainingDetails, trainingStatus } from '../core/training/fine-tune-status';
import { continueOnCurrentBuild, handleMove } from './current-build';
import { carryOutTraining } from './training-steps';

/** The longest state that is carried to another run; Temporal ends a workflow whose input has 2 MB. */
const CARRIED_BYTES = 1_500_000;

/**
 * Fine-tunes a model as planned. The pure machine in `core/training/fine-tune.ts` decides; this loop does what it says as
 * an activity or a wait and feeds the result back.
 */
export async function fineTune(input: FineTuneInput): Promise<FineTuneResult> {
  let state = startedTraining(input, Date.now());
  let running: TrainingStep | null = null;
  const apply = (event: UntimedTrainingEvent): void => {
    state = trainingTransition(state, { ...event, atMs: Date.now() } as TrainingEvent);
    setCurrentDetails(trainingDetails(state, running));
  };
  for (const name of Object.keys(TRAINING_COMMANDS) as TrainingCommandName[])
    handle(name, () => state, apply);
  let moving = false;
  handleMove(() => {
    moving = true;
  });
  const movesNow = () => moving && jsonBytes(state) <= CARRIED_BYTES;
  setDefaultSignalHandler((name) => log.warn('a message was refused', { name }));
  setHandler(defineQuery(TRAINING_QUERIES.status), () => trainingStatus(state, running), {
    description: 'Step, recipe, verdicts, and what was decided',
  });
  setHandler(defineQuery(TRAINING_QUERIES.checkpoints), () => state.checkpoints, {
    description: 'Everything that was saved, oldest first',
  });

  CancellationScope.current().cancelRequested.catch(() => apply({ type: 'cancelled' }));
  await CancellationScope.nonCancellable(async () => {
    for (let step = nextStep(state); step.type !== 'close'; step = nextStep(state)) {
      if (movesNow()) {
        await condition(allHandlersFinished);
        if (nextStep(state).key !== step.key) continue;
        await continueOnCurrentBuild<typeof fineTune>({ ...input, carried: state });
      }
      const begun = state;
      const { key } = step;
      const preempted = () =>
        isPreempted(state, begun) || (step.type === 'wait' && (movesNow() || nextStep(state).key !== key));
      running = step.type === 'wait' ? null : step;
      setCurrentDetails(trainingDetails(state, running));
      const event = await carryOutTraining(step, begun, preempted);
      running = null;
      if (event !== null) apply(event);
    }
    await condition(allHandlersFinished);
  });
  return resultOf(state);
}

function handle(
  name: TrainingCommandName,
  current: () => FineTuneState,
  apply: (event: UntimedTrainingEvent) => void,
): void {
  const description = TRAINING_COMMANDS[name];
  const problemOf = (payload: unknown): string | null => {
    const command = readTrainingCommand(name, payload);
    return typeof command === 'string' ? command : trainingRefusal(current(), command);
  };
  const obey = (payload: unknown): string | null => {
    const problem = problemOf(payload);
    const command = readTrainingCommand(name, payload);
    if (problem === null && typeof command !== 'string') apply({ type: 'command', command });
    return problem;
  };
  // Whatever a person types into the Temporal UI arrives here: nothing may throw.
  setHandler(
    defineSignal<[payload: unknown]>(name),
    (payload) => {
      const problem = obey(payload);
      if (problem !== null) log.warn('a message was refused', { name, problem });
    },
    { description },
  );
  setHandler(
    defineUpdate<string, [payload: unknown]>(name),
    (payload) => {
      const problem = obey(payload);
      if (problem !== null) throw ApplicationFailure.nonRetryable(problem, 'CommandRefused');
      return `${name} accepted`;
    },
    {
      description,
      validator: (payload) => {
        const problem = problemOf(payload);
        if (problem !== null) throw new Error(problem);
      },
    },
  );
}

function resultOf(state: FineTuneState): FineTuneResult {
  const { outcome, trainingId, exported } = state;
  if (outcome === null) throw new Error('expected an outcome at the end of a fine-tuning');
  const reason = state.decisions.at(-1)?.reason ?? '';
  return { headline: `${outcome}: ${reason}`.slice(0, 500), trainingId, outcome, reason, exported };
}
