import type { WatchStageInput } from '../../contract';
import { type IdentityKnowledge, withIdentityProblem } from '../../core/identity/identity-audit';
import { HOUR_MS } from '../../core/text/duration';
import type { Ports } from '../../ports';
import { askNext, knowledgeBy, readReference } from './ask-identity';

/** What is known so far of which model answers; null while nothing is. */
export interface IdentityWatch {
  current(): IdentityKnowledge | null;
  stop(): void;
}

/** Asks the candidate in the plan's rhythm, beside the watch, so that a slow answer never delays a lease. */
export function startIdentityWatch(
  ports: Ports,
  input: WatchStageInput,
  cancelled: AbortSignal,
  start: IdentityKnowledge | null,
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
      await ports.clock.sleep(untilNextMs(standing, HOUR_MS / plan.perHour, Date.now()), signal);
      if (signal.aborted) return;
      // Read anew for every question: a person fixes the file while the stage is held.
      const reference = await readReference(ports, plan);
      const askedAtMs = Date.now();
      if ('problem' in reference) {
        standing = standing === null ? null : withIdentityProblem(standing, reference.problem);
        await ports.clock.sleep(UNREADABLE_MS, signal);
        continue;
      }
      const known = knowledgeBy(reference, plan.reference, standing);
      const isSame = known.reference === reference.digest;
      const next = isSame ? await askNext(ports, questioned, reference, known) : known;
      standing = { ...next, askedAtMs };
    }
  };
  // A question never throws but for the configuration; the watch itself meets that too and reports it.
  loop().catch(() => undefined);
  return { current: () => standing, stop: () => stopped.abort() };
}

/** How soon a file is looked at again that could not be used. */
const UNREADABLE_MS = 10_000;

/** Windows follow each other faster than questions: a new one goes on in the rhythm of those before it, whatever clocks do. */
function untilNextMs(standing: IdentityKnowledge | null, everyMs: number, nowMs: number): number {
  const sinceMs = standing?.askedAtMs === undefined ? everyMs : nowMs - standing.askedAtMs;
  return Math.min(everyMs, Math.max(0, everyMs - sinceMs));
}
