import type { TrainingCommand } from './fine-tune-command';
import type { Lane, TrainingCheckpoint, TrainingFacts } from './fine-tune-state';
import type { MemoryFit } from './memory-fit';
import type { PairedLoss } from './paired-loss';
import type { TrainingSettings } from './training-plan';

/** What is to be done now; while the key stays the same, running work goes on. */
export type TrainingStep =
  | { readonly type: 'plan'; readonly key: string }
  | {
      readonly type: 'train';
      readonly key: string;
      readonly lane: Lane;
      readonly from: TrainingCheckpoint | null;
      readonly toStep: number;
      readonly settings: TrainingSettings;
    }
  | {
      readonly type: 'evaluate';
      readonly key: string;
      readonly about: 'trained' | 'served';
      readonly judged: TrainingCheckpoint;
      /** The weights that BF16 computes: its own, or the judged ones. */
      readonly against: TrainingCheckpoint;
    }
  | { readonly type: 'export'; readonly key: string; readonly checkpoint: TrainingCheckpoint }
  | { readonly type: 'wait'; readonly key: string; readonly why: string }
  | { readonly type: 'close'; readonly key: string };

/** What a process could not do, although it ran: the same again would fail again. */
export interface TrainingProblem {
  readonly kind: 'bad input' | 'no storage' | 'diverged' | 'out of memory' | 'corrupt checkpoint';
  readonly message: string;
}

/** What a process saved after its steps. */
export type SavedSteps = Omit<TrainingCheckpoint, 'number' | 'lane' | 'settings' | 'parent' | 'atMs'>;

export type TrainingEvent = { readonly atMs: number } & (
  | {
      readonly type: 'planned';
      readonly epoch: number;
      readonly fit: MemoryFit;
      readonly facts: TrainingFacts;
    }
  | {
      readonly type: 'trained';
      readonly epoch: number;
      readonly lane: Lane;
      readonly settings: TrainingSettings;
      readonly saved: SavedSteps;
    }
  | {
      readonly type: 'evaluated';
      readonly epoch: number;
      readonly about: 'trained' | 'served';
      readonly checkpoint: number;
      readonly step: number;
      readonly verdict: PairedLoss;
    }
  | { readonly type: 'exported'; readonly epoch: number; readonly path: string; readonly digest: string }
  /** `lane` is null for work that trains nothing. */
  | {
      readonly type: 'failed';
      readonly epoch: number;
      readonly lane: Lane | null;
      readonly problem: TrainingProblem;
    }
  | { readonly type: 'command'; readonly command: TrainingCommand }
  | { readonly type: 'cancelled' }
);

/** An event as the outside gives it; the workflow adds its time. */
export type UntimedTrainingEvent = TrainingEvent extends infer Event
  ? Event extends TrainingEvent
    ? Omit<Event, 'atMs'>
    : never
  : never;
