import type { ProbeFeature } from '../plan/plan';

/** What a probe sends. */
export type ProbeKind = 'models' | 'plain' | 'stream' | ProbeFeature;

/** A long prompt costs as much as a thousand short ones: it is sent once in so many probes. */
export const LONG_CONTEXT_EVERY = 60;

/** What of a plan says how providers are probed; plans of older releases have no features. */
export interface ProbedFeatures {
  readonly embeddings: boolean;
  readonly features?: readonly ProbeFeature[] | undefined;
}

/** Every kind of probe that a plan asks for, but for the list of models. */
export function probeKindsOf(plan: ProbedFeatures): readonly ProbeKind[] {
  const features = new Set<ProbeFeature>([
    ...(plan.embeddings ? (['embeddings'] as const) : []),
    ...(plan.features ?? []),
  ]);
  return ['plain', 'stream', ...features];
}

/** The kind of the next probe, after so many: all in turn, the costly long context seldom and first of all. */
export function probeKindAfter(plan: ProbedFeatures, probes: number): ProbeKind {
  const kinds = probeKindsOf(plan);
  const light = kinds.filter((kind) => kind !== 'longContext');
  if (light.length < kinds.length && probes % LONG_CONTEXT_EVERY === 0) return 'longContext';
  return light[probes % light.length] as ProbeKind;
}
