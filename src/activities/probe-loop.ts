import type { WatchStageInput } from '../contract';
import type { IdentityReading } from '../core/assessment/declared-identity';
import { probeKindAfter } from '../core/assessment/probe-rotation';
import { withProbe } from '../core/assessment/probe-streak';
import type { ProbeRecord } from '../core/gates/verdict';
import type { Ports } from '../ports';
import { readIdentity } from './read-identity';

/** What probes have shown up to now. */
interface ProbeLoop {
  current(): ProbeRecord;
  /** What the candidate's server states of the declared identity; undefined: none is declared, or not read yet. */
  identity(): IdentityReading | undefined;
  stop(): void;
}

/** Probes both providers side by side on the plan's interval, so that a slow provider never delays a lease. */
export function startProbeLoop(
  ports: Ports,
  input: WatchStageInput,
  cancelled: AbortSignal,
  start: ProbeRecord,
): ProbeLoop {
  const stopped = new AbortController();
  const signal = AbortSignal.any([cancelled, stopped.signal]);
  const { intervalMs, timeoutMs } = input.probePlan;
  let record = start;

  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      const kind = probeKindAfter(input.probePlan, record.candidate.probes);
      await Promise.all(
        (['legacy', 'candidate'] as const).map(async (provider) => {
          const probe = await ports.providers.probe(input.route, provider, kind, { timeoutMs, signal });
          if (!signal.aborted) record = { ...record, [provider]: withProbe(record[provider], probe) };
        }),
      );
      await ports.clock.sleep(intervalMs, signal);
    }
  };
  // A probe never throws but for the configuration; the watch itself meets that too and reports it.
  loop().catch(() => undefined);
  let identity: IdentityReading | undefined;
  const declared = input.identity?.declared;
  const compare = async (digest: string): Promise<void> => {
    while (!signal.aborted) {
      const reading = await readIdentity(ports, input.route, digest, { timeoutMs, signal });
      if (!signal.aborted) identity = reading;
      await ports.clock.sleep(intervalMs, signal);
    }
  };
  if (declared !== undefined) compare(declared).catch(() => undefined);
  return { current: () => record, identity: () => identity, stop: () => stopped.abort() };
}
