import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { GatewayAdmin } from '../../src/adapters/gateway-admin';
import { discoverGateways } from '../../src/adapters/gateway-discovery';
import { mergeEvidence } from '../../src/core/evidence/evidence';
import type { RosterEntry } from '../../src/core/migration/migration-state';
import type { GatewayStatus } from '../../src/core/routing/routing';
import type { GatewayAnswer } from '../../src/ports';
import {
  observation,
  record,
  TestClock,
  TestGateway,
  temporaryDirectory,
} from '../support/gateways/gateway-fixture';

const root = temporaryDirectory();

/** Replicas on 127.0.0.1, 127.0.0.2, ... with one port, behind a name server that a test controls. */
class Replicas {
  readonly addresses: string[] = [];
  readonly gateways: TestGateway[] = [];
  readonly admin: GatewayAdmin;
  #port = 0;

  constructor(readonly name: string) {
    this.admin = new GatewayAdmin({
      token: 'test-token',
      discover: () =>
        discoverGateways(
          { gateways: [], gatewayDiscovery: { admin: `http://gateways.test:${this.#port}` } },
          async () => this.addresses.map((address) => ({ address })),
        ),
      discoveryHost: 'gateways.test',
      totalTimeoutMs: 2_000,
    });
  }

  async add(): Promise<TestGateway> {
    const number = this.gateways.length + 1;
    const gateway = new TestGateway({
      directory: join(root, this.name, String(number)),
      clock: new TestClock(),
      name: `gw-${number}`,
    });
    this.#port = Number(new URL(await gateway.listen(this.#port, `127.0.0.${number}`)).port);
    this.gateways.push(gateway);
    this.addresses.push(`127.0.0.${number}`);
    return gateway;
  }

  async close(): Promise<void> {
    await this.admin.close();
    await Promise.all(this.gateways.map((gateway) => gateway.close()));
  }
}

function ok<T>(answer: GatewayAnswer<T>): T {
  if (answer.kind !== 'ok') throw new Error(`expected an answer, got ${JSON.stringify(answer)}`);
  return answer.value;
}

/** Reads each gateway and pushes it a record, as the worker does. */
async function pushAll(admin: GatewayAdmin, roster: readonly RosterEntry[], share: number, epoch: number) {
  return Promise.all(
    roster.map(async (gateway) => {
      const status: GatewayStatus = ok(await admin.status(gateway, 'main'));
      return admin.push(gateway, 'main', {
        expected: { incarnation: status.incarnation, epoch: status.record?.epoch ?? status.highestEpoch },
        asOfMs: status.asOfMs,
        record: record({ share, epoch }),
        inFlight: 'drain',
      });
    }),
  );
}

describe('several gateways behind one name', () => {
  const replicas = new Replicas('several');

  beforeAll(async () => {
    for (let count = 0; count < 3; count += 1) await replicas.add();
  });

  afterAll(() => replicas.close());

  it('are all found, by address and port, and answer under the name', async () => {
    const roster = await replicas.admin.discover();
    expect(roster.map(({ name }) => name.split(':')[0])).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.3']);
    const statuses = await Promise.all(roster.map((gateway) => replicas.admin.status(gateway, 'main')));
    expect(statuses.map((answer) => ok(answer).gateway)).toEqual(['gw-1', 'gw-2', 'gw-3']);
  });

  it('take a record, assign alike, and their evidence merges', async () => {
    const roster = await replicas.admin.discover();
    const pushed = await pushAll(replicas.admin, roster, 0.5, 1);
    expect(pushed.map((answer) => ok(answer).confirmed)).toEqual([true, true, true]);
    for (let index = 0; index < 100; index += 1) {
      const arms = replicas.gateways.map(({ state }) => state.draw(`key-${index}`, '').arm);
      expect(new Set(arms).size).toBe(1);
    }
    for (const { route } of replicas.gateways) route.evidence.record(observation({ totalMs: 10 }));
    const readings = await Promise.all(
      roster.map((gateway) => replicas.admin.evidence(gateway, 'main', 1, null)),
    );
    const merged = mergeEvidence(
      readings.map((answer) => ok(answer).evidence),
      1,
    );
    expect(merged.cells).toEqual([expect.objectContaining({ attempts: 3 })]);
  });

  it('show a fourth one as soon as its address is there, which serves legacy until it is pushed to', async () => {
    const before = await replicas.admin.discover();
    const fourth = await replicas.add();
    const after = await replicas.admin.discover();
    const found = after.filter(({ name }) => !before.some((known) => known.name === name));
    expect(found).toHaveLength(1);
    expect(fourth.state.effectiveShare()).toBe(0);
    await pushAll(replicas.admin, found, 0.5, 1);
    expect(fourth.state.effectiveShare()).toBe(0.5);
  });

  it('fall back by themselves where the worker no longer reaches them', async () => {
    const [cutOff, ...reached] = replicas.gateways as [TestGateway, ...TestGateway[]];
    for (const { options } of replicas.gateways) options.clock.advance(44_000);
    const roster = (await replicas.admin.discover()).slice(1);
    for (const gateway of roster) {
      const { incarnation, asOfMs } = ok(await replicas.admin.status(gateway, 'main'));
      ok(await replicas.admin.renew(gateway, 'main', { incarnation, asOfMs, epoch: 1 }));
    }
    for (const { options } of replicas.gateways) options.clock.advance(2_000);
    expect(cutOff.state.effectiveShare()).toBe(0);
    expect(reached.map(({ state }) => state.effectiveShare())).toEqual([0.5, 0.5, 0.5]);
  });

  it('that vanish without a word are unreachable, and the others go on', async () => {
    await replicas.gateways[1]?.close();
    const roster = await replicas.admin.discover();
    const answers = await Promise.all(roster.map((gateway) => replicas.admin.status(gateway, 'main')));
    expect(answers.map(({ kind }) => kind)).toEqual(['ok', 'unreachable', 'ok', 'ok']);
    expect(answers[1]).toMatchObject({ reason: expect.stringMatching(/ECONNREFUSED|closed|reset/i) });
  });

  it('set and clear the kill switch', async () => {
    const [first] = await replicas.admin.discover();
    const gateway = first as RosterEntry;
    const words = { by: 'ada', reason: 'test' };
    expect(ok(await replicas.admin.kill(gateway, 'main', words))).toMatchObject({
      effectiveShare: 0,
      kill: { by: 'ada' },
    });
    expect(ok(await replicas.admin.clearKill(gateway, 'main', words)).kill).toBeNull();
  });
});

