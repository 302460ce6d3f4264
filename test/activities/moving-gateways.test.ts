import { MockActivityEnvironment } from '@temporalio/testing';
import { pushRecord } from '../../src/activities/push-record';
import { renewRound } from '../../src/activities/renew-round';
import { createRoutingActivities } from '../../src/activities/routing';
import type { ApplyRoutingInput, WatchStageInput } from '../../src/contract';
import { noStageEvidence } from '../../src/core/evidence/stage/stage-evidence';
import type { ApplyResult, RoutingReading } from '../../src/core/migration/events';
import type { GatewayStatus, PushRequest, RoutingRecord } from '../../src/core/routing/routing';
import type { Ports } from '../../src/ports';
import { record } from '../support/gateways/gateway-fixture';
import { EPOCH } from '../support/migrations/gate-evidence';

const PINNED = record({ epoch: EPOCH, share: 1, pinned: true });
const LEGACY = record({ epoch: EPOCH + 1, share: 0 });

interface Pod {
  readonly name: string;
  readonly incarnation?: string;
  held?: RoutingRecord | null;
  refuses?: boolean;
  /** Of a release that knows no cohorts: as its schema words it. */
  readonly isOld?: boolean;
  /** False: its disk refuses. */
  durable?: boolean;
  readonly said?: Partial<GatewayStatus>;
}

/** Gateways at addresses, a name server that lists some of them, and what was pushed where. */
class Cluster {
  readonly pods = new Map<string, Pod>();
  listed: string[] | null = [];
  readonly pushed: string[] = [];
  grant: { granted: boolean; reason: string } = { granted: true, reason: '' };
  /** Called before each push, as something else that happens meanwhile. */
  beforePush: (admin: string) => void = () => undefined;

  runs(address: string, pod: Pod): this {
    this.pods.set(`http://${address}`, pod);
    this.listed = [...(this.listed ?? []), address];
    return this;
  }

  get ports(): Ports {
    const find = (admin: string) => this.pods.get(admin);
    const statusOf = ({ name, incarnation = name, held = null, durable = true, said }: Pod): GatewayStatus =>
      ({
        ...{ gateway: name, incarnation, asOfMs: 1, kill: null, settled: 'legacy', unsentOlder: 0 },
        ...{ record: held, highestEpoch: held?.epoch ?? 0, leaseRemainingMs: null },
        ...{ durable, ...said },
      }) as unknown as GatewayStatus;
    const gateways = {
      discover: async () => {
        if (this.listed === null) throw new Error('ENOTFOUND gateways');
        return this.listed.map((name) => ({ name, admin: `http://${name}`, byAddress: true }));
      },
      status: async ({ admin }: { admin: string }) => {
        const pod = find(admin);
        return pod === undefined
          ? { kind: 'unreachable', reason: 'ECONNREFUSED' }
          : { kind: 'ok', value: statusOf(pod) };
      },
      push: async ({ admin }: { admin: string }, _route: string, request: PushRequest) => {
        this.beforePush(admin);
        const pod = find(admin) as Pod;
        const expected = pod.held?.epoch ?? 0;
        if (request.expected.epoch !== expected) {
          return {
            kind: 'refused',
            refusal: { error: { code: 'epoch changed', message: `it is ${expected}` } },
          };
        }
        if (pod.isOld === true && request.record.only !== undefined) {
          const message = '\u2716 Unrecognized key: "only"\n  \u2192 at record';
          return { kind: 'refused', refusal: { error: { code: 'bad request', message } } };
        }
        if (pod.refuses === true) return { kind: 'unreachable', reason: 'reset' };
        this.pushed.push(admin);
        pod.held = request.record;
        return {
          kind: 'ok',
          value: { confirmed: true, durable: pod.durable ?? true, status: statusOf(pod) },
        };
      },
      renew: async () => ({ kind: 'unreachable', reason: 'not renewed here' }),
      evidence: async () => ({ kind: 'unreachable', reason: 'not asked here' }),
    };
    const clock = { now: () => performance.now(), sleep: async () => undefined };
    const telemetry = { change: () => ({ pushed: () => undefined, end: () => undefined }) };
    return {
      gateways,
      clock,
      telemetry,
      leaseGrants: { mayGrantLeases: async () => this.grant },
    } as unknown as Ports;
  }
}

const ROSTER = [
  { name: 'gw-0', admin: 'http://10.0.0.1:8081' },
  { name: 'gw-1', admin: 'http://10.0.0.2:8081' },
];
const NAMES = ROSTER.map(({ name }) => name);
const input = (wanted: RoutingRecord): ApplyRoutingInput => ({
  ...{ route: 'chat', record: wanted, roster: ROSTER, inFlight: 'drain', reportsJoined: true },
  direction: wanted.share === 0 ? 'lower' : 'raise',
});

