import type { ProbeStreak } from './verdict';

/** A streak with one more probe; the mean is over the probes that passed. */
export function withProbe(
  streak: ProbeStreak,
  probe: { readonly ok: boolean; readonly latencyMs: number },
): ProbeStreak {
  const passed = streak.probes - streak.failures;
  return {
    probes: streak.probes + 1,
    failures: streak.failures + (probe.ok ? 0 : 1),
    passedInARow: probe.ok ? streak.passedInARow + 1 : 0,
    failedInARow: probe.ok ? 0 : streak.failedInARow + 1,
    meanMs: probe.ok ? ((streak.meanMs ?? 0) * passed + probe.latencyMs) / (passed + 1) : streak.meanMs,
  };
}
