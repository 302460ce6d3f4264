import { Context } from '@temporalio/activity';
import type { CheckHealthInput, HealthCheck } from '../contract';
import { probeKindsOf } from '../core/assessment/probe-rotation';
import type { RateLimits } from '../core/assessment/rate-limits';
import { lowestLimits, missingRoom } from '../core/assessment/room-before-raise';
import type { EvidenceCell } from '../core/evidence/evidence';
import { nextPossible } from '../core/plan/rollout-hours';
import type { Arm } from '../core/routing/routing';
import { DAY_MS, MINUTE_MS } from '../core/text/duration';
import type { Ports, ProbeKind } from '../ports';
import { asFailure } from './failures';
import { withHeartbeats } from './heartbeats';
import { readIdentity } from './read-identity';

const YEAR_MS = 365 * DAY_MS;

/** Both providers must answer once in every way that the route uses before the share is changed. */
export function createCheckHealth(ports: Ports): (input: CheckHealthInput) => Promise<HealthCheck> {
  return async ({ route, timeoutMs, embeddings, features, rollout, identity, raise, nowMs = Date.now() }) => {
    if (rollout !== undefined) {
      const { atMs, why } = nextPossible(rollout, nowMs);
      if (atMs === null || atMs > nowMs) {
        return { healthy: false, sentence: why, notBefore: { atMs: atMs ?? nowMs + YEAR_MS, why } };
      }
    }
    const signal = Context.current().cancellationSignal;
    const kinds = probeKindsOf({ embeddings, features });
    const probe = async (provider: Arm, kind: ProbeKind) => ({
      provider,
      kind,
      result: await ports.providers.probe(route, provider, kind, { timeoutMs, signal }),
    });
    try {
      const [probes, cells, reading] = await withHeartbeats(() =>
        Promise.all([
          Promise.all(
            (['legacy', 'candidate'] as const).flatMap((provider) =>
              kinds.map((kind) => probe(provider, kind)),
            ),
          ),
          raise === undefined ? [] : liveCells(ports, route, raise, timeoutMs),
          identity?.declared === undefined
            ? null
            : readIdentity(ports, route, identity.declared, { timeoutMs, signal }),
        ]),
      );
      // Also where probes fail: which model answers matters more than that one does.
      if (reading !== null && reading.outcome !== 'same')
        return { healthy: false, sentence: reading.sentence };
      const failed = probes.filter(({ result }) => !result.ok);
      if (failed.length === 0) {
        const limits = lowestLimits(
          probes.flatMap(({ provider, result: { rateLimits } }) =>
            provider === 'candidate' && rateLimits !== undefined ? [rateLimits] : [],
          ),
        );
        const lacking = raise === undefined ? null : roomProblem(raise, cells, limits);
        if (lacking !== null) return { healthy: false, sentence: lacking };
        const slowest = Math.round(Math.max(...probes.map(({ result }) => result.latencyMs)));
        const passed = `${probes.length} probes passed, the slowest in ${slowest} ms`;
        return { healthy: true, sentence: reading === null ? passed : `${passed}; ${reading.sentence}` };
      }
      const sentence = failed
        .map(({ provider, kind, result }) => `${provider} ${kind}: ${result.error}`)
        .join('; ');
      return { healthy: false, sentence };
    } catch (error) {
      throw asFailure(error);
    }
  };
}

type Raise = NonNullable<CheckHealthInput['raise']>;

/** What gateways have counted under the routing in effect; one that does not answer in time says nothing. */
async function liveCells(
  ports: Ports,
  route: string,
  { roster, epoch }: Raise,
  timeoutMs: number,
): Promise<readonly EvidenceCell[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs);
  });
  const readings = await Promise.all(
    roster.map((gateway) => Promise.race([ports.gateways.peek(gateway, route, epoch), late])),
  );
  clearTimeout(timer);
  return readings
    .flatMap((reading) => (reading?.kind === 'ok' ? reading.value.evidence.cells : []))
    .filter(({ kind }) => kind === 'live' || kind === 'cohort');
}

/** Why the candidate has no room for a raise; null where nothing says so. */
function roomProblem(
  { forMs, fromShare, toShare }: Raise,
  cells: readonly EvidenceCell[],
  limits: RateLimits,
): string | null {
  const ofCandidate = cells.filter(({ side }) => side === 'candidate');
  const perMinute = (of: (cell: EvidenceCell) => number) =>
    forMs > 0 ? (sum(cells.map(of)) * MINUTE_MS) / forMs : 0;
  return missingRoom(
    {
      fromShare,
      toShare,
      perMinute: {
        requests: perMinute(({ attempts }) => attempts),
        inputTokens: perMinute(({ tokensIn }) => tokensIn),
        cachedTokens: perMinute(({ tokensCached }) => tokensCached),
        outputTokens: perMinute(({ tokensOut }) => tokensOut),
      },
    },
    limits,
    {
      requests: sum(ofCandidate.map(({ attempts }) => attempts)),
      throttled: sum(ofCandidate.map(({ failures }) => failures.status_429 ?? 0)),
    },
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