it('says which gateway is of a release that does not know what the record asks for, and counts it as missing', async () => {
  const cluster = new Cluster()
    .runs('10.0.0.1:8081', { name: 'gw-0', isOld: true })
    .runs('10.0.0.2:8081', { name: 'gw-1' });
  const cohort = record({ epoch: EPOCH, share: 1e-9, only: { teams: ['search'] } });
  expect(await pushRecord(cluster.ports, input(cohort), NAMES)).toMatchObject({
    ...{ confirmed: ['gw-1'], missing: ['gw-0'] },
    notes: ['gw-0: its release does not know "only" of a record: update this gateway'],
  });
});

describe('a rollback', () => {
  it('reaches the same gateways at new addresses, and nobody stays missing', async () => {
    const cluster = new Cluster()
      .runs('10.0.0.8:8081', { name: 'gw-0', held: PINNED })
      .runs('10.0.0.9:8081', { name: 'gw-1', held: PINNED });
    const result = await pushRecord(cluster.ports, input(LEGACY), NAMES);
    expect(result).toMatchObject({ confirmed: NAMES, missing: [], answered: NAMES });
    expect(result.located).toEqual([
      { name: 'gw-0', admin: 'http://10.0.0.8:8081' },
      { name: 'gw-1', admin: 'http://10.0.0.9:8081' },
    ]);
    expect(cluster.pushed).toEqual(['http://10.0.0.8:8081', 'http://10.0.0.9:8081']);
  });

  it('finds a gateway in a later round that moved while it was verified', async () => {
    const cluster = new Cluster().runs('10.0.0.1:8081', { name: 'gw-0', held: PINNED });
    let rounds = 0;
    const ports = cluster.ports;
    const sleep = async () => {
      rounds += 1;
      if (rounds === 2) cluster.runs('10.0.0.9:8081', { name: 'gw-1', held: PINNED });
    };
    const { verifyRouting } = createRoutingActivities({ ...ports, clock: { ...ports.clock, sleep } });
    const result = (await new MockActivityEnvironment().run(verifyRouting, {
      ...{ ...input(LEGACY), missing: ['gw-1'], leaseConfirms: false, attempts: 0 },
    })) as ApplyResult;
    expect(result).toMatchObject({ confirmed: ['gw-1'], missing: [] });
  });

  it('asks a gateway that nobody knew for share 0 too, and names it', async () => {
    const cluster = new Cluster()
      .runs('10.0.0.1:8081', { name: 'gw-0', held: PINNED })
      .runs('10.0.0.2:8081', { name: 'gw-1', held: PINNED })
      .runs('10.0.0.3:8081', { name: 'gw-2', held: PINNED });
    const result = await pushRecord(cluster.ports, input(LEGACY), NAMES);
    expect(result.confirmed).toEqual(['gw-0', 'gw-1', 'gw-2']);
    expect(result.located).toContainEqual({ name: 'gw-2', admin: 'http://10.0.0.3:8081' });
  });

  it.each(['verifies', 'applies'])(
    '%s without one that was forgotten and still stands in the configuration, until it answers',
    async (does) => {
      const cluster = new Cluster().runs('10.0.0.2:8081', { name: 'gw-1', held: PINNED });
      const { ports } = cluster;
      const configured = [...ROSTER];
      const discover = async () => configured;
      const routing = createRoutingActivities({ ...ports, gateways: { ...ports.gateways, discover } });
      const asked = { ...input(LEGACY), roster: configured.slice(1) };
      const run = () =>
        does === 'applies'
          ? new MockActivityEnvironment().run(routing.applyRouting, asked)
          : new MockActivityEnvironment().run(routing.verifyRouting, {
              ...{ ...asked, missing: ['gw-1'], leaseConfirms: false, attempts: 0 },
            });
      expect(await run()).toMatchObject({ confirmed: ['gw-1'], missing: [] });
      cluster.runs('10.0.0.1:8081', { name: 'gw-0', held: PINNED });
      expect(await run()).toMatchObject({ confirmed: ['gw-1', 'gw-0'], missing: [] });
    },
  );

  it('goes on at the last known addresses while the name does not resolve', async () => {
    const cluster = new Cluster().runs('10.0.0.1:8081', { name: 'gw-0', held: PINNED });
    cluster.listed = null;
    expect(await pushRecord(cluster.ports, input(LEGACY), NAMES)).toMatchObject({
      ...{ confirmed: ['gw-0'], missing: ['gw-1'] },
    });
  });

  it('does not take another gateway at the address of one that is gone for it', async () => {
    const cluster = new Cluster()
      .runs('10.0.0.8:8081', { name: 'gw-0', held: PINNED })
      .runs('10.0.0.2:8081', { name: 'gw-7', held: PINNED });
    const result = await pushRecord(cluster.ports, input(LEGACY), NAMES);
    expect(result).toMatchObject({ confirmed: ['gw-0', 'gw-7'], missing: ['gw-1'] });
    expect(result.notes).toEqual(["gw-1: http://10.0.0.2:8081 is another gateway's now"]);
  });

  it('is confirmed under a name that two gateways report only by both, and nothing above share 0 is pushed there', async () => {
    const cluster = new Cluster()
      .runs('10.0.0.1:8081', { name: 'gw-0', incarnation: 'a', held: PINNED })
      .runs('10.0.0.2:8081', { name: 'gw-1', held: PINNED })
      .runs('10.0.0.3:8081', { name: 'gw-0', incarnation: 'b', held: PINNED, refuses: true });
    expect(await pushRecord(cluster.ports, input(LEGACY), NAMES)).toMatchObject({
      ...{ confirmed: ['gw-1'], missing: ['gw-0'], answered: NAMES },
    });
    const other = cluster.pods.get('http://10.0.0.3:8081') as Pod;
    other.refuses = false;
    expect(await pushRecord(cluster.ports, input(LEGACY), NAMES)).toMatchObject({ confirmed: NAMES });
    expect(other.held).toMatchObject({ share: 0 });

    const raise = await pushRecord(cluster.ports, input(record({ epoch: EPOCH + 5, share: 0.5 })), NAMES);
    expect(raise).toMatchObject({ missing: ['gw-0'] });
    expect(raise.notes.join()).toContain('2 gateways report the name "gw-0"');
    expect(other.held).toMatchObject({ share: 0 });
  });
});

