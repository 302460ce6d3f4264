import type { GatewaySighting } from '../../../src/console/view/gateway-view';
import {
  type MigrationSighting,
  type MigrationView,
  migrationView,
} from '../../../src/console/view/migration-view';
import { type EvidenceCell, emptyCell, noEvidence } from '../../../src/core/evidence/evidence';
import type { MetricVerdict } from '../../../src/core/gates/verdict';
import { rollbackEligibilityOf, statusOf } from '../../../src/core/migration/status';
import type { GatewayStatus } from '../../../src/core/routing/routing';
import type { MigrationWorld } from './migration-world';

/** What a screen learns of a world, but for what is said. */
export function sighting(world: MigrationWorld, said: Partial<MigrationSighting> = {}): MigrationSighting {
  const { state, nowMs } = world;
  return {
    status: statusOf(state, nowMs),
    verdicts: state.verdicts,
    checkpoints: state.checkpoints,
    eligibility: rollbackEligibilityOf(state),
    assessment: state.assessment,
    gateways: [],
    providers: { legacy: 'old-llm', candidate: 'new-llm' },
    orders: [],
    trouble: null,
    ...said,
  };
}

export function viewOf(world: MigrationWorld, said: Partial<MigrationSighting> = {}): MigrationView {
  return migrationView(sighting(world, said));
}

/** A metric's verdict without numbers, but for what is said. */
export function aMetric(said: Partial<MetricVerdict> = {}): MetricVerdict {
  return {
    metric: 'errors',
    outcome: 'inconclusive',
    harm: false,
    n: { legacy: 900, candidate: 100 },
    legacy: null,
    candidate: null,
    margin: null,
    sentence: 'so far',
    unit: 'rate',
    role: 'guardrail and goal',
    estimate: null,
    interval: null,
    eValue: null,
    threshold: null,
    moreRequests: null,
    ...said,
  };
}

/** A gateway that serves what the world's migration asked for, but for what is said. */
export function aGateway(
  world: MigrationWorld,
  name: string,
  said: Partial<GatewayStatus> = {},
  cells: readonly EvidenceCell[] = [],
): GatewaySighting {
  const record = world.state.inEffect?.record ?? null;
  const epoch = record?.epoch ?? 0;
  return {
    name,
    status: {
      kind: 'ok',
      value: {
        incarnation: 'one',
        asOfMs: 0,
        gateway: name,
        route: world.state.plan.route,
        settled: 'legacy',
        record,
        highestEpoch: epoch,
        kill: null,
        leaseRemainingMs: 40_000,
        effectiveShare: record?.share ?? 0,
        unsentOlder: 0,
        inFlightOlder: 0,
        ready: true,
        assigned: { legacy: 90, candidate: 10 },
        keys: { distinct: 0, heaviestShare: 0, keyedRequests: 0, aaLow: 0, aaTotal: 0 },
        ...said,
      },
    },
    evidence: {
      kind: 'ok',
      value: { incarnation: 'one', cursor: '', evidence: { ...noEvidence(epoch), cells } },
    },
  };
}

/** Live plain answers of a side, but for what is said. */
export function aCell(said: Partial<EvidenceCell> & Pick<EvidenceCell, 'side'>): EvidenceCell {
  return { ...emptyCell({ kind: 'live', shape: 'plain', model: 'm', ...said }), ...said };
}
