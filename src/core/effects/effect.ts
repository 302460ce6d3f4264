/**
 * Effects: what is done in the world besides routing (DNS, feature flags, notifications), and external gates.
 * Pure types, because the workflow imports them: `effect-schema.ts` parses.
 */

/** Plain data. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** One effect as the plan asks for it: the configured target's name, and what to set there. */
export interface PlannedEffect {
  readonly name: string;
  /** Fields by the target's type, checked where a plan is checked or started with a configuration. */
  readonly set: Json;
}

/** One target that is told of moments of the migration. */
export interface PlannedNotification {
  readonly name: string;
  /** All of them when absent. */
  readonly moments?: readonly EffectMoment[];
}

/** What targets are told of. */
export const EFFECT_MOMENTS = [
  'stage entered',
  'rolled back',
  'completed',
  'rejected',
  'held',
  'paused',
  'drift',
  'approval asked',
  'escalated',
] as const;

export type EffectMoment = (typeof EFFECT_MOMENTS)[number];

/** What templates and payloads are made of. */
export interface EffectContext {
  readonly route: string;
  readonly migrationId: string;
  readonly moment: EffectMoment;
  readonly stage: string;
  readonly share: number;
  readonly fromShare: number;
  readonly epoch: number;
  /** Sequence number of the checkpoint that the moment belongs to. */
  readonly checkpoint: number;
  readonly by: string;
  readonly reason: string;
  readonly outcome: string | null;
  /** Of the checkpoint chain, so that a record outside of us exists. */
  readonly headHash: string | null;
  readonly workflowId: string;
  readonly runId: string;
  readonly atMs: number;
}

/** What a gate by others said; `no answer` holds the stage. */
export type ConfirmAnswer = 'yes' | 'no' | 'no answer';

/** The effects of a stage, none where the plan is of a version that knew none. */
export function effectsOf(stage: { readonly effects?: readonly PlannedEffect[] }): readonly PlannedEffect[] {
  return stage.effects ?? [];
}
