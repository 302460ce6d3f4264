import { connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { request } from 'undici';
import {
  observation,
  TestClock,
  TestGateway,
  temporaryDirectory,
} from '../../support/gateways/gateway-fixture';

const root = temporaryDirectory();
const clock = new TestClock();
const gateway = new TestGateway({ directory: join(root, 'gw'), clock });
let address = '';

beforeAll(async () => {
  address = await gateway.listen();
});

afterAll(() => gateway.close());

interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into as JSON, whatever they are
  readonly body: any;
}

async function call(
  method: string,
  path: string,
  options: { body?: unknown; headers?: object } = {},
): Promise<Reply> {
  const answer = await request(`${address}${path}`, {
    method: method as 'GET',
    headers: { authorization: 'Bearer test-token', ...options.headers },
    ...(options.body === undefined
      ? {}
      : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
  });
  const text = await answer.body.text();
  return { status: answer.statusCode, body: text.startsWith('{') ? JSON.parse(text) : text };
}

/** Sends bytes as they are and gives everything that came back until the listener closed. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(address);
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
      socket.end();
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

const MAIN = '/admin/v1/routes/main';

describe('the admin listener', () => {
  it('answers health without a token, and readiness once every route is ready', async () => {
    expect(await call('GET', '/healthz', { headers: { authorization: '' } })).toMatchObject({ status: 200 });
    expect(await call('GET', '/readyz', { headers: { authorization: '' } })).toMatchObject({
      status: 503,
      body: { routes: ['main'] },
    });
    clock.advance(60_000);
    expect(await call('GET', '/readyz', { headers: { authorization: '' } })).toMatchObject({ status: 200 });
  });

  it.each(['', 'Bearer', 'Bearer wrong', 'bearer test-token', 'Bearer test-token ,x', 'Basic dGVzdA=='])(
    'refuses the authorization "%s"',
    async (authorization) => {
      expect(await call('GET', MAIN, { headers: { authorization } })).toMatchObject({
        status: 401,
        body: { error: { code: 'unauthorized' } },
      });
      expect(await call('GET', '/metrics', { headers: { authorization } })).toMatchObject({ status: 401 });
    },
  );

  it('answers to its own names only, so that no rebound DNS name reaches it', async () => {
    for (const host of ['evil.test', 'gateways.test.evil.test', 'localhost.evil.test:80', '']) {
      expect(await call('GET', MAIN, { headers: { host } })).toMatchObject({ status: expect.any(Number) });
      expect((await call('GET', MAIN, { headers: { host } })).status).toBeGreaterThanOrEqual(400);
    }
    for (const host of ['localhost', 'LOCALHOST:1234', '127.0.0.1', '[::1]:80', 'gateways.test:9']) {
      expect(await call('GET', MAIN, { headers: { host } })).toMatchObject({ status: 200 });
    }
  });

  it('refuses whatever a browser sends from a page', async () => {
    for (const origin of ['null', 'http://localhost', address]) {
      expect(await call('POST', `${MAIN}/kill`, { headers: { origin } })).toMatchObject({ status: 403 });
    }
    expect(gateway.state.status().kill).toBeNull();
  });

  it('refuses two Host headers and absolute targets', async () => {
    const rest = 'authorization: Bearer test-token\r\nconnection: close\r\n\r\n';
    expect(await raw(`GET ${MAIN} HTTP/1.1\r\nhost: localhost\r\nhost: evil.test\r\n${rest}`)).toMatch(
      /^HTTP\/1.1 400/,
    );
    expect(await raw(`GET http://localhost${MAIN} HTTP/1.1\r\nhost: localhost\r\n${rest}`)).toMatch(
      /^HTTP\/1.1 400/,
    );
    expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400/);
  });

  it('lists its routes and names what it does not know', async () => {
    expect(await call('GET', '/admin/v1/routes')).toMatchObject({
      status: 200,
      body: { gateway: 'gw-1', incarnation: gateway.incarnation, routes: [{ route: 'main' }] },
    });
    expect(await call('GET', '/admin/v1/routes/other')).toMatchObject({
      status: 404,
      body: { error: { code: 'unknown route' } },
    });
    for (const path of [
      '/',
      '/admin',
      '//',
      '/admin/v1/routes/__proto__',
      `${MAIN}/nothing`,
      '/admin/v1/routes/%zz',
    ]) {
      expect((await call('GET', path)).status).toBeGreaterThanOrEqual(400);
    }
    expect((await call('PATCH', MAIN)).status).toBe(404);
  });

  it('takes a push, a renewal and a rollback, and refuses with the code and the status', async () => {
    const pushed = await call('PUT', MAIN, { body: gateway.pushRequest({ share: 0.25 }) });
    expect(pushed).toMatchObject({
      status: 200,
      body: { confirmed: true, durable: true, status: { effectiveShare: 0.25 } },
    });
    const { incarnation, asOfMs } = pushed.body.status;
    clock.advance(5_000);
    const renewal = { incarnation, asOfMs: asOfMs + 5_000, epoch: 1 };
    expect(await call('POST', `${MAIN}/lease`, { body: renewal })).toMatchObject({
      status: 200,
      body: { leaseRemainingMs: 45_000 },
    });
    expect(await call('POST', `${MAIN}/lease`, { body: { ...renewal, epoch: 9 } })).toMatchObject({
      status: 409,
      body: { error: { code: 'epoch changed' }, status: { record: { epoch: 1 } } },
    });
    expect(await call('PUT', MAIN, { body: gateway.pushRequest({ share: 0 }) })).toMatchObject({
      status: 200,
      body: { confirmed: true, status: { effectiveShare: 0 } },
    });
    expect(gateway.notices.at(-1)).toMatch(/epoch 2: share 0/);
  });

  it('names the field of a request that does not fit', async () => {
    const good = gateway.pushRequest();
    const bad = [
      { ...good, record: { ...good.record, share: 1.4 } },
      { ...good, record: { ...good.record, epoch: 0 } },
      { ...good, record: { ...good.record, leaseMs: 0 } },
      { ...good, surprise: true },
      { ...good, inFlight: 'stop' },
      {},
    ];
    for (const body of bad) {
      expect(await call('PUT', MAIN, { body })).toMatchObject({
        status: 400,
        body: { error: { code: 'bad request', message: expect.stringContaining('✖') } },
      });
    }
    expect(await call('PUT', MAIN, { body: '{"half":' })).toMatchObject({ status: 400 });
    expect(await call('PUT', MAIN, { body: 'x'.repeat(70_000) })).toMatchObject({ status: 400 });
  });

  it('sets the kill switch from an empty request, and clears it', async () => {
    expect(await call('POST', `${MAIN}/kill`)).toMatchObject({
      status: 200,
      body: { kill: { by: 'unknown' } },
    });
    expect(await call('PUT', MAIN, { body: gateway.pushRequest({ share: 0.5 }) })).toMatchObject({
      status: 409,
      body: { error: { code: 'kill latch' } },
    });
    expect(await call('DELETE', `${MAIN}/kill`, { body: { by: 'ada' } })).toMatchObject({
      status: 200,
      body: { kill: null },
    });
  });

  it('reads evidence by cursor', async () => {
    gateway.route.evidence.record(observation({ epoch: 2 }));
    const first = await call('GET', `${MAIN}/evidence?epoch=2`);
    expect(first.body).toMatchObject({ incarnation: gateway.incarnation, evidence: { epoch: 2 } });
    expect(first.body.evidence.cells).toHaveLength(1);
    const path = `${MAIN}/evidence?epoch=2&since=${encodeURIComponent(first.body.cursor)}`;
    expect((await call('GET', path)).body.evidence.cells).toHaveLength(0);
    expect(await call('GET', `${MAIN}/evidence?epoch=2&since=${gateway.incarnation}:2:999`)).toMatchObject({
      status: 409,
      body: { error: { code: 'unknown cursor' }, status: { route: 'main' } },
    });
    expect(await call('GET', `${MAIN}/evidence?epoch=abc`)).toMatchObject({ status: 400 });
  });

  it('keeps answering, and keeps its promises, whatever it is sent', async () => {
    const paths = fc.oneof(
      fc.constantFrom(MAIN, `${MAIN}/lease`, `${MAIN}/kill`, `${MAIN}/evidence`, '/admin/v1/routes', '/'),
      fc.webPath(),
      fc.string().map((text) => `${MAIN}/${encodeURIComponent(text)}`),
    );
    const almostPush = fc
      .tuple(
        fc.jsonValue(),
        fc.constantFrom('expected', 'asOfMs', 'record', 'inFlight', '__proto__', 'extra'),
      )
      .map(([value, field]) => JSON.stringify({ ...gateway.pushRequest(), [field]: value }));
    const bodies = fc.oneof(fc.json(), fc.string(), almostPush);
    const methods = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH');
    await fc.assert(
      fc.asyncProperty(methods, paths, bodies, async (method, path, body) => {
        const before = gateway.state.status().highestEpoch;
        const answer = await call(method, path, { body });
        expect([200, 400, 401, 403, 404, 409]).toContain(answer.status);
        expect(gateway.state.status().highestEpoch).toBeGreaterThanOrEqual(before);
      }),
      { numRuns: 300 },
    );
    expect(await call('GET', '/healthz')).toMatchObject({ status: 200 });
  });

  it('survives raw bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1, unit: 'binary' }), async (text) => {
        await raw(`${text}\r\n\r\n`);
      }),
      { numRuns: 50 },
    );
    expect(await call('GET', '/healthz')).toMatchObject({ status: 200 });
  });
});
