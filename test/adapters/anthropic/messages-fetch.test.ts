import { readModelList } from '../../../src/adapters/openai/model-list';
import { providerInquiry } from '../../../src/adapters/openai/provider-inquiry';
import { createProviderProbes } from '../../../src/adapters/openai/provider-probe';
import {
  addedFields,
  handoverQuestion,
  openedConversation,
  repaired,
  withAnswer,
} from '../../../src/core/assessment/handover-conversation';
import type { Message } from '../../../src/core/assessment/question';
import { configurationSchema } from '../../../src/core/configuration/configuration-schema';
import type { ProbeKind } from '../../../src/ports';
import {
  type Fault,
  type FaultProvider,
  plain,
  sse,
  startFaultProvider,
} from '../../support/providers/fault-provider';
import {
  answers,
  apiError,
  type Block,
  messageEvent,
  speaksMessages,
  streamOf,
} from '../../support/providers/messages-provider';

let provider: FaultProvider;
const urls: string[] = [];
const heads: NodeJS.Dict<string | string[]>[] = [];

const recording =
  (next: Fault): Fault =>
  (exchange) => {
    urls.push(exchange.response.req.url ?? '');
    heads.push(exchange.response.req.headers);
    next(exchange);
  };

beforeAll(async () => {
  provider = await startFaultProvider(speaksMessages('yes'));
});

beforeEach(() => {
  provider.fault = recording(speaksMessages('yes'));
  for (const list of [urls, heads, provider.bodies]) list.length = 0;
});

afterAll(() => provider.stop());

const endpoint = () => ({
  ...{ baseUrl: provider.url, dialect: 'anthropic' as const, headers: {}, query: {} },
  auth: { header: 'x-api-key', key: 'env:KEY' },
});
const limits = () => ({ timeoutMs: 10_000, signal: new AbortController().signal });

function probes(headers: object = {}) {
  const spoken = { ...endpoint(), headers };
  return createProviderProbes({
    configuration: configurationSchema.parse({
      providers: { old: spoken, new: spoken },
      routes: {
        chat: {
          legacy: 'old',
          candidate: 'new',
          models: {
            sonnet: { candidate: 'claude-of-tests', parameters: { set: { thinking: { type: 'disabled' } } } },
          },
        },
      },
    }),
    resolveSecret: () => 'the-key',
    now: () => performance.now(),
  });
}

const probe = (kind: ProbeKind) => probes().probe('chat', 'candidate', kind, limits());
const sent = () => JSON.parse(provider.bodies.at(-1) ?? '{}') as Record<string, unknown>;

it.each<[ProbeKind, string, Fault]>([
  ['models', 'its list', speaksMessages('')],
  ['plain', 'a message', speaksMessages('p')],
  ['stream', 'a stream', speaksMessages('pong')],
  [
    'tools',
    'a call',
    answers([{ type: 'tool_use', id: 't', name: 'note', input: { number: 7 } }], 'tool_use'),
  ],
  ['jsonSchema', 'what the schema asks for', answers([{ type: 'text', text: '{"ok":true}' }], 'end_turn')],
  ['longContext', 'a message', answers([{ type: 'text', text: 'yes' }], 'max_tokens')],
])('passes %s with %s', async (kind, _, fault) => {
  provider.fault = recording(fault);
  expect(await probe(kind)).toMatchObject({ kind, ok: true, error: null });
  expect(urls).toEqual([kind === 'models' ? '/v1/models?limit=1000' : '/v1/messages']);
  expect(heads[0]).toMatchObject({ 'x-api-key': 'the-key', 'anthropic-version': '2023-06-01' });
  expect(heads[0]).not.toHaveProperty('authorization');
  if (kind === 'models') return;
  expect(sent()).toMatchObject({
    model: 'claude-of-tests',
    max_tokens: expect.any(Number),
    thinking: { type: 'disabled' },
  });
});

it.each<[ProbeKind, string, Fault, string]>([
  [
    'plain',
    'a key that is refused',
    apiError(401, 'authentication_error', 'invalid'),
    'status_auth (status 401): new refuses the key of env:KEY',
  ],
  ['plain', 'too much to do', apiError(529, 'overloaded_error', 'Overloaded'), 'status_5xx (status 529)'],
  ['plain', 'something else than a message', plain('{}'), 'malformed (no choices)'],
  ['plain', 'what is not JSON', plain('well'), 'malformed'],
  [
    'stream',
    'a cut stream',
    sse(streamOf([{ type: 'text', text: 'pong' }], 'end_turn').slice(0, 4)),
    'malformed (the stream ended without a finish reason)',
  ],
  [
    'stream',
    'an error in the stream',
    sse([messageEvent({ type: 'error', error: { type: 'overloaded_error', message: 'x' } })]),
    'error_event',
  ],
  [
    'tools',
    'words in place of a call',
    answers([{ type: 'text', text: 'I noted it.' }], 'end_turn'),
    'malformed (the tool was not called)',
  ],
  [
    'jsonSchema',
    'words',
    answers([{ type: 'text', text: 'ok is true' }], 'end_turn'),
    'malformed (an answer that does not keep to the JSON schema)',
  ],
])('fails %s with %s', async (kind, _, fault, error) => {
  provider.fault = fault;
  expect(await probe(kind)).toMatchObject({ kind, ok: false, error: expect.stringContaining(error) });
});

