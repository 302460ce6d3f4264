import type { WatchStageInput } from '../../contract';
import { type IdentityStanding, withIdentityProblem } from '../../core/identity/identity-standing';
import { HOUR_MS } from '../../core/text/duration';
import type { Ports } from '../../ports';
import { askNext, readReference, standingFor } from './identity-questioning';

/** What is known so far of which model answers; null while nothing is. */
export interface IdentityWatch {
  current(): IdentityStanding | null;
  stop(): void;
}

/** Asks the candidate in the plan's rhythm, beside the watch, so that a slow answer never delays a lease. */
export function startIdentityWatch(
  ports: Ports,
  input: WatchStageInput,
  cancelled: AbortSignal,
  start: IdentityStanding | null,
): IdentityWatch {
  const { servedModel, route, probePlan } = input;
  let standing = start;
  if (servedModel === undefined) return { current: () => null, stop: () => undefined };
  const stopped = new AbortController();
  const signal = AbortSignal.any([cancelled, stopped.signal]);
  const { plan } = servedModel;
  const questioned = { route, plan, timeoutMs: probePlan.timeoutMs, signal };

  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      // Read anew for every question: a person fixes the file while the stage is held.
      const reference = await readReference(ports, plan);
      if ('problem' in reference) {
        standing = standing === null ? null : withIdentityProblem(standing, reference.problem);
      } else {
        const known = standingFor(reference, plan.reference, standing);
        standing =
          known.reference === reference.digest ? await askNext(ports, questioned, reference, known) : known;
      }
      await ports.clock.sleep(HOUR_MS / plan.perHour, signal);
    }
  };
  // A question never throws but for the configuration; the watch itself meets that too and reports it.
  loop().catch(() => undefined);
  return { current: () => standing, stop: () => stopped.abort() };
}
