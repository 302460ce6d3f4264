import type { MemoryFit } from './memory-fit';
import type { PairedLoss } from './paired-loss';
import type { TrainingPlan, TrainingSettings } from './training-plan';

/** How a fine-tuning ended. */
export type TrainingOutcome =
  /** Passed its gate and exported. */
  | 'exported'
  /** The gate did not pass: nothing was exported. */
  | 'rejected'
  /** The plan cannot be carried out: found before the first step. */
  | 'refused'
  | 'stopped';

/** The trained model, or BF16 on the same chats for comparison. */
export type Lane = 'main' | 'reference';

/** A saved state of training. */
export interface TrainingCheckpoint {
  /** From 1, in the order of saving, over both lanes. */
  readonly number: number;
  readonly lane: Lane;
  readonly step: number;
  readonly path: string;
  /** SHA-256 of its manifest, in hex: the same steps from the same seed give the same digest. */
  readonly digest: string;
  readonly bytes: number;
  readonly settings: TrainingSettings;
  /** The checkpoint from which it was trained; null for the first. */
  readonly parent: number | null;
  readonly lastLoss: number;
  readonly secondsPerStep: number;
  /** Of live arrays at their peak; what the compiler reserves within a micro-batch comes on top. */
  readonly liveBytes: number;
  readonly temporaryBytes: number;
  /** Step and loss, a few points of the steps that led here. */
  readonly curve: readonly (readonly [step: number, loss: number])[];
  /** The operands of linear layers of which most was clipped, worst first; none in BF16. */
  readonly saturation: readonly LayerSaturation[];
  readonly atMs: number;
}

/** How well an FP8 format fitted one operand of a layer. */
export interface LayerSaturation {
  readonly layer: string;
  readonly operand: 'input' | 'weight' | 'gradient';
  /** Clipped to the largest value, flushed to zero, and all that there were. */
  readonly overflow: number;
  readonly underflow: number;
  readonly elements: number;
}

/** Something that was decided, by whom and why. */
export interface TrainingDecision {
  readonly seq: number;
  readonly atMs: number;
  readonly what: string;
  readonly reason: string;
  readonly by: string;
}

/** What the model's files and the device say, found before the first step. */
export interface TrainingFacts {
  readonly parameters: number;
  readonly chats: number;
  readonly evaluationChats: number;
  readonly device: string;
  readonly jax: string;
}

/** A verdict on the loss against BF16. */
export interface TrainingVerdict extends PairedLoss {
  /** `trained`: against a model that BF16 trained as long. `served`: the same weights, computed in BF16. */
  readonly about: 'trained' | 'served';
  readonly step: number;
  /** The checkpoint that was judged. */
  readonly checkpoint: number;
  readonly atMs: number;
}

/** Everything that a fine-tuning knows: plain JSON. */
export interface FineTuneState {
  /** The decisions that it follows; 1 is the first. */
  readonly revision: number;
  readonly trainingId: string;
  readonly plan: TrainingPlan;
  readonly by: string;
  readonly startedAtMs: number;
  readonly outcome: TrainingOutcome | null;
  readonly endedAtMs: number | null;
  /** Rises when running work no longer matters: results of an older epoch are dropped. */
  readonly epoch: number;
  readonly facts: TrainingFacts | null;
  readonly fit: MemoryFit | null;
  /** What the main lane trains with now; null before the plan was fitted. */
  readonly settings: TrainingSettings | null;
  /** Likewise the reference, whose recipe is BF16. */
  readonly referenceSettings: TrainingSettings | null;
  /** Of both lanes, oldest first, also those that were left again. */
  readonly checkpoints: readonly TrainingCheckpoint[];
  /** Numbers of the checkpoints from which each lane goes on; null: from the weights. */
  readonly heads: Readonly<Record<Lane, number | null>>;
  readonly verdicts: readonly TrainingVerdict[];
  readonly paused: { readonly by: string; readonly reason: string; readonly atMs: number } | null;
  /** What only a person can settle; `resume` tries again. */
  readonly held: { readonly reason: string; readonly atMs: number } | null;
  readonly exported: { readonly path: string; readonly digest: string } | null;
  /** Oldest first. */
  readonly decisions: readonly TrainingDecision[];
}

/** What starts a fine-tuning: the one argument of the workflow. */
export interface FineTuneInput {
  readonly trainingId: string;
  readonly plan: TrainingPlan;
  readonly by: string;
  readonly reason: string;
  /** What an earlier run of the workflow carried on. Absent: this is the first. */
  readonly carried?: FineTuneState;
}

const TRAINING_REVISION = 1;

/** The state with which a run begins: before anything was done, or as an earlier run carried it on. */
export function startedTraining(input: FineTuneInput, atMs: number): FineTuneState {
  const { trainingId, plan, by, reason, carried } = input;
  if (carried !== undefined) return carried;
  return {
    revision: TRAINING_REVISION,
    trainingId,
    plan,
    by,
    startedAtMs: atMs,
    outcome: null,
    endedAtMs: null,
    epoch: 0,
    facts: null,
    fit: null,
    settings: null,
    referenceSettings: null,
    checkpoints: [],
    heads: { main: null, reference: null },
    verdicts: [],
    paused: null,
    held: null,
    exported: null,
    decisions: [{ seq: 1, atMs, what: 'started', reason, by }],
  };
}

/** The checkpoint from which a lane goes on; null: from the weights. */
export function headOf(state: FineTuneState, lane: Lane): TrainingCheckpoint | null {
  const number = state.heads[lane];
  return number === null ? null : (state.checkpoints[number - 1] ?? null);
}

/** The main lane's checkpoint at a step on the way to its head; null where it has not come so far. */
export function ancestorAt(state: FineTuneState, step: number): TrainingCheckpoint | null {
  let at = headOf(state, 'main');
  while (at !== null && at.step > step)
    at = at.parent === null ? null : (state.checkpoints[at.parent - 1] ?? null);
  return at?.step === step ? at : null;
}

/** With one more decision. */
export function decided(
  state: FineTuneState,
  entry: { readonly what: string; readonly reason: string; readonly by?: string; readonly atMs: number },
): FineTuneState {
  const { what, reason, by = 'cutover', atMs } = entry;
  return {
    ...state,
    decisions: [...state.decisions, { seq: state.decisions.length + 1, atMs, what, reason, by }],
  };
}
