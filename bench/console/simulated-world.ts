import { createServer, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import type {
  ApplyRoutingInput,
  RoutingActivities,
  WatchActivities,
  WatchStageInput,
} from '../../src/contract';
import { type EvidenceReading, emptyCell } from '../../src/core/evidence/evidence';
import { noStageEvidence } from '../../src/core/evidence/stage/stage-evidence';
import type { GateVerdict, MetricVerdict } from '../../src/core/gates/verdict';
import type { ApplyResult, WindowResult } from '../../src/core/migration/events';
import type { GatewayStatus } from '../../src/core/routing/routing';
import { histogramOf } from '../../src/core/statistics/histogram';
import { ASSESSED } from '../../test/support/migrations/fake-activities';

/** What the benchmark's migrations and gateways are made of: no traffic, but every number that a screen shows moves. */

/** Activities of migrations that stay in canary; `windowMsOf` says how often a route's windows end. */
export function simulatedActivities(
  roster: readonly { readonly name: string; readonly admin: string }[],
  windowMsOf: (route: string) => number,
): { readonly routing: RoutingActivities; readonly watch: WatchActivities } {
  const confirm = async ({ record }: ApplyRoutingInput): Promise<ApplyResult> => ({
    epoch: record.epoch,
    confirmed: roster.map(({ name }) => name),
    lapsed: [],
    missing: [],
    drift: null,
    notes: [],
  });
  return {
    routing: {
      readRouting: async () => ({ roster, unreachable: [], highestEpoch: 0, forgotten: [] }),
      applyRouting: confirm,
      verifyRouting: confirm,
    },
    watch: {
      assess: async () => ASSESSED,
      analyseUsage: async () => ({ digest: null, findings: [] }),
      checkIdentity: async () => ({ findings: [], standing: null }),
      checkParity: async () => ({ findings: [], report: null }),
      handoverProbe: async () => ({ findings: [], directions: [] }),
      checkHealth: async () => ({ healthy: true, sentence: 'both providers answer' }),
      watchStage: async ({ route, record, stage, progress }: WatchStageInput): Promise<WindowResult> => {
        const windowMs = windowMsOf(route);
        for (const endMs = Date.now() + windowMs; Date.now() < endMs; ) {
          heartbeat(activityInfo().attempt);
          await sleep(Math.min(2_000, windowMs), undefined, { signal: cancellationSignal() });
        }
        return {
          epoch: record.epoch,
          ended: 'window over',
          observedMs: 1_000,
          evidence: noStageEvidence(record.epoch),
          cursors: {},
          verdict: verdictOf(stage.name, record.epoch, progress.windows + 1),
          probes: ASSESSED.probes,
          lapses: [],
          drift: null,
          discovered: [],
          left: [],
          settled: [],
          highestEpoch: record.epoch,
        };
      },
    },
  };
}

const METRICS = ['errors', 'p95 of plain answers', 'p95 to first token', 'p95 between tokens', 'floor'];

function verdictOf(stage: string, epoch: number, window: number): GateVerdict {
  const metrics = METRICS.map(
    (metric): MetricVerdict => ({
      metric,
      outcome: 'inconclusive',
      harm: false,
      n: { legacy: 90 * window, candidate: 10 * window },
      legacy: 0.01,
      candidate: 0.01 + 0.001 * (window % 5),
      margin: 0.02,
      sentence: `candidate ${metric} against legacy so far, e-value ${window} of 20 needed`,
      unit: metric === 'errors' ? 'rate' : 'ms',
      role: 'guardrail and goal',
      estimate: 0.001,
      interval: [-0.01, 0.02],
      eValue: 1 + (window % 15),
      threshold: 20,
      moreRequests: 1_000,
    }),
  );
  return {
    stage,
    epoch,
    outcome: 'inconclusive',
    harm: null,
    pause: null,
    sentence: `${stage} is inconclusive after ${window} windows`,
    burnIn: false,
    metrics,
    observedShare: 0.1,
    requests: { legacy: 90 * window, candidate: 10 * window },
    baseline: null,
  };
}

/** An admin listener whose counters rise at every look: two models, plain and streamed, with full histograms. */
export function simulatedGateway(name: string): Server {
  let looks = 0;
  return createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://gateway.invalid');
    const [, , , , route = '', what] = url.pathname.split('/');
    looks += 1;
    const epoch = Number(url.searchParams.get('epoch') ?? 2);
    const body = what === 'evidence' ? evidence(epoch, looks) : status(name, route, looks);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  });
}

const TIMES = histogramOf(Array.from({ length: 400 }, (_, index) => 80 + index * 1.7));

function evidence(epoch: number, looks: number): EvidenceReading {
  const cells = (['legacy', 'candidate'] as const).flatMap((arm) =>
    ['large', 'small'].flatMap((model) =>
      (['plain', 'stream'] as const).map((shape) => ({
        ...emptyCell({ side: arm, kind: 'live', shape, model }),
        attempts: (arm === 'legacy' ? 9 : 1) * looks,
        successes: (arm === 'legacy' ? 9 : 1) * looks,
        ...(shape === 'plain' ? { totalMs: TIMES } : { firstTokenMs: TIMES, interTokenMs: TIMES }),
        tokensIn: 100 * looks,
        tokensOut: 40 * looks,
      })),
    ),
  );
  const none = { legacy: [], candidate: [] };
  return { incarnation: 'one', cursor: '', evidence: { epoch, cells, buckets: none, pooled: [] } };
}

function status(gateway: string, route: string, looks: number): GatewayStatus {
  return {
    incarnation: 'one',
    asOfMs: 0,
    gateway,
    route,
    settled: 'legacy',
    record: {
      migrationId: route,
      stage: 'canary',
      epoch: 2,
      share: 0.1,
      salt: '00',
      stickyKey: 'none',
      leaseMs: 45_000,
      pinned: false,
      newConversationsOnly: false,
      shadow: 0,
    },
    highestEpoch: 2,
    kill: null,
    leaseRemainingMs: 40_000,
    effectiveShare: 0.1,
    unsentOlder: 0,
    inFlightOlder: 0,
    ready: true,
    assigned: { legacy: 9 * looks, candidate: looks },
    keys: { distinct: 0, heaviestShare: 0, keyedRequests: 0, aaLow: 0, aaTotal: 0 },
  };
}
