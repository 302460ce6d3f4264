import { MockActivityEnvironment } from '@temporalio/testing';
import { pushRecord } from '../../src/activities/push-record';
import { renewRound } from '../../src/activities/renew-round';
import { createRoutingActivities } from '../../src/activities/routing';
import type { ApplyRoutingInput, WatchStageInput } from '../../src/contract';
import { noStageEvidence } from '../../src/core/evidence/stage/stage-evidence';
import type { Drift } from '../../src/core/migration/migration-state';
import { driftKey } from '../../src/core/routing/drift';
import type { GatewayStatus, RoutingRecord } from '../../src/core/routing/routing';
import type { GatewayAnswer, Ports } from '../../src/ports';
import { record } from '../support/gateways/gateway-fixture';
import { EPOCH } from '../support/migrations/gate-evidence';
import { aRoster } from '../support/migrations/migration-world';

const RECORD = record({ epoch: EPOCH, share: 0.1 });
const ROSTER = aRoster(['gw-a', 'gw-b', 'gw-c']);
const NAMES = ROSTER.map(({ name }) => name);
const KILL = { by: 'ana', reason: 'smoke', at: '2026-01-05T10:00:00.000Z' };
const SERVES: Partial<GatewayStatus> = { record: RECORD, leaseRemainingMs: 40_000 };
const LATCHED: Partial<GatewayStatus> = { ...SERVES, kill: KILL };
const EMPTY: Partial<GatewayStatus> = { record: null, highestEpoch: 0 };

type Said = Readonly<Record<string, Partial<GatewayStatus> | 'silent'>>;

/** Gateways that answer as is said, and what was pushed to and renewed at them. */
function gatewaysThat(said: Said) {
  const pushed: string[] = [];
  const renewed: string[] = [];
  const answerOf = (name: string): GatewayAnswer<GatewayStatus> => {
    const told = said[name] ?? SERVES;
    if (told === 'silent') return { kind: 'unreachable', reason: 'connect timeout' };
    const status = {
      incarnation: 'i',
      asOfMs: 1,
      highestEpoch: EPOCH,
      kill: null,
      settled: 'legacy',
      ...told,
    };
    return {
      kind: 'ok',
      value: { ...status, gateway: `${name} as it calls itself` } as unknown as GatewayStatus,
    };
  };
  const gateways = {
    discover: async () => ROSTER,
    status: async ({ name }: { name: string }) => answerOf(name),
    push: async ({ name }: { name: string }) => {
      pushed.push(name);
      return { kind: 'ok', value: { confirmed: true, durable: true } };
    },
    renew: async ({ name }: { name: string }) => {
      renewed.push(name);
      return answerOf(name);
    },
    evidence: async () => ({ kind: 'unreachable', reason: 'not asked here' }),
  };
  const leaseGrants = { mayGrantLeases: async () => ({ granted: true, reason: '' }) };
  return { ports: { gateways, leaseGrants } as unknown as Ports, pushed, renewed };
}

const INPUT = {
  route: 'chat',
  record: RECORD,
  progress: { evidence: noStageEvidence(EPOCH), cursors: {}, observedMs: 0, windows: 0, burnInRequests: 0 },
} as unknown as WatchStageInput;

const KNOWN: Drift = { gateway: 'gw-a', kind: 'kill latch', detail: 'set by ana: smoke', kill: KILL };

describe('a round of a watch', () => {
  it.each<[string, Said, readonly Drift[]]>([
    ['while a latch is seen', { 'gw-a': LATCHED, 'gw-b': EMPTY }, []],
    ['while a known latch is silent', { 'gw-a': 'silent', 'gw-b': EMPTY }, [KNOWN]],
    ['where a latched gateway has lost its state', { 'gw-a': EMPTY, 'gw-b': EMPTY }, [KNOWN]],
    ['where a latch was cleared', { 'gw-a': { ...SERVES, withdrawn: true }, 'gw-b': EMPTY }, [KNOWN]],
  ])('pushes nothing to anybody %s, and renews who serves', async (_name, said, known) => {
    const world = gatewaysThat(said);
    const round = await renewRound(world.ports, INPUT, ROSTER, known);
    expect(world.pushed).toEqual([]);
    expect(world.renewed).toEqual(['gw-c']);
    expect(round).toMatchObject({ behind: [], granted: ['gw-c'] });
    expect(round.drifts.map(({ gateway }) => gateway)).toEqual(['gw-a']);
  });

  it('pushes to who is behind where nothing contradicts the routing', async () => {
    const world = gatewaysThat({ 'gw-b': EMPTY });
    expect((await renewRound(world.ports, INPUT, ROSTER, [])).behind).toMatchObject([{ gateway: 'gw-b' }]);
    expect(world.pushed).toEqual(['gw-b']);
  });

  it('knows of every latch, by the names of the roster, and changes when one is cleared or silent ones speak', async () => {
    const both = gatewaysThat({ 'gw-a': LATCHED, 'gw-b': LATCHED });
    const first = await renewRound(both.ports, INPUT, ROSTER, []);
    expect(driftKey(first.drifts)).toBe('gw-a: kill latch set, gw-b: kill latch set');
    const silent = gatewaysThat({ 'gw-a': 'silent', 'gw-b': LATCHED });
    const second = await renewRound(silent.ports, INPUT, ROSTER, first.drifts);
    expect(driftKey(second.drifts)).toBe(driftKey(first.drifts));
    const cleared = gatewaysThat({ 'gw-a': { ...SERVES, withdrawn: true }, 'gw-b': LATCHED });
    const third = await renewRound(cleared.ports, INPUT, ROSTER, second.drifts);
    expect(driftKey(third.drifts)).toBe('gw-a: kill latch, gw-b: kill latch set');
  });
});

