import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import fc from 'fast-check';
import OpenAI, { AzureOpenAI, toFile } from 'openai';
import { WebSocket, WebSocketServer } from 'ws';
import { startGatewayServer } from '../../../src/gateway/main';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import {
  ASK,
  MODEL,
  ROUTE,
  startTestGateway,
  type TestGateway,
} from '../../support/gateways/running-gateway';
import { plain, status, well } from '../../support/providers/fault-provider';

const CALLERS_KEY = 'sk-the-key-that-this-caller-always-had';
const SECRETS = {
  'env:OLD_KEY': 'sk-old-provider-key',
  'env:NEW_KEY': 'sk-new-provider-key',
  'env:TEAM_KEY': 'sk-own-key-of-the-team',
};
const SENT_HEADERS: Record<string, string | string[] | undefined>[] = [];
const SENT_URLS: string[] = [];

let gateway: TestGateway;

const recording =
  (next: typeof well): typeof well =>
  (exchange) => {
    SENT_HEADERS.push(exchange.response.req.headers);
    SENT_URLS.push(exchange.response.req.url ?? '');
    next(exchange);
  };

const trial = gatewayTrial(recording(well));
const { legacy, candidate } = trial;

beforeAll(async () => {
  gateway = await trial.start({
    candidateUrl: `${candidate.url.replace('/v1', '/openai/v1')}`,
    legacy: { auth: { bearer: 'env:OLD_KEY' }, headers: { 'x-old': '1' } },
    candidate: { auth: { header: 'api-key', key: 'env:NEW_KEY' }, query: { 'api-version': '2026-01-01' } },
    secrets: SECRETS,
    settings: { maxBodyBytes: 2048, headersTimeout: '1s', bodyTimeout: '1s' },
    configuration: {
      callers: [
        { team: 'search', keySha256: createHash('sha256').update(CALLERS_KEY).digest('hex') },
        {
          team: 'chat',
          keySha256: createHash('sha256').update('sk-chat').digest('hex'),
          keys: { old: 'env:TEAM_KEY' },
          headers: { 'openai-organization': 'org-chat' },
        },
      ],
    },
  });
});

beforeEach(() => {
  SENT_HEADERS.length = 0;
  SENT_URLS.length = 0;
});

const client = (apiKey = CALLERS_KEY) =>
  new OpenAI({ baseURL: `${gateway.dataUrl}/v1`, apiKey, maxRetries: 0 });

/** Sends bytes as they are and returns all that comes back until the connection ends. */
function talk(bytes: string | Buffer, waitMs = 5_000): Promise<string> {
  const { port } = new URL(gateway.dataUrl);
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(bytes));
    socket.setTimeout(waitMs, () => socket.destroy());
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

const BODY = JSON.stringify(ASK);
const KEY = `authorization: Bearer ${CALLERS_KEY}\r\n`;
const post = (headers: string, body = '', target = '/v1/chat/completions') =>
  `POST ${target} HTTP/1.1\r\n${headers}connection: close\r\n\r\n${body}`;

