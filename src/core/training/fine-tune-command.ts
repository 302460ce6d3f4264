import { isJsonObject } from '../text/json-object';
import type { FineTuneState } from './fine-tune-state';

export type TrainingCommandName = 'pause' | 'resume' | 'stop' | 'backTo';

/** What a person can ask of a running fine-tuning. */
export type TrainingCommand = { readonly by: string; readonly reason: string } & (
  | { readonly name: 'pause' | 'resume' | 'stop' }
  | { readonly name: 'backTo'; readonly checkpoint: number }
);

/** What a person reads in the Temporal UI's menus. */
export const TRAINING_COMMANDS: Readonly<Record<TrainingCommandName, string>> = {
  pause: 'Stop training after the next checkpoint, until it is resumed. {"by":"ana","reason":"..."}',
  resume: 'Continue, also after a hold that only a person can end',
  stop: 'End now; checkpoints are kept, nothing is exported. {"by":"ana","reason":"..."}',
  backTo: 'Continue from an earlier checkpoint: {"checkpoint":3,"by":"ana","reason":"..."}',
};

const TEXT_MOST = 1_000;

/** Reads what was sent; a text says what is wrong with it. Never throws. */
export function readTrainingCommand(name: TrainingCommandName, payload: unknown): TrainingCommand | string {
  if (payload !== undefined && payload !== null && !isJsonObject(payload)) {
    return `${name}: expected one object such as {"by":"ana","reason":"..."}, got ${JSON.stringify(payload)?.slice(0, 100)}`;
  }
  const fields: Readonly<Record<string, unknown>> = Object.assign(Object.create(null), payload);
  const known = name === 'backTo' ? ['by', 'reason', 'checkpoint'] : ['by', 'reason'];
  const unknown = Object.keys(fields).find((field) => !known.includes(field));
  if (unknown !== undefined) {
    return `${name}: expected only the fields ${known.join(', ')}, got "${unknown.slice(0, 100)}"`;
  }
  const { by = '', reason = '', checkpoint } = fields;
  for (const [field, value] of Object.entries({ by, reason })) {
    if (typeof value !== 'string' || value.length > TEXT_MOST) {
      return `${name}: expected ${field} to be a text of at most ${TEXT_MOST} characters, got ${typeof value}`;
    }
  }
  const base = { by: String(by).trim() || 'unknown', reason: String(reason).trim() };
  if (name !== 'backTo') return { ...base, name };
  if (typeof checkpoint !== 'number' || !Number.isSafeInteger(checkpoint) || checkpoint < 0) {
    return `backTo: expected the number of a checkpoint, or 0 for the weights, got ${JSON.stringify(checkpoint) ?? 'none'}`;
  }
  return { ...base, name, checkpoint };
}

/** Why a command cannot be carried out now; null when it can. */
export function trainingRefusal(state: FineTuneState, command: TrainingCommand): string | null {
  if (state.outcome !== null) return `${command.name}: ${state.trainingId} is over (${state.outcome})`;
  switch (command.name) {
    case 'pause':
      return state.paused === null ? null : `pause: ${state.paused.by} has paused it already`;
    case 'resume':
      return state.paused === null && state.held === null ? 'resume: it is not paused' : null;
    case 'stop':
      return null;
    case 'backTo': {
      if (command.checkpoint === 0) return null;
      const wanted = state.checkpoints[command.checkpoint - 1];
      if (wanted?.lane === 'main') return null;
      const known = state.checkpoints.filter(({ lane }) => lane === 'main').map(({ number }) => number);
      return `backTo: expected a checkpoint of the model (${known.join(', ') || 'there is none yet'}), got ${command.checkpoint}`;
    }
    default:
      return command satisfies never;
  }
}