it('says why gateways did not answer in a round', async () => {
  const { ports } = gatewaysThat({ 'gw-b': 'silent' });
  const round = await renewRound(ports, INPUT, ROSTER, []);
  expect(round.unansweredBecause).toEqual({ 'gw-b': 'connect timeout' });
});

describe('a push', () => {
  const input = (wanted: RoutingRecord): ApplyRoutingInput => ({
    ...{ route: 'chat', record: wanted, roster: ROSTER, direction: 'raise', inFlight: 'drain' },
  });
  const next = { ...RECORD, epoch: EPOCH + 1, share: 0.5 };

  it('reaches nobody where one gateway has a latch', async () => {
    const world = gatewaysThat({ 'gw-c': LATCHED });
    const result = await pushRecord(world.ports, input(next), NAMES);
    expect(world.pushed).toEqual([]);
    expect(result).toMatchObject({ confirmed: [], drift: { gateway: 'gw-c', kind: 'kill latch' } });
  });

  it('counts who had the record before the latch came', async () => {
    const world = gatewaysThat({ 'gw-a': { record: next, highestEpoch: EPOCH + 1 }, 'gw-c': LATCHED });
    expect((await pushRecord(world.ports, input(next), NAMES)).confirmed).toEqual(['gw-a']);
  });

  it('that is to spare settled gateways reaches nobody where one serves the candidate', async () => {
    const settled = { ...EMPTY, settled: 'candidate', effectiveShare: 1 } as const;
    const world = gatewaysThat({ 'gw-a': 'silent', 'gw-b': settled, 'gw-c': EMPTY });
    const result = await pushRecord(
      world.ports,
      { ...input({ ...next, share: 0 }), roster: [], sparesSettled: true },
      [],
    );
    expect(result).toMatchObject({ confirmed: [], settled: ['gw-b'] });
    expect(world.pushed).toEqual([]);
    const unsettled = gatewaysThat({ 'gw-b': EMPTY });
    await pushRecord(
      unsettled.ports,
      { ...input({ ...next, share: 0 }), roster: [], sparesSettled: true },
      [],
    );
    expect(unsettled.pushed).toEqual(['gw-a', 'gw-b', 'gw-c']);
  });

  it('of share 0 reaches everybody', async () => {
    const world = gatewaysThat({ 'gw-c': LATCHED });
    const result = await pushRecord(world.ports, input({ ...next, share: 0 }), NAMES);
    expect(world.pushed).toEqual(['gw-a', 'gw-b', 'gw-c']);
    expect(result.drift).toBeNull();
  });
});

it('starts above the epoch of a gateway whose release does not say its highest', async () => {
  const { ports } = gatewaysThat({
    'gw-a': { highestEpoch: undefined as never, record: { ...RECORD, epoch: 9 } },
  });
  const { readRouting } = createRoutingActivities(ports);
  const reading = await new MockActivityEnvironment().run(readRouting, { route: 'chat' });
  expect(reading).toMatchObject({ highestEpoch: 9 });
  const round = await renewRound(ports, INPUT, ROSTER, []);
  expect(round.highestEpoch).toBe(9);
});

it('names who serves a settled candidate, where it is asked to', async () => {
  const settled: Partial<GatewayStatus> = { ...EMPTY, settled: 'candidate' };
  const { ports } = gatewaysThat({
    'gw-a': { ...settled, effectiveShare: 1 },
    'gw-b': { ...settled, record: { ...RECORD, share: 0 }, effectiveShare: 0 },
  });
  const { readRouting } = createRoutingActivities(ports);
  const reading = await new MockActivityEnvironment().run(readRouting, { route: 'chat', nameSettled: true });
  expect(reading).toMatchObject({ settled: ['gw-a'] });
  expect(await new MockActivityEnvironment().run(readRouting, { route: 'chat' })).not.toHaveProperty(
    'settled',
  );
});

it('says why a gateway could not be read', async () => {
  const { ports } = gatewaysThat({ 'gw-a': 'silent' });
  const { readRouting } = createRoutingActivities(ports);
  const reading = await new MockActivityEnvironment().run(readRouting, { route: 'chat' });
  expect(reading).toMatchObject({ unreachable: ['gw-a'], unreachableBecause: { 'gw-a': 'connect timeout' } });
});
