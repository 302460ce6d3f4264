import { request } from 'node:http';
import { type MetricsListener, startMetricsListener } from '../src/metrics-listener';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
let problem: string | null = null;
const failedLogins: string[] = [];
const open: MetricsListener[] = [];

afterAll(() => Promise.all(open.map((listener) => listener.stop())));

async function listener(reader: string | null, address = LOOPBACK): Promise<MetricsListener> {
  const started = await startMetricsListener({
    address,
    tokens: { admin: 'the-admin-token', reader },
    hosts: ['worker.internal'],
    contentType: 'text/plain; version=0.0.4',
    metrics: async () => 'a_metric 1\n',
    problem: () => problem,
    loginFailed: ({ address, failures }) => failedLogins.push(`${address} ${failures}`),
  });
  open.push(started);
  return started;
}

function get(url: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request(url, { headers }, (answer) => {
      let body = '';
      answer.on('data', (chunk) => {
        body += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });
}

it('shows metrics on loopback without a token, unless one is configured', async () => {
  const free = await listener(null);
  expect(await get(free.url)).toEqual({ status: 200, body: 'a_metric 1\n' });
  const guarded = await listener('the-reader-token');
  expect(await get(guarded.url)).toMatchObject({ status: 401 });
  expect(await get(guarded.url, { authorization: 'Bearer another' })).toMatchObject({ status: 401 });
  expect(failedLogins).toEqual(['127.0.0.1 1']);
  for (let attempt = 2; attempt < 20; attempt++) await get(guarded.url);
  expect(await get(guarded.url)).toMatchObject({ status: 429 });
  for (const token of ['the-reader-token', 'the-admin-token']) {
    expect(await get(guarded.url, { authorization: `Bearer ${token}` })).toMatchObject({ status: 200 });
  }
});

it('listens beyond loopback only with a token', async () => {
  await expect(listener(null, { host: '0.0.0.0', port: 0 })).rejects.toThrow(
    'expected metricsToken in the configuration before showing metrics on 0.0.0.0',
  );
  const guarded = await listener('the-reader-token', { host: '0.0.0.0', port: 0 });
  expect(guarded.url).toMatch(/^http:\/\/0\.0\.0\.0:\d+\/metrics$/);
});

it('serves no web page: neither a foreign Host nor an Origin', async () => {
  const { url } = await listener(null);
  expect(await get(url, { host: 'rebound.example' })).toMatchObject({ status: 403 });
  expect(await get(url, { origin: 'http://127.0.0.1' })).toMatchObject({ status: 403 });
  expect(await get(url, { host: 'worker.internal:9464' })).toMatchObject({ status: 200 });
});

it('says to health probes whether the process lives and whether it can work', async () => {
  const { url } = await listener('the-reader-token');
  const at = (path: string) => get(new URL(path, url).href);
  expect(await at('/healthz')).toEqual({ status: 200, body: 'ok\n' });
  expect(await at('/readyz')).toEqual({ status: 200, body: 'ready\n' });
  problem = 'it connects to Temporal';
  expect(await at('/readyz')).toEqual({ status: 503, body: 'it connects to Temporal\n' });
  expect(await at('/healthz')).toMatchObject({ status: 200 });
  expect(await at('/admin')).toMatchObject({ status: 404 });
});

it('names an address that is taken', async () => {
  const first = await listener(null);
  const port = Number(new URL(first.url).port);
  await expect(listener(null, { host: '127.0.0.1', port })).rejects.toThrow(
    `cannot show metrics on 127.0.0.1:${port} (EADDRINUSE)`,
  );
});