describe('keys', () => {
  it('let in a caller by the SHA-256 of its own key, as Bearer and as api-key', async () => {
    await client().chat.completions.create(ASK);
    const azure = new AzureOpenAI({
      baseURL: `${gateway.dataUrl}/v1`,
      apiKey: CALLERS_KEY,
      apiVersion: '2026-01-01',
      maxRetries: 0,
    });
    await azure.chat.completions.create(ASK);
    expect(SENT_HEADERS).toHaveLength(2);
    await expect(client('sk-wrong').chat.completions.create(ASK)).rejects.toMatchObject({ status: 401 });
    expect(SENT_HEADERS).toHaveLength(2);
  });

  it("never carry a caller's key to a provider, and put each provider's own in its place", async () => {
    await gateway.route(0);
    const named = `host: a\r\n${KEY}cookie: a=b\r\nconnection: x-secret\r\nx-secret: 1\r\n`;
    await talk(post(`${named}content-length: ${BODY.length}\r\n`, BODY));
    expect(SENT_HEADERS[0]).toMatchObject({ authorization: 'Bearer sk-old-provider-key', 'x-old': '1' });
    expect(SENT_HEADERS[0]).not.toHaveProperty('x-secret');
    expect(SENT_HEADERS[0]).not.toHaveProperty('cookie');
    await gateway.route(1);
    await client().chat.completions.create(ASK);
    expect(SENT_HEADERS[1]).toMatchObject({ 'api-key': 'sk-new-provider-key' });
    expect(SENT_HEADERS[1]).not.toHaveProperty('authorization');
    expect(SENT_URLS[1]).toBe('/openai/v1/chat/completions?api-version=2026-01-01');
    expect(JSON.stringify(SENT_HEADERS)).not.toContain(CALLERS_KEY);
    await gateway.route(0);
  });

  it("use a team's own provider key and headers", async () => {
    await client('sk-chat').chat.completions.create(ASK);
    expect(SENT_HEADERS[0]).toMatchObject({
      authorization: 'Bearer sk-own-key-of-the-team',
      'openai-organization': 'org-chat',
    });
    expect(gateway.log.at(-1)).toMatchObject({ team: 'chat' });
  });

  it("are taken out of a provider's error that quotes them", async () => {
    legacy.fault = ({ response }) => {
      response.writeHead(401, { 'content-type': 'application/json', 'x-debug': SECRETS['env:OLD_KEY'] });
      response.end(JSON.stringify({ error: { message: `bad key ${SECRETS['env:OLD_KEY']}` } }));
    };
    const answer = await fetch(`${gateway.dataUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${CALLERS_KEY}` },
      body: BODY,
    });
    const text = (await answer.text()) + JSON.stringify([...answer.headers]);
    expect(answer.status).toBe(401);
    expect(text).not.toContain(SECRETS['env:OLD_KEY']);
  });

  it('never show in the log', () => {
    const text = JSON.stringify(gateway.log);
    for (const secret of [CALLERS_KEY, 'sk-chat', 'Hello?', ...Object.values(SECRETS)])
      expect(text).not.toContain(secret);
  });

  it('are needed to listen elsewhere than on loopback', async () => {
    const open = await startTestGateway({ legacyUrl: legacy.url, candidateUrl: candidate.url });
    const start = startGatewayServer({
      configuration: open.configuration,
      data: { host: '0.0.0.0', port: 0 },
      log: 'none',
      resolveSecret: () => 'x',
    });
    await expect(start).rejects.toThrow('only loopback is allowed');
    await open.stop();
  });
});

