import {
  mergePacked,
  NO_COUNTS,
  pack,
  type Resolution,
  sketchQuantile,
  unpack,
} from '../evidence/latency-sketch';
import type { ProbeStreak } from '../gates/verdict';
import { histogramOf } from '../statistics/histogram';

/** Cells of 6 buckets: a latency is known within 3%, and a minute and a millisecond lie 190 cells apart. */
const RESOLUTION: Resolution = { step: 6, edge: null };

/** A streak with one more probe; mean and quantiles are over the probes that passed. */
export function withProbe(
  streak: ProbeStreak,
  probe: { readonly ok: boolean; readonly latencyMs: number },
): ProbeStreak {
  const passed = streak.probes - streak.failures;
  const counted = {
    probes: streak.probes + 1,
    failures: streak.failures + (probe.ok ? 0 : 1),
    passedInARow: probe.ok ? streak.passedInARow + 1 : 0,
    failedInARow: probe.ok ? 0 : streak.failedInARow + 1,
  };
  if (!probe.ok) return { ...streak, ...counted };
  const latencies = mergePacked(
    streak.latencies ?? NO_COUNTS,
    pack(histogramOf([probe.latencyMs]), RESOLUTION),
    RESOLUTION,
  );
  const seen = unpack(latencies, RESOLUTION);
  return {
    ...counted,
    meanMs: ((streak.meanMs ?? 0) * passed + probe.latencyMs) / (passed + 1),
    p50Ms: sketchQuantile(seen, 0.5, RESOLUTION),
    p95Ms: sketchQuantile(seen, 0.95, RESOLUTION),
    latencies,
  };
}

/** Whether a provider answers, as far as its last probe says; one that was never probed is not known to. */
export function isAnswering({ probes, failedInARow }: ProbeStreak): boolean {
  return probes > 0 && failedInARow === 0;
}

/** A streak in words: `30 probes, 1 error, mean 41 ms, p50 40 ms, p95 60 ms`. */
export function probeSummary({ probes, failures, meanMs, p50Ms, p95Ms }: ProbeStreak): string {
  const measured = (
    [
      ['mean', meanMs],
      ['p50', p50Ms],
      ['p95', p95Ms],
    ] as const
  ).flatMap(([name, ms]) => (ms == null ? [] : [`${name} ${Math.round(ms)} ms`]));
  const errors = `${failures === 0 ? 'no' : failures} error${failures === 1 ? '' : 's'}`;
  return [`${probes} probe${probes === 1 ? '' : 's'}`, errors, ...measured].join(', ');
}
