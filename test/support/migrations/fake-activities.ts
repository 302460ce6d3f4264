import { setTimeout as sleep } from 'node:timers/promises';
import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import type { ApplyRoutingInput, RoutingActivities, WatchActivities } from '../../../src/contract';
import { noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import type { GateVerdict, ProbeRecord, VerdictOutcome } from '../../../src/core/gates/verdict';
import type { ApplyResult } from '../../../src/core/migration/events';
import type { AssessmentSummary } from '../../../src/core/migration/migration-state';

/** A world of two gateways and two healthy providers, which a test can change while a migration runs. */
export interface FakeWorld {
  /** Gateways that do not answer. */
  silent: string[];
  /** Activities of the watch queue that never end. */
  hanging: (keyof WatchActivities)[];
  /** Gateways whose lease has lapsed in every window. */
  lapsing: string[];
  /** What every window's gate says. */
  verdict: VerdictOutcome;
  readonly applied: {
    readonly route: string;
    readonly share: number;
    readonly epoch: number;
    readonly inFlight: string;
  }[];
}

const GATEWAYS = ['gw-1', 'gw-2'];
const WINDOW_MS = 200;
const STEP_MS = 20;

const PROBES: ProbeRecord = {
  legacy: { probes: 30, failures: 0, passedInARow: 30, failedInARow: 0, meanMs: 5 },
  candidate: { probes: 30, failures: 0, passedInARow: 30, failedInARow: 0, meanMs: 5 },
};

/** An assessment that found nothing wrong. */
export const ASSESSED: AssessmentSummary = {
  outcome: 'pass',
  blockers: [],
  warnings: [],
  sentence: 'both providers answer',
  probes: PROBES,
  saltBalanced: true,
};

/** A world in which everything answers and no gate has passed yet. */
export function fakeWorld(): FakeWorld {
  return { silent: [], hanging: [], lapsing: [], verdict: 'inconclusive', applied: [] };
}

/** The activities of both task queues over a fake world, quick and without any I/O. */
export function fakeActivities(world: FakeWorld): { routing: RoutingActivities; watch: WatchActivities } {
  const confirm = ({ record }: ApplyRoutingInput): ApplyResult => ({
    epoch: record.epoch,
    confirmed: GATEWAYS.filter((name) => !world.silent.includes(name)),
    lapsed: [],
    missing: world.silent,
    drift: null,
    notes: [],
  });
  return {
    routing: {
      async readRouting() {
        const roster = GATEWAYS.map((name) => ({ name, admin: `http://${name}.invalid` }));
        return { roster, unreachable: [], highestEpoch: 0, forgotten: [] };
      },
      async applyRouting(input) {
        const { share, epoch } = input.record;
        world.applied.push({ route: input.route, share, epoch, inFlight: input.inFlight });
        return confirm(input);
      },
      async verifyRouting(input) {
        await sleep(WINDOW_MS, undefined, { signal: cancellationSignal() });
        return confirm(input);
      },
    },
    watch: {
      async analyseUsage() {
        return { digest: null, findings: [] };
      },
      async assess() {
        if (world.hanging.includes('assess')) await hang();
        return ASSESSED;
      },
      async checkHealth() {
        return { healthy: true, sentence: 'both providers answer' };
      },
      async checkIdentity() {
        return { findings: [], standing: null };
      },
      async checkParity() {
        return { findings: [], report: null };
      },
      async handoverProbe() {
        return { findings: [], directions: [] };
      },
      async watchStage({ record, stage, windowMs }) {
        if (world.hanging.includes('watchStage')) await hang();
        const endMs = Date.now() + Math.min(windowMs, WINDOW_MS);
        while (Date.now() < endMs) {
          heartbeat(activityInfo().attempt);
          await sleep(STEP_MS, undefined, { signal: cancellationSignal() });
        }
        return {
          epoch: record.epoch,
          ended: 'window over',
          observedMs: Math.min(windowMs, WINDOW_MS),
          evidence: noStageEvidence(record.epoch),
          cursors: {},
          verdict: verdictOf(world.verdict, stage.name, record.epoch),
          probes: PROBES,
          lapses: world.lapsing.map((gateway) => ({ gateway, what: 'its lease had lapsed' })),
          drift: null,
          discovered: [],
          left: [],
          settled: [],
          highestEpoch: 0,
        };
      },
    },
  };
}

/** Shows that it lives, and ends with its worker or its cancellation and not before. */
async function hang(): Promise<never> {
  for (;;) {
    heartbeat();
    await sleep(STEP_MS, undefined, { signal: cancellationSignal() });
  }
}

function verdictOf(outcome: VerdictOutcome, stage: string, epoch: number): GateVerdict {
  return {
    stage,
    epoch,
    outcome,
    harm: null,
    pause: null,
    sentence: `the fake world says ${outcome}`,
    burnIn: false,
    metrics: [],
    observedShare: null,
    requests: { legacy: 90, candidate: 10 },
    baseline: null,
  };
}
