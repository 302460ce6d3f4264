import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createProviderProbes } from '../../../src/adapters/openai/provider-probe';
import { startProvider } from '../../../src/demo/provider';
import type { ProbeKind } from '../../../src/ports';
import { chatConfiguration } from '../../support/parity-fixture';
import {
  calls,
  type ScriptedAnswer,
  type ScriptedProvider,
  says,
  startScriptedProvider,
} from '../../support/providers/scripted-provider';

let provider: ScriptedProvider;

beforeAll(async () => {
  provider = await startScriptedProvider(() => says('yes'));
});

beforeEach(() => {
  provider.bodies.length = 0;
});

afterAll(() => provider.stop());

function probe(kind: ProbeKind, answer: ScriptedAnswer, parameters: object = {}) {
  provider.script = () => answer;
  const probes = createProviderProbes({
    configuration: chatConfiguration(provider.url, provider.url, parameters),
    resolveSecret: () => 'none',
    now: () => performance.now(),
  });
  return probes.probe('chat', 'candidate', kind, {
    timeoutMs: 2_000,
    signal: new AbortController().signal,
  });
}

it.each<[ProbeKind, string, ScriptedAnswer]>([
  ['tools', 'a call with arguments', calls('note', { number: 7 })],
  ['jsonSchema', 'what the schema asks for', says('{"ok":true}')],
  ['longContext', 'an answer', says('yes', 'length')],
  ['embeddings', 'a vector', { vectors: [[0.1, 0.2]] }],
])('passes %s with %s', async (kind, _, answer) => {
  expect(await probe(kind, answer)).toMatchObject({ kind, ok: true, error: null });
});

it('reads the digests that a list of models states', async () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const { url, stop } = await startProvider({
    name: 'candidate',
    models: ['other', 'tuned'],
    behaviour: { digests: { tuned: digest } },
  });
  const probes = createProviderProbes({
    configuration: chatConfiguration(url, url, {}),
    resolveSecret: () => 'none',
    now: () => performance.now(),
  });
  const limits = { timeoutMs: 2_000, signal: new AbortController().signal };
  expect(await probes.probe('chat', 'candidate', 'models', limits)).toMatchObject({
    models: ['other', 'tuned'],
    digests: { tuned: [digest] },
  });
  await stop();
});

it.each<[ProbeKind, string, ScriptedAnswer, string]>([
  ['tools', 'words in place of a call', says('I noted it.'), 'malformed (the tool was not called)'],
  ['tools', 'arguments cut short', calls('note', '{"number":'), 'malformed (arguments that are not JSON)'],
  ['tools', 'a refusal', { status: 400 }, 'status_4xx (status 400)'],
  ['jsonSchema', 'words', says('ok is true'), 'malformed (an answer that does not keep to the JSON schema)'],
  [
    'jsonSchema',
    'another type',
    says('{"ok":"true"}'),
    'malformed (an answer that does not keep to the JSON schema)',
  ],
  ['longContext', 'a refusal', { status: 413 }, 'status_4xx (status 413)'],
  ['embeddings', 'no vector', { vectors: [] }, 'malformed (no embedding)'],
  [
    'plain',
    'a key that is refused, and by whom',
    { status: 401 },
    'status_auth (status 401): new needs a key, and none is configured',
  ],
])('fails %s with %s', async (kind, _, answer, error) => {
  expect(await probe(kind, answer)).toMatchObject({ kind, ok: false, error });
});

it('sends a long context that is long', async () => {
  await probe('longContext', says('yes'));
  expect(provider.bodies[0]?.length).toBeGreaterThan(35_000);
});

it('sends the candidate what the gateway would: renamed, dropped, set', async () => {
  const parameters = { rename: { max_tokens: 'max_completion_tokens' }, set: { reasoning_effort: 'low' } };
  await probe('plain', says('pong'), parameters);
  const body = JSON.parse(provider.bodies[0] ?? '{}');
  expect(body).toEqual({
    model: 'large',
    messages: [{ role: 'user', content: 'ping' }],
    max_completion_tokens: 1,
    reasoning_effort: 'low',
  });
});

it('sends legacy what the gateway would: its own rules, and objects merged', async () => {
  provider.script = () => says('pong');
  const merges = { chat_template_kwargs: { thinking: false } };
  const probes = createProviderProbes({
    configuration: chatConfiguration(provider.url, provider.url, { set: { top_k: 1 } }, { set: merges }),
    resolveSecret: () => 'none',
    now: () => performance.now(),
  });
  await probes.probe('chat', 'legacy', 'plain', { timeoutMs: 2_000, signal: new AbortController().signal });
  const body = JSON.parse(provider.bodies[0] ?? '{}');
  expect(body).toMatchObject({ model: 'gpt-4o', ...merges });
  expect(body).not.toHaveProperty('top_k');
});

it('reads the limits per minute out of the headers of a plain answer', async () => {
  const said = { limit: '600', remaining: '590', reset: '1s' };
  const server = createServer((_request, response) => {
    const headers = Object.entries(said).map(([name, value]) => [`x-ratelimit-${name}-requests`, value]);
    const tokens = { 'anthropic-ratelimit-output-tokens-limit': '8000' };
    response.writeHead(200, {
      ...{ 'content-type': 'application/json', ...tokens },
      ...Object.fromEntries(headers),
    });
    response.end(
      JSON.stringify({ id: 'c', object: 'chat.completion', choices: [{ index: 0, message: {} }] }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const probes = createProviderProbes({
    configuration: chatConfiguration(url, url, {}),
    resolveSecret: () => 'none',
    now: () => performance.now(),
  });
  const limits = { timeoutMs: 2_000, signal: new AbortController().signal };
  expect(await probes.probe('chat', 'candidate', 'plain', limits)).toMatchObject({
    ok: true,
    rateLimits: { requestsPerMinute: 600, tokensPerMinute: null, outputTokensPerMinute: 8_000 },
  });
  said.reset = 'tomorrow';
  expect(await probes.probe('chat', 'candidate', 'plain', limits)).toMatchObject({
    rateLimits: { requestsPerMinute: null },
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
