import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { providerInquiry } from '../../../src/adapters/openai/provider-inquiry';
import type { ProviderInquiry } from '../../../src/assess/readiness';
import { FEATURES } from '../../../src/assess/usage/usage-analysis';

type Answer = (body: Record<string, unknown>, request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let requests: {
  path: string;
  body: Record<string, unknown>;
  authorization: string | undefined;
  probe: unknown;
}[];
let answer: Answer;

beforeEach(async () => {
  requests = [];
  server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    requests.push({
      path: request.url ?? '',
      body,
      authorization: request.headers.authorization,
      probe: request.headers['x-cutover-probe'],
    });
    answer(body, request, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function inquiry(): ProviderInquiry {
  const { port } = server.address() as AddressInfo;
  return providerInquiry(
    { baseUrl: `http://127.0.0.1:${port}/v1`, auth: { bearer: 'env:KEY' }, headers: {}, query: {} },
    () => 'sk-secret',
    2000,
  );
}

const json = (response: ServerResponse, value: unknown, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

const message = (content: string | null, over: object = {}) => ({
  id: 'c',
  object: 'chat.completion',
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content, ...over } }],
});

it('lists models with the key that it was given, and tells the provider that it is no user', async () => {
  answer = (_, __, response) => json(response, { object: 'list', data: [{ id: 'a' }, { id: 'b' }] });
  expect(await inquiry().listModels()).toEqual({
    ok: true,
    error: null,
    models: ['a', 'b'],
    contextLengths: new Map(),
  });
  expect(requests[0]).toMatchObject({ path: '/v1/models', authorization: 'Bearer sk-secret', probe: '1' });
});

it('reports a refused key by class, once, and without repeating what the provider said', async () => {
  answer = (_, __, response) => json(response, { error: { message: 'wrong key sk-secret' } }, 401);
  expect(await inquiry().listModels()).toMatchObject({ ok: false, error: 'status_auth (401)', models: null });
  expect(requests).toHaveLength(1);
});

it('finds every feature of a provider that has them, with one request each', async () => {
  answer = (body, request, response) => {
    if (request.url === '/v1/embeddings')
      return void json(response, { object: 'list', data: [{ index: 0, embedding: [1, 2] }] });
    if (body['stream'] === true) {
      const chunk = {
        id: 'c',
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta: { content: 'p' } }],
      };
      return void response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`);
    }
    if (body['tools'] !== undefined) {
      const call = {
        id: 't',
        type: 'function',
        function: { name: 'weather', arguments: '{"city":"Paris"}' },
      };
      return void json(response, message(null, { tool_calls: [call] }));
    }
    return void json(response, message('{"ok":true}'));
  };
  for (const feature of FEATURES) {
    expect(await inquiry().probeFeature(feature, 'm')).toMatchObject({ supported: true });
  }
  expect(requests).toHaveLength(FEATURES.length);
  expect(requests.every(({ body }) => body['model'] === 'm')).toBe(true);
});

it('tells a feature that is accepted and ignored from one that works', async () => {
  answer = (_, __, response) => json(response, message('Sure!'));
  expect(await inquiry().probeFeature('tools', 'm')).toEqual({
    supported: false,
    detail: 'accepted tools and called none',
  });
  expect(await inquiry().probeFeature('jsonSchema', 'm')).toEqual({
    supported: false,
    detail: 'accepted the schema and did not keep to it',
  });
});

it.each([
  [400, false],
  [404, false],
  [422, false],
  [401, null],
  [429, null],
  [500, null],
])('takes status %d to a probe for %s', async (status, supported) => {
  answer = (_, __, response) => json(response, { error: { message: 'no' } }, status);
  expect(await inquiry().probeFeature('vision', 'm')).toMatchObject({ supported });
  expect(requests).toHaveLength(1);
});

it('cannot tell from a connection that breaks', async () => {
  answer = (_, request) => request.socket.destroy();
  expect(await inquiry().probeFeature('streaming', 'm')).toMatchObject({ supported: null });
});

it('takes the context of a model from wherever a list of models has it', async () => {
  const data = [
    { id: 'openrouter', context_length: 163_840 },
    { id: 'vllm', max_model_len: 32_768 },
    { id: 'groq', context_window: 131_072 },
    { id: 'odd', context_length: 'long' },
    { id: 'silent' },
  ];
  answer = (_, __, response) => json(response, { object: 'list', data });
  const { contextLengths } = await inquiry().listModels();
  expect([...contextLengths]).toEqual([
    ['openrouter', 163_840],
    ['vllm', 32_768],
    ['groq', 131_072],
  ]);
});

it('measures a p50 and reads rate limits with as many requests as were asked for', async () => {
  answer = (_, __, response) => {
    response.setHeader('x-ratelimit-limit-requests', '500');
    response.setHeader('x-ratelimit-remaining-requests', '499');
    response.setHeader('x-ratelimit-reset-requests', '120ms');
    json(response, message('p'));
  };
  const { p50Ms, rateLimits } = await inquiry().ping('m', 3);
  expect(p50Ms).toBeGreaterThan(0);
  expect(rateLimits).toEqual({ requestsPerMinute: 500, tokensPerMinute: null });
  expect(requests).toHaveLength(3);
});

it('has no p50 where a request failed', async () => {
  answer = (_, __, response) => json(response, { error: { message: 'no' } }, 500);
  expect(await inquiry().ping('m', 3)).toMatchObject({ p50Ms: null });
  expect(requests).toHaveLength(1);
});
