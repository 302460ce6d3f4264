import { type TrainingCommand, trainingRefusal } from './fine-tune-command';
import type { SavedSteps, TrainingEvent, TrainingProblem, TrainingStep } from './fine-tune-events';
import {
  ancestorAt,
  decided,
  type FineTuneState,
  headOf,
  type Lane,
  type TrainingOutcome,
  type TrainingVerdict,
} from './fine-tune-state';
import { saferThan } from './recipe';
import { smallerMicroBatch, type TrainingSettings } from './training-plan';

const GATE_RESULTS: Readonly<Record<TrainingVerdict['outcome'], string>> = {
  pass: 'gate passed',
  fail: 'gate failed',
  inconclusive: 'gate inconclusive',
};

/**
 * The state machine of a fine-tuning: pure. The workflow decides by `nextStep`, carries it out and feeds back what came of
 * it. Results of an older epoch, and anything after the end, change nothing.
 */
export function trainingTransition(state: FineTuneState, event: TrainingEvent): FineTuneState {
  if (state.outcome !== null) return state;
  if ('epoch' in event && event.epoch !== state.epoch) return state;
  const { atMs } = event;
  switch (event.type) {
    case 'planned': {
      const { fit, facts } = event;
      const reference = { ...fit.settings, recipe: 'bf16' as const };
      const planned = { ...state, fit, facts, settings: fit.settings, referenceSettings: reference };
      const reason =
        fit.changes.length === 0 ? 'it fits as planned' : `it fits with ${fit.changes.join('; ')}`;
      return decided(planned, { what: 'planned', reason, atMs });
    }
    case 'trained':
      return saved(state, event);
    case 'evaluated': {
      const { about, checkpoint, step, verdict } = event;
      const judged: FineTuneState = {
        ...state,
        verdicts: [...state.verdicts, { ...verdict, about, checkpoint, step, atMs }],
      };
      const noted = decided(judged, {
        what: GATE_RESULTS[verdict.outcome],
        reason: `as ${about}, ${verdict.sentence}`,
        atMs,
      });
      return verdict.outcome === 'pass' ? noted : ended(noted, 'rejected', verdict.sentence, 'cutover', atMs);
    }
    case 'exported': {
      const { path, digest } = event;
      return ended(
        { ...state, exported: { path, digest } },
        'exported',
        `${digest} at ${path}`,
        'cutover',
        atMs,
      );
    }
    case 'failed':
      return failed(state, event.lane, event.problem, atMs);
    case 'command':
      return trainingRefusal(state, event.command) === null
        ? afterCommand(state, event.command, atMs)
        : state;
    case 'cancelled':
      return ended(state, 'stopped', 'the workflow was cancelled', 'temporal', atMs);
    default:
      return event satisfies never;
  }
}

/** What to do now. A pause lets running work come to its checkpoint: see `isPreempted`. */
export function nextStep(state: FineTuneState): TrainingStep {
  if (state.outcome !== null) return { type: 'close', key: 'close' };
  const { plan, epoch, settings, held, paused } = state;
  const waits = held?.reason ?? (paused === null ? null : `paused by ${paused.by}`);
  if (waits !== null) return { type: 'wait', key: `wait:${epoch}:${held === null}`, why: waits };
  if (settings === null) return { type: 'plan', key: `plan:${epoch}` };
  const isGated = plan.recipe !== 'bf16';
  const compared = ancestorAt(state, plan.gate.steps);
  if (isGated && compared !== null && !hasPassed(state, 'trained', compared.number)) {
    const reference = headOf(state, 'reference');
    if (reference === null || reference.step < plan.gate.steps)
      return train(state, 'reference', plan.gate.steps);
    return evaluate(state, 'trained', compared, reference);
  }
  const head = headOf(state, 'main');
  const goal = isGated && (head?.step ?? 0) < plan.gate.steps ? plan.gate.steps : plan.steps;
  if (head === null || head.step < plan.steps) return train(state, 'main', goal);
  if (isGated && !hasPassed(state, 'served', head.number)) return evaluate(state, 'served', head, head);
  return { type: 'export', key: `export:${epoch}:${head.number}`, checkpoint: head };
}

/** Whether running work is no longer of use: stopped, sent back, or over. A pause does not make it so. */
export function isPreempted(state: FineTuneState, begun: FineTuneState): boolean {
  return state.outcome !== null || state.epoch !== begun.epoch;
}

function train(state: FineTuneState, lane: Lane, goal: number): TrainingStep {
  const from = headOf(state, lane);
  const settings = (lane === 'main' ? state.settings : state.referenceSettings) as TrainingSettings;
  const toStep = Math.min(goal, (from?.step ?? 0) + state.plan.checkpointEvery);
  const key = `train:${state.epoch}:${lane}:${from?.number ?? 0}:${toStep}`;
  return { type: 'train', key, lane, from, toStep, settings };
}