describe('a rollback where a disk refuses', () => {
  const verify = (cluster: Cluster, leaseConfirms: boolean) => {
    const { verifyRouting } = createRoutingActivities(cluster.ports);
    const asked = { ...input(LEGACY), missing: NAMES, leaseConfirms, attempts: 0 };
    return new MockActivityEnvironment().run(verifyRouting, asked) as Promise<ApplyResult>;
  };
  const cluster = () =>
    new Cluster()
      .runs('10.0.0.1:8081', { name: 'gw-0', held: PINNED })
      .runs('10.0.0.2:8081', { name: 'gw-1', held: PINNED, durable: false });

  it('says who has it in memory only, and waits for the disk where a pinned record may be out there', async () => {
    expect(await pushRecord(cluster().ports, input(LEGACY), NAMES)).toMatchObject({ undurable: ['gw-1'] });
    expect(await verify(cluster(), false)).toMatchObject({ confirmed: ['gw-0'], missing: ['gw-1'] });
  });

  it('does not where every record needs a lease', async () => {
    expect(await verify(cluster(), true)).toMatchObject({
      confirmed: NAMES,
      missing: [],
      undurable: ['gw-1'],
    });
  });
});

describe('a frozen worker that wakes up after its migration has ended', () => {
  const later = record({ migrationId: 'm-2', epoch: EPOCH + 9, share: 0.5 });

  it('does not pull a later migration back: its own run is no longer open', async () => {
    const cluster = new Cluster()
      .runs('10.0.0.1:8081', { name: 'gw-0', held: later })
      .runs('10.0.0.2:8081', { name: 'gw-1', held: PINNED });
    cluster.grant = { granted: false, reason: 'the run is completed' };
    const result = await pushRecord(cluster.ports, input(LEGACY), NAMES);
    expect(cluster.pods.get('http://10.0.0.1:8081')?.held).toEqual(later);
    // Its own records are lowered without any grant: rollback wins within its own migration.
    expect(result).toMatchObject({ confirmed: ['gw-1'], missing: ['gw-0'] });
    expect(result.notes.join()).toContain('a newer record of another migration');
  });

  it('nor where it woke up between its question and its push', async () => {
    const cluster = new Cluster()
      .runs('10.0.0.1:8081', { name: 'gw-0', held: record({ migrationId: 'm-x', epoch: EPOCH + 3 }) })
      .runs('10.0.0.2:8081', { name: 'gw-1', held: PINNED });
    cluster.beforePush = (admin) => {
      const pod = cluster.pods.get(admin) as Pod;
      if (pod.name === 'gw-0') pod.held = later;
    };
    await pushRecord(cluster.ports, input(LEGACY), NAMES);
    expect(cluster.pods.get('http://10.0.0.1:8081')?.held).toEqual(later);
  });

  it('but an intruder is pulled back while its own run is open', async () => {
    const cluster = new Cluster()
      .runs('10.0.0.1:8081', { name: 'gw-0', held: later })
      .runs('10.0.0.2:8081', { name: 'gw-1', held: PINNED });
    const result = await pushRecord(cluster.ports, input(LEGACY), NAMES);
    expect(result).toMatchObject({ confirmed: NAMES, epoch: EPOCH + 10 });
  });
});

