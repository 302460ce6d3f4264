import { Context } from '@temporalio/activity';
import type { CheckHealthInput, HealthCheck } from '../contract';
import { probeKindsOf } from '../core/assessment/probe-rotation';
import { nextPossible } from '../core/plan/rollout-hours';
import type { Side } from '../core/routing/routing';
import { DAY_MS } from '../core/text/duration';
import type { Ports, ProbeKind } from '../ports';
import { asFailure } from './failures';
import { withHeartbeats } from './heartbeats';

const YEAR_MS = 365 * DAY_MS;

/** Both providers must answer once in every way that the route uses before the share is changed. */
export function createCheckHealth(ports: Ports): (input: CheckHealthInput) => Promise<HealthCheck> {
  return async ({ route, timeoutMs, embeddings, features, rollout, nowMs = Date.now() }) => {
    if (rollout !== undefined) {
      const { atMs, why } = nextPossible(rollout, nowMs);
      if (atMs === null || atMs > nowMs) {
        return { healthy: false, sentence: why, notBefore: { atMs: atMs ?? nowMs + YEAR_MS, why } };
      }
    }
    const signal = Context.current().cancellationSignal;
    const kinds = probeKindsOf({ embeddings, features });
    const probe = async (side: Side, kind: ProbeKind) => ({
      side,
      kind,
      result: await ports.providers.probe(route, side, kind, { timeoutMs, signal }),
    });
    try {
      const probes = await withHeartbeats(() =>
        Promise.all(
          (['legacy', 'candidate'] as const).flatMap((side) => kinds.map((kind) => probe(side, kind))),
        ),
      );
      const failed = probes.filter(({ result }) => !result.ok);
      if (failed.length === 0) {
        const slowest = Math.round(Math.max(...probes.map(({ result }) => result.latencyMs)));
        return { healthy: true, sentence: `${probes.length} probes passed, the slowest in ${slowest} ms` };
      }
      const sentence = failed.map(({ side, kind, result }) => `${side} ${kind}: ${result.error}`).join('; ');
      return { healthy: false, sentence };
    } catch (error) {
      throw asFailure(error);
    }
  };
}
