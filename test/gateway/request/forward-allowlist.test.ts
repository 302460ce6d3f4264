import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { configurationSchema } from '../../../src/core/configuration/configuration-schema';
import { MODEL, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';

const KEY = 'sk-callers-own';
const CHAT = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Hello?' }] });
const COMPLETION = JSON.stringify({
  id: 'c1',
  object: 'chat.completion',
  model: MODEL,
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
});

interface Arrival {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const answerWell: Answer = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(COMPLETION);
};

/** A provider that writes down the heads that reach it, upgrades included. */
async function startProvider() {
  const arrivals: Arrival[] = [];
  const note = ({ method = '', url = '', headers }: IncomingMessage) =>
    arrivals.push({ method, url, headers });
  const provider = { arrivals, answer: answerWell, url: '', stop: async () => {} };
  const server = createServer((request, response) => {
    note(request);
    request.resume().on('end', () => provider.answer(request, response));
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    note(request);
    sockets.handleUpgrade(request, socket, head, (peer) => peer.send('ready'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  provider.stop = async () => {
    server.closeAllConnections();
    for (const peer of sockets.clients) peer.terminate();
    server.close();
    await once(server, 'close');
  };
  return provider;
}

let legacy: Awaited<ReturnType<typeof startProvider>>;
let candidate: typeof legacy;
let gateway: TestGateway;

beforeAll(async () => {
  [legacy, candidate] = [await startProvider(), await startProvider()];
  gateway = await startTestGateway({
    legacyUrl: legacy.url,
    candidateUrl: candidate.url,
    legacy: { forward: { headers: ['OpenAI-Project'], query: ['trace'] } },
    settings: { breaker: { consecutiveFailures: 1_000, minimumRequests: 1_000 } },
    candidate: { query: { 'api-version': '2026-01-01', order: 'desc' } },
    configuration: {
      headers: { forward: ['X-Tenant'] },
      query: { forward: ['tenant'] },
      callers: [{ team: 'search', keySha256: createHash('sha256').update(KEY).digest('hex') }],
    },
  });
});

afterAll(async () => {
  await gateway.stop();
  await legacy.stop();
  await candidate.stop();
});

beforeEach(() => {
  for (const provider of [legacy, candidate]) {
    provider.arrivals.length = 0;
    provider.answer = answerWell;
  }
});

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`${gateway.dataUrl}${path}`, {
    redirect: 'manual',
    ...init,
    headers: { authorization: `Bearer ${KEY}`, ...init.headers },
  });
const chat = (headers: Record<string, string> = {}, query = '') =>
  ask(`/v1/chat/completions${query}`, { method: 'POST', body: CHAT, headers });

/** Sends bytes as they are and returns all that comes back. */
async function talk(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(gateway.dataUrl).port), '127.0.0.1', () => socket.write(bytes));
  let text = '';
  socket.on('data', (piece) => {
    text += piece.toString('latin1');
  });
  socket.on('error', () => {});
  await once(socket, 'close');
  return text;
}
const raw = (method: string, target: string, more = '') =>
  talk(
    `${method} ${target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${KEY}\r\n${more}connection: close\r\n\r\n`,
  );

const NEEDED = {
  accept: 'application/json',
  'content-type': 'application/json',
  'idempotency-key': 'once',
  'openai-beta': 'assistants=v2',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'a=1',
  'user-agent': 'OpenAI/JS 6',
  'x-client-request-id': 'mine',
  'x-stainless-lang': 'js',
  'x-stainless-retry-count': '0',
};
const KEPT_BACK = {
  'cf-access-jwt-assertion': 'a.jwt',
  cookie: 'session=1',
  forwarded: 'for=10.1.2.3',
  'openai-organization': 'org-1',
  'x-amz-security-token': 'token',
  'x-api-key': 'sk-another',
  'x-amzn-oidc-identity': 'ada',
  'x-auth-request-access-token': 'token',
  'x-client-cert': 'MIIB',
  'x-cutover-provider': 'me',
  'x-forwarded-client-cert': 'Hash=1',
  'x-forwarded-for': '10.1.2.3',
  'x-goog-iap-jwt-assertion': 'a.jwt',
  'x-real-ip': '10.1.2.3',
  'x-stainles': 'nearly',
};

describe.each([
  ['legacy', 0],
  ['candidate', 1],
] as const)("of a caller's head, %s", (arm, share) => {
  const provider = () => (arm === 'legacy' ? legacy : candidate);
  beforeAll(() => gateway.route(share));

  it('gets what it needs and what is configured, and nothing else', async () => {
    await chat({ ...NEEDED, ...KEPT_BACK, 'x-tenant': 't1' });
    const [arrival] = provider().arrivals;
    expect(arrival?.headers).toMatchObject({ ...NEEDED, 'x-tenant': 't1' });
    const allowed = new Set([
      ...Object.keys(NEEDED),
      ...['x-tenant', 'accept-encoding', 'connection', 'content-length', 'host'],
    ]);
    expect(Object.keys(arrival?.headers ?? {}).filter((name) => !allowed.has(name))).toEqual([]);
  });

  it('gets no query parameter but those of the API, those configured, and its own', async () => {
    await chat(
      {},
      '?limit=2&api-version=2020-01-01&key=sk-1&tenant=t1&include%5B%5D=a&order=asc&after=x;key=1',
    );
    const own = arm === 'legacy' ? '&order=asc' : '&api-version=2026-01-01&order=desc';
    expect(provider().arrivals[0]?.url).toBe(`/v1/chat/completions?limit=2&tenant=t1&include%5B%5D=a${own}`);
  });

  it('gets what is configured for one provider alone only if it is that one', async () => {
    await chat({ 'openai-project': 'proj' }, '?trace=1');
    const [arrival] = provider().arrivals;
    expect(arrival?.headers['openai-project']).toBe(arm === 'legacy' ? 'proj' : undefined);
    expect(arrival?.url.includes('trace=1')).toBe(arm === 'legacy');
  });
});

describe.each([
  ['a file', (headers: Record<string, string>) => ask('/v1/files/file-1?limit=1&key=k', { headers })],
  [
    'an upload',
    (headers: Record<string, string>) => {
      const body = new FormData();
      body.set('file', new Blob(['x']), 'a.txt');
      return ask('/v1/files?limit=1&key=k', { method: 'POST', headers, body });
    },
  ],
  ['an unknown path', (headers: Record<string, string>) => ask('/v1/other?limit=1&key=k', { headers })],
  [
    'a WebSocket',
    async (headers: Record<string, string>) => {
      const url = `${gateway.dataUrl.replace('http', 'ws')}/v1/realtime?limit=1&key=k`;
      const socket = new WebSocket(url, { headers: { authorization: `Bearer ${KEY}`, ...headers } });
      await once(socket, 'message');
      socket.terminate();
    },
  ],
])('of the head of %s', (_what, send) => {
  it('only what a provider needs is passed on', async () => {
    await send({ ...KEPT_BACK, 'openai-beta': 'v2' });
    const [arrival] = legacy.arrivals;
    expect(arrival?.headers['openai-beta']).toBe('v2');
    expect(Object.keys(arrival?.headers ?? {}).filter((name) => name in KEPT_BACK)).toEqual([]);
    expect(arrival?.url).toMatch(/\?limit=1$/);
  });
});

describe('methods', () => {
  it.each(['TRACE', 'TRACK', 'PROPFIND', 'LINK', 'PURGE', 'MKCOL'])(
    'other than those of the API (%s) are refused',
    async (method) => {
      const answer = await raw(method, '/v1/models');
      // Those that Node's parser does not know are refused by it.
      expect(answer).toMatch(/^HTTP\/1\.1 4/);
      if (method !== 'TRACK') expect(answer).toMatch(/^HTTP\/1\.1 405 .*allow: GET, HEAD, POST.*bad_method/s);
      expect(legacy.arrivals).toEqual([]);
    },
  );

  it.each(['GET', 'HEAD', 'DELETE', 'PUT', 'PATCH', 'OPTIONS'])(
    'of the API (%s) are passed on',
    async (method) => {
      await raw(method, '/v1/models/x');
      expect(legacy.arrivals).toMatchObject([{ method, url: '/v1/models/x' }]);
    },
  );
});

describe('paths', () => {
  it.each([
    '/v1/models/..;/admin',
    '/v1/models;x=1/a',
    '/v1/models/%252e%252e/admin',
    '/v1/models/%2e%2e/admin',
    '/v1/models/%2E/admin',
    '/v1/models/%c0%ae%c0%ae/admin',
    '/v1/models/%e0%80%af/admin',
    '/v1/models/%ed%a0%80',
    '/v1/models/a%00b',
    '/v1/models/a%0d%0ab',
    '/v1/models/a%7fb',
    '/v1/models/a%c2%85b',
    '/v1/models/a%e2%80%aeb',
    '/v1/models/a\\b',
    '/v1/models/a%5cb',
    '/v1/models/a%3fb',
    '/v1/models/a%23b',
    '/v1/models/a%3bb',
    '/v1/models/a%2',
    '/v1/models/a%zz',
    '/v1/models/a"b',
    '/v1/models/a<b',
    '/v1/models/\xe4',
    '/v1//models',
    '/v1/./models',
    '/v1/models/..',
    '/v1/models/..%2fadmin',
    '/v1/models/a%2f..%2f..%2fadmin',
    '/v1/models/a%2f%2fb',
    '/v1/files/a%2fb',
    '/v1/files%2fa',
    '/routes/chat%2fv1/models',
    '/v1/models?a=\xe4',
  ])('%s, which two servers could read differently, are refused', async (target) => {
    const answer = await raw('GET', target);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/bad_target|bad_request/);
    expect(legacy.arrivals).toEqual([]);
  });

  it.each([
    '/v1/models/meta-llama%2FLlama-3.1',
    '/v1/models/ft:gpt-4o:acme::abc',
    '/v1/models/ft%3Agpt-4o%3Aacme%3A%3Aabc',
    '/v1/models/a%20b',
    '/v1/models/%C3%A4',
    "/v1/models/a@b!$&'()*+,=~b",
    '/v1/files/...',
  ])('%s are passed on as they are', async (target) => {
    await raw('GET', target);
    expect(legacy.arrivals.map(({ url }) => url)).toEqual([target]);
  });
});

const THIRD_PARTY = 'http://third-party.invalid/steal?key=sk';

describe('a redirect', () => {
  const redirects: Answer = (_request, response) =>
    response.writeHead(307, { location: THIRD_PARTY, refresh: `0;url=${THIRD_PARTY}` }).end(THIRD_PARTY);
  const isOurs = async (answer: Response) => {
    expect(answer.status).toBe(502);
    expect(JSON.stringify([...answer.headers]) + (await answer.text())).not.toContain('third-party');
  };

  it.each([300, 301, 302, 303, 305, 307, 308, 399])(
    'of status %s is a failure of the candidate, and legacy answers',
    async (code) => {
      await gateway.route(1);
      candidate.answer = (_request, response) => response.writeHead(code, { location: THIRD_PARTY }).end();
      const answer = await chat();
      expect(answer.status).toBe(200);
      expect(answer.headers.get('x-cutover-failover')).toBe('malformed');
      expect(answer.headers.get('location')).toBeNull();
    },
  );

  it('of legacy is answered with an error of the gateway in every class', async () => {
    await gateway.route(0);
    legacy.answer = redirects;
    await isOurs(await chat());
    await isOurs(await ask('/v1/files/file-1'));
    await isOurs(await ask('/v1/other'));
    await isOurs(await ask('/v1/embeddings', { method: 'POST', body: '{"model":"x","input":"y"}' }));
    expect((await ask('/v1/files/file-1', { method: 'HEAD' })).status).toBe(502);
  });

  it('in place of an upgrade is answered with an error of the gateway', async () => {
    legacy.answer = redirects;
    const redirecting = createServer().on('upgrade', (_request, socket) => {
      socket.end(`HTTP/1.1 307 Go\r\nlocation: ${THIRD_PARTY}\r\ncontent-length: 0\r\n\r\n`);
    });
    redirecting.listen(0, '127.0.0.1');
    await once(redirecting, 'listening');
    const { port } = redirecting.address() as AddressInfo;
    const other = await startTestGateway({
      legacyUrl: `http://127.0.0.1:${port}/v1`,
      candidateUrl: candidate.url,
    });
    const socket = new WebSocket(`${other.dataUrl.replace('http', 'ws')}/v1/realtime`);
    const [, answer] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
    expect(answer.statusCode).toBe(502);
    expect(answer.headers.location).toBeUndefined();
    socket.on('error', () => {}).terminate();
    await other.stop();
    redirecting.close();
  });

  it('is not what a 304 is', async () => {
    legacy.answer = (_request, response) => response.writeHead(304, { etag: '"1"' }).end();
    expect((await ask('/v1/files/file-1', { headers: { 'if-none-match': '"1"' } })).status).toBe(304);
  });
});

it('headers that would send a caller elsewhere, or speak for the gateway, do not reach callers', async () => {
  await gateway.route(0);
  const kept = {
    'x-request-id': 'req_1',
    'x-ratelimit-remaining-requests': '9',
    'openai-version': '2020-10-01',
  };
  legacy.answer = (_request, response) => {
    response.writeHead(200, {
      ...kept,
      'content-type': 'application/json',
      'x-accel-buffering': 'no',
      'alt-svc': 'h3="third-party.invalid:443"',
      'content-location': THIRD_PARTY,
      link: `<${THIRD_PARTY}>; rel=preload`,
      location: THIRD_PARTY,
      'operation-location': THIRD_PARTY,
      'proxy-authenticate': 'Basic realm="third-party"',
      'proxy-status': 'third-party',
      refresh: `0;url=${THIRD_PARTY}`,
      'server-timing': 'third-party',
      'set-cookie': 'third-party=1',
      'strict-transport-security': 'max-age=1; third-party',
      'www-authenticate': 'Basic realm="third-party"',
      'x-accel-redirect': '/third-party',
      'x-cutover-epoch': '999',
      'x-cutover-failover': 'third-party',
      'X-Cutover-Provider': 'third-party',
    });
    response.end(COMPLETION);
  };
  const { headers } = await chat();
  expect(JSON.stringify([...headers])).not.toContain('third-party');
  expect(headers.get('x-cutover-provider')).toBe('old');
  expect(headers.get('x-cutover-epoch')).not.toContain('999');
  expect(headers.get('x-accel-buffering')).toBe('no');
  for (const [name, value] of Object.entries(kept)) expect(headers.get(name)).toBe(value);
});

it('the path of what was made reaches callers, as the Realtime API needs', async () => {
  legacy.answer = (_request, response) =>
    response.writeHead(201, { location: '/v1/realtime/calls/rtc_1' }).end();
  const answer = await ask('/v1/realtime/calls', {
    method: 'POST',
    body: 'v=0',
    headers: { 'content-type': 'application/sdp' },
  });
  expect(answer.headers.get('location')).toBe('/v1/realtime/calls/rtc_1');
  legacy.answer = (_request, response) =>
    response.writeHead(201, { location: '//third-party.invalid/' }).end();
  expect(
    (await ask('/v1/realtime/calls', { method: 'POST', body: 'v=0' })).headers.get('location'),
  ).toBeNull();
});

it.each(['authorization', 'Cookie', 'x-cutover-epoch', 'Proxy-Authorization', 'transfer-encoding', 'a b'])(
  'the configuration refuses to forward the header %s',
  (name) => {
    const read = configurationSchema.safeParse({
      providers: { a: { baseUrl: 'http://a' }, b: { baseUrl: 'http://b' } },
      routes: { chat: { legacy: 'a', candidate: 'b' } },
      headers: { forward: [name] },
    });
    expect(read.error?.issues).toMatchObject([{ path: ['headers', 'forward', 0] }]);
  },
);