it('leases only to gateways that are recorded: who joins during a raise is named and not pushed', async () => {
  const cluster = new Cluster()
    .runs('10.0.0.1:8081', { name: 'gw-0' })
    .runs('10.0.0.2:8081', { name: 'gw-1' })
    .runs('10.0.0.3:8081', { name: 'gw-2' });
  const result = await pushRecord(cluster.ports, input(record({ epoch: EPOCH + 1, share: 0.5 })), NAMES);
  expect(result).toMatchObject({ confirmed: NAMES, missing: ['gw-2'] });
  expect(cluster.pushed).not.toContain('http://10.0.0.3:8081');
});

it('reads who is there by name at a start, and refuses to begin over two gateways of one name', async () => {
  const cluster = new Cluster()
    .runs('10.0.0.1:8081', { name: 'gw-0', incarnation: 'a' })
    .runs('10.0.0.2:8081', { name: 'gw-0', incarnation: 'b' })
    .runs('10.0.0.3:8081', { name: 'gw-1' });
  const { readRouting } = createRoutingActivities(cluster.ports);
  const reading = (await new MockActivityEnvironment().run(readRouting, { route: 'chat' })) as RoutingReading;
  expect(reading.roster.map(({ name }) => name)).toEqual(['gw-0', 'gw-1']);
  expect(reading.unreachable).toEqual(['gw-0']);
  expect(reading.unreachableBecause).toMatchObject({ 'gw-0': expect.stringContaining('2 gateways report') });
});

const watching = (held: RoutingRecord) =>
  ({
    ...{ route: 'chat', record: held },
    progress: { evidence: noStageEvidence(EPOCH), cursors: {}, observedMs: 0, windows: 0, burnInRequests: 0 },
  }) as unknown as WatchStageInput;

it('confirms a pinned record that a restart left in doubt, and counts a restart in order as routine', async () => {
  const held = record({ epoch: EPOCH, share: 0.5 });
  const inDoubt = new Cluster()
    .runs('10.0.0.1:8081', { name: 'gw-0', held: PINNED, said: { unconfirmed: true, restart: 'crashed' } })
    .runs('10.0.0.2:8081', { name: 'gw-1', held: PINNED, said: { restart: 'in order' } });
  expect((await renewRound(inDoubt.ports, watching(PINNED), ROSTER, [])).behind).toEqual([
    { gateway: 'gw-0', what: 'it restarted, and its record waits to be confirmed' },
  ]);
  expect(inDoubt.pushed).toEqual(['http://10.0.0.1:8081']);

  const lapsed = new Cluster()
    .runs('10.0.0.1:8081', { name: 'gw-0', held, said: { restart: 'in order', leaseRemainingMs: 0 } })
    .runs('10.0.0.2:8081', { name: 'gw-1', held, said: { restart: 'crashed', leaseRemainingMs: 0 } });
  expect((await renewRound(lapsed.ports, watching(held), ROSTER, [])).behind).toEqual([
    { gateway: 'gw-0', what: 'it restarted in order', routine: true },
    { gateway: 'gw-1', what: 'its lease had lapsed' },
  ]);
  expect(lapsed.pushed).toHaveLength(2);
});

it('watches a gateway at its new address, and says where it is', async () => {
  const cluster = new Cluster()
    .runs('10.0.0.8:8081', { name: 'gw-0', held: PINNED })
    .runs('10.0.0.2:8081', { name: 'gw-1', held: PINNED })
    .runs('10.0.0.3:8081', { name: 'gw-2' });
  const round = await renewRound(cluster.ports, watching(PINNED), ROSTER, []);
  expect(round).toMatchObject({ answered: NAMES, granted: NAMES, unreachable: [], absent: [] });
  expect(round.located[0]).toEqual({ name: 'gw-0', admin: 'http://10.0.0.8:8081' });
  expect(round.joined).toEqual([{ name: 'gw-2', admin: 'http://10.0.0.3:8081' }]);
  expect(cluster.pushed).toEqual([]);
});
