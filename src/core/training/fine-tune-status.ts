import { nextStep } from './fine-tune';
import type { TrainingStep } from './fine-tune-events';
import {
  type FineTuneState,
  headOf,
  type TrainingCheckpoint,
  type TrainingDecision,
} from './fine-tune-state';

/** What a person asks about first. */
export interface TrainingStatus {
  readonly trainingId: string;
  readonly name: string;
  readonly outcome: FineTuneState['outcome'];
  readonly doing: string;
  readonly recipe: string;
  readonly step: number;
  readonly steps: number;
  readonly lastLoss: number | null;
  readonly microBatch: number | null;
  readonly paused: FineTuneState['paused'];
  readonly held: FineTuneState['held'];
  readonly facts: FineTuneState['facts'];
  /** Planned and, at the newest checkpoint, measured: bytes of live arrays, and what comes and goes beside them. */
  readonly memory: {
    readonly availableBytes: number | null;
    readonly planned: { readonly stateBytes: number; readonly temporaryBytes: number };
    readonly measured: { readonly liveBytes: number; readonly temporaryBytes: number } | null;
  } | null;
  readonly verdicts: FineTuneState['verdicts'];
  readonly exported: FineTuneState['exported'];
  readonly decisions: readonly TrainingDecision[];
}

/** `running` is what was begun and may go on although the job is paused; null while it waits. */
export function trainingStatus(state: FineTuneState, running: TrainingStep | null): TrainingStatus {
  const head = headOf(state, 'main');
  const { plan, fit, settings } = state;
  return {
    trainingId: state.trainingId,
    name: plan.name,
    outcome: state.outcome,
    doing: doingText(state, running),
    recipe: settings?.recipe ?? plan.recipe,
    step: head?.step ?? 0,
    steps: plan.steps,
    lastLoss: head?.lastLoss ?? null,
    microBatch: settings?.microBatch ?? null,
    paused: state.paused,
    held: state.held,
    facts: state.facts,
    memory:
      fit === null
        ? null
        : { availableBytes: fit.availableBytes, planned: fit.need, measured: measuredOf(head) },
    verdicts: state.verdicts,
    exported: state.exported,
    decisions: state.decisions,
  };
}

function doingText(state: FineTuneState, running: TrainingStep | null): string {
  const next = nextStep(state);
  if (running === null || state.outcome !== null) return stepText(next);
  return next.type === 'wait' ? `${stepText(running)}, then ${stepText(next)}` : stepText(running);
}

/** What is under way, in a line. */
export function stepText(step: TrainingStep): string {
  switch (step.type) {
    case 'plan':
      return 'checking the input and planning memory';
    case 'train': {
      const who = step.lane === 'main' ? step.settings.recipe : 'the BF16 reference';
      return `training ${who} from step ${step.from?.step ?? 0} to ${step.toStep}`;
    }
    case 'evaluate':
      return step.about === 'trained'
        ? `comparing with the BF16 reference at step ${step.judged.step}`
        : `comparing ${step.judged.settings.recipe} with BF16 on the trained weights`;
    case 'export':
      return 'exporting the model';
    case 'wait':
      return `waiting: ${step.why}`;
    case 'close':
      return 'over';
    default:
      return step satisfies never;
  }
}

function measuredOf(head: TrainingCheckpoint | null) {
  return head === null ? null : { liveBytes: head.liveBytes, temporaryBytes: head.temporaryBytes };
}

const DECISIONS_SHOWN = 5;

/** A short Markdown summary for the Temporal UI. */
export function trainingDetails(state: FineTuneState, running: TrainingStep | null): string {
  const { doing, step, steps, recipe, outcome, lastLoss } = trainingStatus(state, running);
  const loss = lastLoss === null ? '' : `, loss ${lastLoss.toFixed(4)}`;
  const last = state.decisions.slice(-DECISIONS_SHOWN);
  return [
    ...(outcome === null ? [] : [`**${outcome}**`]),
    `${recipe}, step ${step} of ${steps}${loss}`,
    `Now: ${doing}`,
    last.map(({ seq, what, reason }) => `- ${seq}. ${what}: ${reason.slice(0, 300)}`).join('\n'),
  ].join('\n\n');
}
