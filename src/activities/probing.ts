import type { WatchStageInput } from '../contract';
import { probeKindAfter } from '../core/assessment/probe-rotation';
import { withProbe } from '../core/assessment/probe-streak';
import type { ProbeRecord } from '../core/gates/verdict';
import type { Ports } from '../ports';

/** Probes both providers side by side on the plan's interval, so that a slow provider never delays a lease. */
export function startProbing(
  ports: Ports,
  input: WatchStageInput,
  cancelled: AbortSignal,
  start: ProbeRecord,
): { current(): ProbeRecord; stop(): void } {
  const stopped = new AbortController();
  const signal = AbortSignal.any([cancelled, stopped.signal]);
  const { intervalMs, timeoutMs } = input.probePlan;
  let record = start;

  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      const kind = probeKindAfter(input.probePlan, record.candidate.probes);
      await Promise.all(
        (['legacy', 'candidate'] as const).map(async (side) => {
          const probe = await ports.providers.probe(input.route, side, kind, { timeoutMs, signal });
          if (!signal.aborted) record = { ...record, [side]: withProbe(record[side], probe) };
        }),
      );
      await ports.clock.sleep(intervalMs, signal);
    }
  };
  // A probe never throws but for the configuration; the watch itself meets that too and reports it.
  loop().catch(() => undefined);
  return { current: () => record, stop: () => stopped.abort() };
}
