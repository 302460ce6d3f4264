import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createActivities } from '../../src/activities';
import { noStageEvidence } from '../../src/core/evidence/stage/stage-evidence';
import type { Ports } from '../../src/ports';
import { record } from '../support/gateways/gateway-fixture';
import { aStage, EPOCH } from '../support/migrations/gate-evidence';
import { ANSWERING } from '../support/migrations/migration-world';

/** A world in which nothing ever answers: neither a gateway nor a provider nor a file. */
function silentPorts(): Ports {
  const never = () => new Promise<never>(() => undefined);
  const telemetry = { round: () => undefined, pushed: () => undefined, end: () => undefined };
  return {
    gateways: { discover: never, status: never, push: never, renew: never, evidence: never },
    providers: { probe: never, ask: never, models: () => [] },
    parity: { run: never },
    identity: { reference: never, ask: never, contextTokens: never },
    usage: { analyse: never },
    leaseGrants: { mayGrantLeases: never },
    effects: { capture: never, apply: never, restore: never, confirm: never },
    clock: { now: () => performance.now(), sleep: never },
    telemetry: { stage: () => telemetry, change: () => telemetry, effect: () => telemetry },
  } as unknown as Ports;
}

const ROUTE = { route: 'main' };
const ROSTER = [{ name: 'gw-1', admin: 'http://gw-1.invalid' }];
const RECORD = record({ epoch: EPOCH });
const PROBES = { intervalMs: 1_000, timeoutMs: 30_000, embeddings: false };
const STAGE = aStage('canary');
const PUSH = { ...ROUTE, record: RECORD, roster: ROSTER, direction: 'lower', inFlight: 'drain' } as const;
const EFFECT = { effect: { name: 'flags', set: {} }, key: 'k', context: {} as never };

const { routing, watch, effects } = createActivities(silentPorts());

const WAITING: Readonly<Record<string, () => Promise<unknown>>> = {
  readRouting: () => routing.readRouting(ROUTE),
  applyRouting: () => routing.applyRouting(PUSH),
  verifyRouting: () =>
    routing.verifyRouting({ ...PUSH, missing: ['gw-1'], leaseConfirms: true, attempts: 0 }),
  analyseUsage: () => watch.analyseUsage({ ...ROUTE, plan: {} as never }),
  assess: () => watch.assess({ ...ROUTE, record: RECORD, roster: ROSTER, stage: STAGE, probes: PROBES }),
  checkHealth: () => watch.checkHealth({ ...ROUTE, timeoutMs: 30_000, embeddings: false }),
  checkIdentity: () => watch.checkIdentity({ ...ROUTE, identity: {} as never, timeoutMs: 30_000 }),
  checkParity: () => watch.checkParity({ ...ROUTE, parity: {} as never }),
  handoverProbe: () => watch.handoverProbe({ ...ROUTE, timeoutMs: 30_000, newConversationsOnly: false }),
  watchStage: () =>
    watch.watchStage({
      ...{ ...ROUTE, record: RECORD, roster: ROSTER, stage: STAGE, windowMs: 60_000, renewalMs: 5_000 },
      ...{ handover: false, probePlan: PROBES, probes: ANSWERING, baseline: null, knownDrift: null },
      progress: {
        evidence: noStageEvidence(EPOCH),
        cursors: {},
        observedMs: 0,
        windows: 0,
        burnInRequests: 0,
      },
    }),
  captureEffect: () => effects.captureEffect(EFFECT),
  applyEffect: () => effects.applyEffect(EFFECT),
  restoreEffect: () => effects.restoreEffect({ ...EFFECT, captured: null }),
  confirm: () => effects.confirm({ name: 'board', key: 'k', context: {} as never }),
};

describe('where nothing answers, an activity shows that it lives all the same', () => {
  it.each(Object.entries(WAITING))('%s', async (_name, work) => {
    const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
    const beats = new Promise<void>((resolve) => {
      let count = 0;
      environment.on('heartbeat', () => {
        count += 1;
        if (count === 2) resolve();
      });
    });
    // It never ends, like all that it waits for.
    environment.run(work).catch(() => undefined);
    await beats;
  });
});

it('has every activity of the three task queues in this list, but for the report of a migration that is over', () => {
  const all = [routing, watch, effects].flatMap((activities) => Object.keys(activities));
  expect(Object.keys(WAITING).sort()).toEqual(all.filter((name) => name !== 'writeReport').sort());
});