function evaluate(
  state: FineTuneState,
  about: TrainingVerdict['about'],
  judged: NonNullable<ReturnType<typeof headOf>>,
  against: NonNullable<ReturnType<typeof headOf>>,
): TrainingStep {
  return {
    type: 'evaluate',
    key: `evaluate:${state.epoch}:${about}:${judged.number}`,
    about,
    judged,
    against,
  };
}

function hasPassed(state: FineTuneState, about: TrainingVerdict['about'], checkpoint: number): boolean {
  return state.verdicts.some((verdict) => verdict.about === about && verdict.checkpoint === checkpoint);
}

function saved(
  state: FineTuneState,
  {
    lane,
    settings,
    saved: steps,
    atMs,
  }: { lane: Lane; settings: TrainingSettings; saved: SavedSteps; atMs: number },
): FineTuneState {
  const number = state.checkpoints.length + 1;
  const checkpoint = { ...steps, number, lane, settings, parent: state.heads[lane], atMs };
  return {
    ...state,
    checkpoints: [...state.checkpoints, checkpoint],
    heads: { ...state.heads, [lane]: number },
  };
}

function failed(
  state: FineTuneState,
  lane: Lane | null,
  problem: TrainingProblem,
  atMs: number,
): FineTuneState {
  const { kind, message } = problem;
  if (state.settings === null) return ended(state, 'refused', message, 'cutover', atMs);
  if (lane !== null && kind === 'out of memory') return withLessMemory(state, lane, message, atMs);
  if (lane === 'main' && kind === 'diverged') return withSaferRecipe(state, message, atMs);
  const head = lane === null ? null : headOf(state, lane);
  if (lane !== null && head !== null && kind === 'corrupt checkpoint') {
    const back = { ...state, epoch: state.epoch + 1, heads: { ...state.heads, [lane]: head.parent } };
    return decided(back, { what: `${lane}: back to checkpoint ${head.parent ?? 0}`, reason: message, atMs });
  }
  return held(state, `${kind}: ${message}`, atMs);
}

function withLessMemory(state: FineTuneState, lane: Lane, message: string, atMs: number): FineTuneState {
  const of = lane === 'main' ? 'settings' : 'referenceSettings';
  const settings = state[of] as TrainingSettings;
  const { batch } = state.plan;
  const microBatch = smallerMicroBatch(batch, settings.microBatch);
  if (microBatch === null && settings.recompute) return held(state, `out of memory: ${message}`, atMs);
  const less = microBatch === null ? { ...settings, recompute: true } : { ...settings, microBatch };
  const what =
    microBatch === null
      ? `${lane}: activations are computed twice`
      : `${lane}: micro-batch ${microBatch}, accumulated ${batch / microBatch} times`;
  return decided({ ...state, epoch: state.epoch + 1, [of]: less }, { what, reason: message, atMs });
}

function withSaferRecipe(state: FineTuneState, message: string, atMs: number): FineTuneState {
  const settings = state.settings as TrainingSettings;
  const recipe = saferThan(settings.recipe);
  if (recipe === null) return held(state, `diverged in ${settings.recipe}: ${message}`, atMs);
  const back = headOf(state, 'main');
  const from = back === null ? 'the weights' : `checkpoint ${back.number} (step ${back.step})`;
  return decided(
    { ...state, epoch: state.epoch + 1, settings: { ...settings, recipe } },
    { what: `back to ${from}, continuing with ${recipe}`, reason: message, atMs },
  );
}

function held(state: FineTuneState, reason: string, atMs: number): FineTuneState {
  const what = 'held until a person resumes, stops or goes back';
  return decided({ ...state, epoch: state.epoch + 1, held: { reason, atMs } }, { what, reason, atMs });
}

function afterCommand(state: FineTuneState, command: TrainingCommand, atMs: number): FineTuneState {
  const { by, reason } = command;
  switch (command.name) {
    case 'pause':
      return decided({ ...state, paused: { by, reason, atMs } }, { what: 'paused', reason, by, atMs });
    case 'resume':
      return decided({ ...state, paused: null, held: null }, { what: 'resumed', reason, by, atMs });
    case 'stop':
      return ended(state, 'stopped', reason, by, atMs);
    case 'backTo': {
      const number = command.checkpoint === 0 ? null : command.checkpoint;
      const back = { ...state, epoch: state.epoch + 1, held: null, heads: { ...state.heads, main: number } };
      return decided(back, { what: `back to checkpoint ${command.checkpoint}`, reason, by, atMs });
    }
    default:
      return command satisfies never;
  }
}

function ended(
  state: FineTuneState,
  outcome: TrainingOutcome,
  reason: string,
  by: string,
  atMs: number,
): FineTuneState {
  return decided({ ...state, outcome, endedAtMs: atMs }, { what: outcome, reason, by, atMs });
}
