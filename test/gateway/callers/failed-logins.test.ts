import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { ConsoleFeeds } from '../../../src/console/server/console-feeds';
import { type RunningConsole, startConsole } from '../../../src/console/server/console-server';
import { type FailedLogin, FailedLogins } from '../../../src/core/access/failed-logins';
import { ADMIN_TOKEN, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { type FaultProvider, startFaultProvider, well } from '../../support/providers/fault-provider';

const KEY = 'sk-the-right-one';
const WRONG = 'sk-a-wrong-one';
const ROUTES = '/admin/v1/routes';

let provider: FaultProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFaultProvider(well);
});
afterAll(() => provider.stop());

beforeEach(async () => {
  gateway = await startTestGateway({
    legacyUrl: provider.url,
    candidateUrl: provider.url,
    configuration: {
      callers: [{ team: 'search', keySha256: createHash('sha256').update(KEY).digest('hex') }],
    },
  });
});
afterEach(() => gateway.stop());

const get = (url: string, key: string) => fetch(url, { headers: { authorization: `Bearer ${key}` } });
const lines = () => gateway.log.filter(({ msg }) => msg === 'failed login');

describe.each([
  ['data', () => `${gateway.dataUrl}/v1/models`, KEY],
  ['admin', () => `${gateway.adminUrl}${ROUTES}`, ADMIN_TOKEN],
])('wrong keys at the %s listener', (listener, url, right) => {
  it('are answered with 401, and from the 21st of a minute on with 429 and retry-after', async () => {
    const statuses = [];
    for (let attempt = 0; attempt < 22; attempt++) statuses.push((await get(url(), WRONG)).status);
    expect(statuses).toEqual([...Array(20).fill(401), 429, 429]);
    const limited = await get(url(), WRONG);
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(limited.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(limited.headers.get('connection')).toBe('close');
    expect(await limited.json()).toMatchObject({
      error: { message: expect.stringContaining('from this address: try again in a minute') },
    });
  });

  it('do not keep out whoever brings the right one from the same address', async () => {
    for (let attempt = 0; attempt < 25; attempt++) await get(url(), WRONG);
    expect((await get(url(), right)).status).toBe(200);
    expect((await get(url(), WRONG)).status).toBe(429);
  });

  it('are logged when they begin and when they are limited, without the key, and counted', async () => {
    for (let attempt = 0; attempt < 30; attempt++) await get(url(), WRONG);
    expect(lines()).toMatchObject([
      { level: 40, listener, address: '127.0.0.1', failures: 1, unlogged: 0 },
      { level: 40, listener, address: '127.0.0.1', failures: 21, unlogged: 19 },
    ]);
    expect(JSON.stringify(gateway.log)).not.toContain(WRONG);
    const metrics = await (await get(`${gateway.adminUrl}/metrics`, ADMIN_TOKEN)).text();
    expect(metrics).toContain(`cutover_failed_logins_total{listener="${listener}"} 30`);
  });
});

it('a wrong key that asks for a WebSocket counts as well', async () => {
  const statuses = [];
  for (let attempt = 0; attempt < 21; attempt++) {
    const socket = new WebSocket(`${gateway.dataUrl.replace('http', 'ws')}/v1/realtime`, {
      headers: { authorization: `Bearer ${WRONG}` },
    }).on('error', () => {});
    const [, answer] = await once(socket, 'unexpected-response');
    statuses.push(answer.statusCode);
    socket.terminate();
  }
  expect(statuses).toEqual([...Array(20).fill(401), 429]);
  expect(lines()[0]).toMatchObject({ listener: 'data', failures: 1 });
});

it('a wrong token at the metrics of a gateway counts once', async () => {
  expect((await get(`${gateway.adminUrl}/metrics`, WRONG)).status).toBe(401);
  const metrics = await (await get(`${gateway.adminUrl}/metrics`, ADMIN_TOKEN)).text();
  expect(metrics).toContain('cutover_failed_logins_total{listener="admin"} 1');
});

describe('wrong tokens at the console', () => {
  const failures: FailedLogin[] = [];
  let site: RunningConsole;
  beforeAll(async () => {
    const client = () => Promise.reject(new Error('no Temporal here'));
    const feeds = new ConsoleFeeds({ client, gateways: null, providersOf: () => null, intervalMs: 1_000 });
    site = await startConsole({
      ...{
        client,
        feeds,
        files: new Map(),
        token: KEY,
        by: () => 'ada',
        hosts: [],
        host: '127.0.0.1',
        port: 0,
      },
      loginFailed: (failure) => failures.push(failure),
    });
  });
  afterAll(() => site.stop());

  it('are limited and logged, and the right one opens it all the same', async () => {
    const open = (token: string) =>
      fetch(`${site.url}api/session`, {
        method: 'POST',
        headers: { origin: site.url.slice(0, -1) },
        body: JSON.stringify({ token }),
      });
    for (let attempt = 0; attempt < 20; attempt++) expect((await open(WRONG)).status).toBe(401);
    const limited = await open(WRONG);
    expect(limited.status).toBe(429);
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(failures.map(({ failures }) => failures)).toEqual([1, 21]);
    expect(JSON.stringify(failures)).not.toContain(WRONG);
    expect((await open(KEY)).status).toBe(200);
  });
});

describe('the table of failed logins', () => {
  const table = () => {
    const log: FailedLogin[] = [];
    const clock = { ms: 0 };
    const logins = new FailedLogins({
      listener: 'data',
      now: () => clock.ms,
      log: (failure) => log.push(failure),
    });
    return { log, clock, logins };
  };

  it('forgets an address after a minute', () => {
    const { clock, logins } = table();
    for (let attempt = 0; attempt < 20; attempt++) expect(logins.add('10.0.0.1')).toBeNull();
    clock.ms = 59_000;
    expect(logins.add('10.0.0.1')).toBe(1);
    clock.ms = 60_000;
    expect(logins.add('10.0.0.1')).toBeNull();
  });

  it('writes at most 30 lines a minute, whatever the number of addresses, and says what it left out', () => {
    const { log, clock, logins } = table();
    for (let host = 0; host < 5_000; host++) logins.add(`10.0.${host >> 8}.${host & 255}`);
    expect(log).toHaveLength(30);
    clock.ms = 60_001;
    logins.add('10.9.9.9');
    expect(log.at(-1)).toMatchObject({ address: '10.9.9.9', unlogged: 4_970 });
    expect(logins.count).toBe(5_001);
  });

  it('keeps the newest 1,024 addresses', () => {
    const { logins } = table();
    for (let attempt = 0; attempt < 20; attempt++) logins.add('10.0.0.1');
    for (let host = 0; host < 1_023; host++) logins.add(`10.1.${host >> 8}.${host & 255}`);
    expect(logins.add('10.0.0.1')).not.toBeNull();
    logins.add('10.2.0.0');
    expect(logins.add('10.0.0.1')).toBeNull();
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:0:0:9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8::2:3', '2001:db8:0:0::/64'],
    ['fe80::1:2:3:4:5', 'fe80:0:0:1::', 'fe80:0:0:1::/64'],
    ['::ffff:10.0.0.1', '10.0.0.1', '10.0.0.1'],
  ])('takes %s and %s for one network', (one, other, shown) => {
    const { log, logins } = table();
    for (let attempt = 0; attempt < 20; attempt++) logins.add(one);
    expect(logins.add(other)).not.toBeNull();
    expect(log[0]?.address).toBe(shown);
  });
});