describe('a call', () => {
  const gateway = new TestGateway({ directory: join(root, 'single'), clock: new TestClock() });
  let entry: RosterEntry = { name: 'gw-1', admin: '' };

  function admin(token = 'test-token'): GatewayAdmin {
    const made = new GatewayAdmin({ token, discover: async () => [entry], totalTimeoutMs: 300 });
    afterAllClose.push(made);
    return made;
  }
  const afterAllClose: GatewayAdmin[] = [];

  beforeAll(async () => {
    entry = { name: 'gw-1', admin: await gateway.listen() };
  });

  afterAll(async () => {
    await Promise.all(afterAllClose.map((made) => made.close()));
    await gateway.close();
  });

  it('that is refused gives the code, the message and the status', async () => {
    expect(await admin().status(entry, 'other')).toMatchObject({
      kind: 'refused',
      refusal: { error: { code: 'unknown route' } },
    });
    expect(await admin().renew(entry, 'main', { incarnation: 'x', asOfMs: 0, epoch: 1 })).toMatchObject({
      kind: 'refused',
      refusal: { error: { code: 'incarnation changed' }, status: { incarnation: gateway.incarnation } },
    });
    expect(await admin().evidence(entry, 'main', 1, `${gateway.incarnation}:1:9`)).toMatchObject({
      kind: 'refused',
      refusal: { error: { code: 'unknown cursor' } },
    });
  });

  it('with the wrong token is refused, and never shows the token', async () => {
    const answer = await admin('a-secret-token').status(entry, 'main');
    expect(answer).toMatchObject({ kind: 'refused', refusal: { error: { code: 'unauthorized' } } });
    expect(JSON.stringify(answer)).not.toContain('a-secret-token');
  });

  it('to a stopped process ends in time as unreachable', async () => {
    const stopped = createServer(() => undefined);
    await new Promise<void>((resolve) => stopped.listen(0, '127.0.0.1', resolve));
    const { port } = stopped.address() as AddressInfo;
    const answer = await admin().status({ name: 'stopped', admin: `http://127.0.0.1:${port}` }, 'main');
    expect(answer).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringContaining('no answer in time'),
    });
    stopped.close();
  });

  it.each([
    [200, '<html>hello</html>'],
    [200, '{}'],
    [200, 'null'],
    [502, 'bad gateway'],
    [302, '{"error":{}}'],
  ])('to something that is no gateway (%s %s) counts as unreachable', async (status, body) => {
    const server = createHttpServer((_request, response) => {
      response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const other = { name: 'other', admin: `http://127.0.0.1:${port}` };
    expect(await admin().status(other, 'main')).toMatchObject({ kind: 'unreachable' });
    server.closeAllConnections();
    server.close();
  });
});

describe('discovery', () => {
  it('gives the gateways of the configuration as they are', async () => {
    const gateways = [{ name: 'a', data: 'http://a:1', admin: 'http://a:2' }];
    const found = await discoverGateways({ gateways, gatewayDiscovery: undefined }, async () => []);
    expect(found).toEqual([{ name: 'a', admin: 'http://a:2' }]);
  });

  it('names each replica once, whatever the resolver repeats and in whatever order', async () => {
    const found = await discoverGateways(
      { gateways: [], gatewayDiscovery: { admin: 'https://gateways.internal:7443/' } },
      async (host) => {
        expect(host).toBe('gateways.internal');
        return ['10.0.0.2', '10.0.0.1', '10.0.0.2', 'fd00::1'].map((address) => ({ address }));
      },
    );
    expect(found).toEqual([
      { name: '10.0.0.1:7443', admin: 'https://10.0.0.1:7443', byAddress: true },
      { name: '10.0.0.2:7443', admin: 'https://10.0.0.2:7443', byAddress: true },
    ]);
  });

  it('writes IPv6 addresses as URLs have them', async () => {
    const found = await discoverGateways(
      { gateways: [], gatewayDiscovery: { admin: 'http://gateways.internal' } },
      async () => [{ address: 'fd00::1' }],
    );
    expect(found).toEqual([{ name: '[fd00::1]:80', admin: 'http://[fd00::1]:80', byAddress: true }]);
  });

  it('fails when the name does not resolve: none and unknown must not look alike', async () => {
    const failing = discoverGateways(
      { gateways: [], gatewayDiscovery: { admin: 'http://gateways.internal' } },
      async () => Promise.reject(new Error('ENOTFOUND')),
    );
    await expect(failing).rejects.toThrow('ENOTFOUND');
  });
});
