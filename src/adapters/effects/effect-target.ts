import type { EffectContext, Json } from '../../core/effects/effect';
import type { TemplateValues } from '../../core/effects/template';

/** What is to be done at a target. */
export interface EffectJob {
  /** What the plan sets, parsed by the schema of the target's type. */
  readonly set: Json;
  readonly context: EffectContext;
  readonly values: TemplateValues;
  /** The idempotency key; the same for every attempt. */
  readonly key: string;
}

/** The target of an effect. Each throws `EffectProblem`, and stops when the signal aborts. */
export interface EffectTarget {
  /** What can be seen of the target without changing anything. */
  reach(signal: AbortSignal): Promise<string>;
  /** The state that `apply` would change, null where there is none. */
  capture(job: EffectJob, signal: AbortSignal): Promise<Json>;
  /** Sets and verifies; safe to repeat. */
  apply(job: EffectJob, signal: AbortSignal): Promise<string>;
  /** Goes back to what was captured and verifies; safe to repeat. */
  restore(job: EffectJob & { readonly captured: Json }, signal: AbortSignal): Promise<string>;
}

/** What the targets are made with. */
export interface TargetTools {
  readonly resolveSecret: (reference: string) => string;
  readonly nowMs: () => number;
  /** Resolves after the time; rejects when the signal aborts. */
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>;
}