it('asks in the version that the configuration names', async () => {
  await probes({ 'Anthropic-Version': '2026-10-21' }).probe('chat', 'legacy', 'plain', limits());
  expect(heads[0]).toMatchObject({ 'anthropic-version': '2026-10-21' });
});

it('asks a golden prompt as a message, and gives its answer as a chat', async () => {
  const CALL = {
    id: 'toolu_0',
    type: 'function',
    function: { name: 'stock', arguments: '{"article":"kettle"}' },
  };
  const reply = await probes().ask(
    'chat',
    'legacy',
    {
      ...handoverQuestion([], true),
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'How many?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
        { role: 'assistant', content: null, tool_calls: [CALL, { ...CALL, id: 'toolu_1' }] },
        { role: 'tool', tool_call_id: 'toolu_0', content: '17' },
        { role: 'tool', tool_call_id: 'toolu_1', content: '18' },
      ],
      toolChoice: 'required',
      maxTokens: 50,
    },
    limits(),
  );
  const input = { article: 'kettle' };
  expect(sent()).toMatchObject({
    ...{ model: 'sonnet', max_tokens: 50, temperature: 0, system: 'Be brief.', tool_choice: { type: 'any' } },
    tools: [{ name: 'stock_level', input_schema: { type: 'object' } }],
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'How many?' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
        ],
      },
      {
        role: 'assistant',
        content: [
          { type: 'tool_use', id: 'toolu_0', name: 'stock', input },
          { type: 'tool_use', id: 'toolu_1', name: 'stock', input },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'toolu_0', content: '17' },
          { type: 'tool_result', tool_use_id: 'toolu_1', content: '18' },
        ],
      },
    ],
  });
  for (const name of ['seed', 'response_format', 'stop']) expect(sent()).not.toHaveProperty(name);
  expect(reply).toMatchObject({
    ok: true,
    usage: { inputTokens: 127, cachedTokens: 100, outputTokens: 3 },
    answer: { kind: 'chat', text: 'yes', finishReason: 'stop', toolCalls: [] },
  });
});

describe('a conversation that is handed over', () => {
  const thinking: Block = { type: 'thinking', thinking: 'Look.', signature: 'of-its-maker' };
  const call: Block = { type: 'tool_use', id: 'toolu_1', name: 'stock_level', input: { article: 'kettle' } };
  const next = async (messages: readonly Message[]) => {
    const reply = await probes().ask('chat', 'candidate', handoverQuestion(messages, true), limits());
    if (!reply.ok || reply.answer.kind !== 'chat') throw new Error('expected an answer');
    return reply.answer;
  };

  it('carries thinking with its signature, and can go without', async () => {
    provider.fault = answers([thinking, { type: 'text', text: 'A moment.' }, call], 'tool_use');
    const history = withAnswer(openedConversation(), await next(openedConversation()));
    await next(history);
    const turn = (at: number) => (sent()['messages'] as Message[]).at(at);
    expect(turn(1)).toEqual({
      role: 'assistant',
      content: [thinking, { type: 'text', text: 'A moment.' }, call],
    });
    expect(turn(2)).toMatchObject({
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: 'toolu_1' }],
    });
    await next(repaired(history, { drop: addedFields(history) }));
    expect(turn(1)).toEqual({ role: 'assistant', content: [{ type: 'text', text: 'A moment.' }, call] });
  });
});

it('lists models for `cutover doctor`, and probes what a candidate can do', async () => {
  expect(await readModelList(endpoint(), () => 'the-key', 10_000)).toEqual({
    ok: true,
    models: ['claude-of-tests'],
  });
  const inquiry = providerInquiry(endpoint(), () => 'the-key');
  expect(await inquiry.listModels()).toMatchObject({ ok: true, models: ['claude-of-tests'] });
  for (const feature of ['streaming', 'tools', 'vision'] as const) {
    expect(await inquiry.probeFeature(feature, 'claude-of-tests')).toMatchObject({ supported: true });
  }
});