describe('shapes that two servers could read differently are refused', () => {
  const length = `content-length: ${BODY.length}\r\n`;
  it.each([
    ['two Host headers', post(`host: a\r\nhost: b\r\n${KEY}${length}`, BODY)],
    ['no Host header', post(`${KEY}${length}`, BODY)],
    ['an absolute target', post(`host: a\r\n${KEY}${length}`, BODY, 'http://elsewhere/v1/chat/completions')],
    ['both lengths', post(`host: a\r\n${KEY}${length}transfer-encoding: chunked\r\n`, `0\r\n\r\n${BODY}`)],
    ['two lengths', post(`host: a\r\n${KEY}${length}content-length: 3\r\n`, BODY)],
    ['a length that is none', post(`host: a\r\n${KEY}content-length: +7\r\n`, BODY)],
    ['bad chunking', post(`host: a\r\n${KEY}transfer-encoding: chunked\r\n`, `zz\r\n${BODY}`)],
    ['another coding', post(`host: a\r\n${KEY}transfer-encoding: gzip, identity\r\n`, BODY)],
    [
      'a coding with a space before the colon',
      post(`host: a\r\n${KEY}transfer-encoding : chunked\r\n`, BODY),
    ],
    ['a folded header', post(`host: a\r\n${KEY}x-a: 1\r\n 2\r\n${length}`, BODY)],
    ['a bare line feed', `POST /v1/chat/completions HTTP/1.1\nhost: a\n${KEY}${length}\n${BODY}`],
    [
      'a GET with a body',
      `GET /v1/models HTTP/1.1\r\nhost: a\r\n${KEY}${length}connection: close\r\n\r\n${BODY}`,
    ],
    ['dot segments', `GET /v1/models/../../admin HTTP/1.1\r\nhost: a\r\n${KEY}connection: close\r\n\r\n`],
    ['escaped dot segments', `GET /v1/%2e%2e/admin HTTP/1.1\r\nhost: a\r\n${KEY}connection: close\r\n\r\n`],
    ['a CONNECT', 'CONNECT elsewhere:443 HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['too many headers', post(`host: a\r\n${KEY}${'x-a: 1\r\n'.repeat(300)}${length}`, BODY)],
    ['too large headers', post(`host: a\r\n${KEY}x-a: ${'x'.repeat(40_000)}\r\n${length}`, BODY)],
    ['bytes that are no HTTP', '\x16\x03\x01\x02\x00\x01\x00'],
  ])('%s', async (_name, bytes) => {
    const answer = await talk(bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 (400|404|405|408|431|501) /);
    expect(SENT_URLS).toEqual([]);
  });

  it('and a caller who sends too slowly is timed out', async () => {
    const slowHead = talk('POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n');
    const slowBody = talk(post(`host: a\r\n${KEY}content-length: 500\r\n`, '{'));
    expect(await slowHead).toContain('408');
    expect(await slowBody).toContain('408');
    expect(SENT_URLS).toEqual([]);
  });
});

describe('bodies', () => {
  it('over the cap are refused with 413, announced or not', async () => {
    const large = JSON.stringify({ ...ASK, user: 'x'.repeat(5_000) });
    await expect(client().chat.completions.create(JSON.parse(large))).rejects.toMatchObject({ status: 413 });
    const chunked = `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`;
    expect(await talk(post(`host: a\r\n${KEY}transfer-encoding: chunked\r\n`, chunked))).toMatch(
      /^HTTP\/1\.1 413 /,
    );
    expect(SENT_URLS).toEqual([]);
  });

  it.each([
    ['no JSON', '{"model":'],
    ['no object', '[1]'],
    ['no model', '{}'],
    ['deep nesting', `${'['.repeat(900)}${']'.repeat(900)}`],
    ['a model and deep nesting', `{"model":"gpt-4o","stream":true,"x":${'['.repeat(900)}${']'.repeat(900)}}`],
    ['an odd number', '{"model":"x","n":1e999}'],
    ['a lone surrogate', '{"model":"x","user":"\\ud800"}'],
    ['a prototype', '{"model":"__proto__","__proto__":{"model":"gpt-4o"}}'],
  ])('that hold %s go to legacy unchanged', async (_name, body) => {
    await gateway.route(1);
    const answer = await talk(post(`host: a\r\n${KEY}content-length: ${body.length}\r\n`, body));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(legacy.bodies.at(-1)).toBe(body);
  });

  it('of forms are read for their model and forwarded byte for byte', async () => {
    const same = await startTestGateway({
      legacyUrl: legacy.url,
      candidateUrl: candidate.url,
      route: { models: { 'whisper-1': 'whisper-1' } },
    });
    await same.route(1);
    candidate.fault = plain('{"text":"spoken"}');
    const { data, response } = await same
      .client()
      .audio.transcriptions.create({ model: 'whisper-1', file: await toFile(Buffer.alloc(64, 7), 'a.wav') })
      .withResponse();
    expect(data.text).toBe('spoken');
    expect(response.headers.get('x-cutover-provider')).toBe('new');
    expect(candidate.bodies.at(-1)).toContain('name="model"\r\n\r\nwhisper-1');
    await same.stop();
  });
});

describe('parameters', () => {
  it('are renamed, dropped and set for the candidate alone', async () => {
    const shaped = await startTestGateway({
      legacyUrl: legacy.url,
      candidateUrl: candidate.url,
      route: {
        models: {
          [MODEL]: {
            candidate: 'other',
            parameters: {
              rename: { max_tokens: 'max_completion_tokens' },
              drop: ['logit_bias'],
              set: { top_k: 5 },
            },
          },
        },
      },
    });
    const ask = { ...ASK, max_tokens: 9, logit_bias: { '1': 2 } };
    await shaped.client().chat.completions.create(ask);
    expect(JSON.parse(legacy.bodies.at(-1) ?? '')).toEqual(ask);
    await shaped.route(1);
    await shaped.client().chat.completions.create(ask);
    expect(JSON.parse(candidate.bodies.at(-1) ?? '')).toEqual({
      ...ASK,
      model: 'other',
      max_completion_tokens: 9,
      top_k: 5,
    });
    await shaped.stop();
  });
});

describe('stateful traffic', () => {
  it('goes to the maker of what it names, and after a not-found once to the other', async () => {
    const stateful = await startTestGateway({ legacyUrl: legacy.url, candidateUrl: candidate.url });
    const made = plain(
      '{"id":"resp_made_by_new","object":"response","status":"completed","output":[{"type":"reasoning","summary":[]}]}',
    );
    await stateful.route(1);
    candidate.fault = made;
    await stateful.client().responses.create({ model: MODEL, input: 'x' });
    await stateful.route(0);
    const from = async (id: string) =>
      (await stateful.client().responses.retrieve(id).withResponse()).response.headers.get(
        'x-cutover-provider',
      );
    expect(await from('resp_made_by_new')).toBe('new');
    expect(await from('resp_unknown')).toBe('old');
    legacy.fault = status(404);
    await stateful.route(0.1);
    expect(await from('resp_lost')).toBe('new');
    await stateful.route(0);
    await expect(stateful.client().responses.delete('resp_lost')).rejects.toMatchObject({ status: 404 });
    legacy.fault = well;
    const next = { model: MODEL, input: 'y', previous_response_id: 'resp_made_by_new' };
    const { response } = await stateful.client().responses.create(next).withResponse();
    expect(response.headers.get('x-cutover-provider')).toBe('new');
    expect(JSON.parse(candidate.bodies.at(-1) ?? '')).toMatchObject({ model: 'gpt-4o-mini' });
    const file = await stateful
      .client()
      .files.create({ purpose: 'batch', file: await toFile(Buffer.from('{}'), 'a.jsonl') })
      .withResponse();
    expect(file.response.headers.get('x-cutover-provider')).toBe('old');
    expect(stateful.cells()).toEqual([]);
    await stateful.stop();
  });
});

describe('what legacy does not know of', () => {
  const lost = async (served: TestGateway) => {
    legacy.fault = status(404);
    const asked = candidate.bodies.length;
    await expect(served.client().responses.retrieve('resp_lost')).rejects.toMatchObject({ status: 404 });
    const more = { model: MODEL, input: 'y', previous_response_id: 'resp_lost' };
    await expect(served.client().responses.create(more)).rejects.toMatchObject({ status: 404 });
    return candidate.bodies.length - asked;
  };

  it.each([
    ['before any migration', async () => undefined],
    ['after a rollback', async (served: TestGateway) => served.route(1).then(() => served.route(0))],
    [
      'under a kill latch',
      async (served: TestGateway) => {
        await served.route(1);
        const latch = { by: 'ada', reason: 'odd', at: '2026-01-01T00:00:00Z' };
        await served.routes.get(ROUTE)?.state.kill(latch);
      },
    ],
    [
      'once the lease has lapsed',
      async (served: TestGateway) => {
        await served.route(1, { leaseMs: 1 });
        await new Promise((resolve) => setTimeout(resolve, 20));
      },
    ],
  ])('is not looked for at the candidate %s', async (_when, prepare) => {
    const served = await startTestGateway({ legacyUrl: legacy.url, candidateUrl: candidate.url });
    await prepare(served);
    expect(await lost(served)).toBe(0);
    await served.stop();
  });

  it('is answered with its not-found when the routing changes before the candidate is asked', async () => {
    const served = await startTestGateway({
      legacyUrl: legacy.url,
      candidateUrl: candidate.url,
      candidate: { maxConnections: 1 },
    });
    await served.route(1);
    candidate.fault = () => undefined;
    const asked = candidate.bodies.length;
    const held = served.client().chat.completions.create(ASK);
    while (candidate.bodies.length === asked) await new Promise((resolve) => setTimeout(resolve, 5));
    const retrieving = lost(served);
    while ((served.routes.get(ROUTE)?.providers.candidate.inFlight ?? 0) < 2)
      await new Promise((resolve) => setTimeout(resolve, 5));
    await served.route(0);
    expect(await retrieving).toBe(0);
    legacy.fault = well;
    await served.route(0, {}, 'cut');
    await held;
    await served.stop();
  });
});

describe('an upload', () => {
  const upload = (gateway: TestGateway) =>
    gateway
      .client()
      .files.create({ purpose: 'batch', file: new File([Buffer.alloc(5_000_000, 7)], 'a.jsonl') });

  it('is passed on as it comes, however large', async () => {
    const streaming = await startTestGateway({
      legacyUrl: legacy.url,
      candidateUrl: candidate.url,
      settings: { maxBodyBytes: 2048 },
    });
    await upload(streaming);
    expect(legacy.bodies.at(-1)?.length).toBeGreaterThan(5_000_000);
    await streaming.stop();
  });

  it('is answered with the gateway’s error when its provider is down', async () => {
    const lost = await startTestGateway({ legacyUrl: 'http://127.0.0.1:9/v1', candidateUrl: candidate.url });
    await expect(upload(lost)).rejects.toMatchObject({ status: 502, code: 'connect' });
    await lost.stop();
  });
});

describe('a WebSocket', () => {
  it('is tunnelled to the stateful provider with its key in place of the caller’s', async () => {
    const seen: (string | undefined)[] = [];
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    server.on('connection', (socket, request) => {
      seen.push(request.url, request.headers.authorization, request.headers['sec-websocket-protocol']);
      socket.on('message', (data) => socket.send(`echo ${data}`));
    });
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const realtime = await startTestGateway({
      legacyUrl: `http://127.0.0.1:${port}/v1`,
      candidateUrl: candidate.url,
      legacy: { auth: { bearer: 'env:OLD_KEY' } },
      secrets: SECRETS,
    });
    const url = `${realtime.dataUrl.replace('http', 'ws')}/v1/realtime?model=x`;
    const socket = new WebSocket(url, ['realtime', 'openai-insecure-api-key.sk-secret'], {
      headers: { authorization: 'Bearer sk-callers' },
    });
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    socket.send('hello');
    const echo = await new Promise((resolve) => socket.once('message', (data) => resolve(String(data))));
    expect(echo).toBe('echo hello');
    expect(seen).toEqual(['/v1/realtime?model=x', 'Bearer sk-old-provider-key', 'realtime']);
    socket.close();
    await new Promise((resolve) => socket.once('close', resolve));
    await realtime.stop();
    await new Promise((resolve) => server.close(resolve));
  });
});

it('answers in time and lives on, whatever bytes come (fuzz)', async () => {
  const line = fc.constantFrom(
    'host: a',
    'content-length: 5',
    'transfer-encoding: chunked',
    'connection: upgrade',
    KEY.trim(),
    'expect: 100-continue',
    'x: \x00',
    ': y',
    'content-type: multipart/form-data; boundary=',
  );
  const head = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PRI', 'X'),
    target: fc.oneof(
      fc.constantFrom(
        '/v1/chat/completions',
        '/v1/files/a',
        '*',
        '/',
        '//',
        '/routes/x/v1/',
        '/v1/embeddings?x',
      ),
      fc.string(),
    ),
    lines: fc.array(line, { maxLength: 6 }),
    body: fc.oneof(fc.string(), fc.json(), fc.constant('5\r\n{"a":\r\n0\r\n\r\n')),
  });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
    head.map(({ method, target, lines, body }) =>
      Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`),
    ),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (sent) => {
      await talk(sent, 40);
    }),
    { numRuns: 150 },
  );
  await client().chat.completions.create(ASK);
});

it('serves any JSON that comes as a body without a defect (fuzz)', async () => {
  await gateway.route(0.5);
  await fc.assert(
    fc.asyncProperty(fc.json({ maxDepth: 4 }), fc.boolean(), async (more, stream) => {
      const body = `{"model":"${MODEL}","stream":${stream},"messages":${more},"tools":${more},"user":${more},"stream_options":${more}}`;
      if (body.length > 2_000) return;
      const answer = await fetch(`${gateway.dataUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${CALLERS_KEY}`, 'content-type': 'application/json' },
        body,
      });
      expect(answer.status).toBe(200);
      await answer.text();
    }),
    { numRuns: 150 },
  );
  expect(gateway.log.filter(({ msg }) => msg === 'defect')).toEqual([]);
});
