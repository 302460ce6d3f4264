import type { EffectContext, Json, PlannedEffect } from './effect';

/**
 * One thing to do in the world beside routing. Runs are done by the workflow next to its main loop, one at a time
 * for each target, and never waited for by a rollback.
 */
export interface EffectRun {
  /** From 1, without gaps. */
  readonly id: number;
  readonly purpose: 'apply' | 'restore' | 'notify' | 'confirm';
  readonly effect: PlannedEffect;
  /** The stage that asks for it. */
  readonly stageIndex: number;
  /** For receivers: the same key is the same thing done again. */
  readonly key: string;
  readonly about: EffectSubject;
  /** `dropped`: taken back before it was known to be done. */
  readonly status: 'waiting' | 'captured' | 'done' | 'given up' | 'dropped';
  /** What was there before, which a restore puts back. */
  readonly captured: Json;
  /** The run of purpose `apply` that this one undoes. */
  readonly restores: number | null;
  /** What a gate by others said. */
  readonly answer: 'yes' | 'no' | 'no answer' | null;
  /** For how long a question has been asked in earlier runs of the workflow, milliseconds. Absent: not at all. */
  readonly askedMs?: number;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly createdAtMs: number;
  /** Not before this time: the pause between attempts. */
  readonly dueAtMs: number;
}

/** What a run tells its target, but for what only the workflow knows of itself. */
export type EffectSubject = Omit<EffectContext, 'workflowId' | 'runId'>;

/** Whether a run is still to be done. */
export function isOpen({ status }: EffectRun): boolean {
  return status === 'waiting' || status === 'captured';
}
