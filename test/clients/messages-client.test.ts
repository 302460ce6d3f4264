import { createHash } from 'node:crypto';
import Anthropic, { APIError, AuthenticationError, BadRequestError, NotFoundError } from '@anthropic-ai/sdk';
import type { EvidenceCell } from '../../src/core/evidence/evidence';
import { MODEL, startTestGateway, type TestGateway } from '../support/gateways/running-gateway';
import {
  EITHER,
  type Fault,
  type FaultProvider,
  plain,
  sse,
  startFaultProvider,
} from '../support/providers/fault-provider';
import {
  answers,
  apiError,
  MESSAGE_USAGE,
  messageEvent,
  speaksMessages,
  streamOf,
} from '../support/providers/messages-provider';

/** Applications on Anthropic's official client, through the gateway. */

const LEGACY = 'Spoken by the legacy provider, from its first word to its last.';
const CANDIDATE = 'Spoken by the candidate, from its first word to its last.';
const ASKED = {
  model: MODEL,
  max_tokens: 100,
  messages: [{ role: 'user' as const, content: 'What is the weather?' }],
};
const WEATHER = {
  name: 'weather',
  description: 'The weather',
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] },
};

let legacy: FaultProvider;
let candidate: FaultProvider;
let gateway: TestGateway;
const heads: NodeJS.Dict<string | string[]>[] = [];

const recording =
  (next: Fault): Fault =>
  (exchange) => {
    heads.push(exchange.response.req.headers);
    next(exchange);
  };

beforeAll(async () => {
  legacy = await startFaultProvider(speaksMessages(LEGACY));
  candidate = await startFaultProvider(speaksMessages(CANDIDATE));
  gateway = await startTestGateway({
    legacyUrl: legacy.url,
    candidateUrl: candidate.url,
    legacy: { dialect: 'anthropic', auth: { header: 'x-api-key', key: 'env:LEGACY' } },
    candidate: {
      ...{ dialect: 'anthropic', auth: { bearer: 'env:CANDIDATE' } },
      // Only what is silent from the start is to be late, however busy this machine is.
      timeouts: { firstContent: '1s', plainTotal: '1s' },
      prices: {
        [MODEL]: {
          inputPerMillion: 1_000_000,
          cachedInputPerMillion: 10,
          cacheWritePerMillion: 100,
          outputPerMillion: 0,
        },
      },
    },
    route: { models: { [MODEL]: MODEL }, replayBudget: { ratio: 1, burst: 1_000 } },
    settings: { breaker: { consecutiveFailures: 1_000_000, minimumRequests: 1_000_000 } },
    secrets: { 'env:LEGACY': 'key-of-legacy', 'env:CANDIDATE': 'key-of-candidate' },
  });
});

afterAll(async () => {
  await gateway.stop();
  await legacy.stop();
  await candidate.stop();
});

beforeEach(() => {
  heads.length = 0;
  legacy.fault = recording(speaksMessages(LEGACY));
  candidate.fault = recording(speaksMessages(CANDIDATE));
});

const anthropic = (more: object = {}) =>
  new Anthropic({ baseURL: gateway.dataUrl, apiKey: 'a-callers-key', ...more });

/** What applications do; each returns the text that its user sees. */
const APPLICATIONS: Readonly<Record<string, (client: Anthropic) => Promise<string>>> = {
  'a message': async (client) => textOf(await client.messages.create(ASKED)),
  'a stream of events': async (client) => {
    let text = '';
    for await (const event of await client.messages.create({ ...ASKED, stream: true })) {
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text;
    }
    return text;
  },
  'a stream that is put together': async (client) =>
    textOf(await client.messages.stream(ASKED).finalMessage()),
  'a stream with thinking': async (client) => {
    const thinking = { type: 'enabled' as const, budget_tokens: 1_024 };
    const { content } = await client.messages.stream({ ...ASKED, thinking }).finalMessage();
    expect(content[0]).toEqual({ type: 'thinking', thinking: 'Let me see.', signature: 'EqQBCgIYAhIM' });
    return textOf({ content });
  },
  'tools, plain': async (client) => useTool(client, (asked) => client.messages.create(asked)),
  'tools, streamed': async (client) =>
    useTool(client, (asked) => client.messages.stream(asked).finalMessage()),
  'a count of tokens': async (client) => {
    const { max_tokens: _most, ...counted } = ASKED;
    return String((await client.messages.countTokens(counted)).input_tokens);
  },
};

function textOf({ content }: Pick<Anthropic.Message, 'content'>): string {
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}

async function useTool(
  _client: Anthropic,
  ask: (asked: Anthropic.MessageCreateParamsNonStreaming) => Promise<Anthropic.Message>,
): Promise<string> {
  const first = await ask({ ...ASKED, tools: [WEATHER] });
  expect(first.stop_reason).toBe('tool_use');
  const results = first.content.flatMap((block) => {
    if (block.type !== 'tool_use') return [];
    expect(block.input).toEqual({ city: 'Leipzig' });
    return [{ type: 'tool_result' as const, tool_use_id: block.id, content: 'rain' }];
  });
  expect(results).toHaveLength(1);
  return textOf(
    await ask({
      ...{ ...ASKED, tools: [WEATHER] },
      messages: [
        ...ASKED.messages,
        { role: 'assistant', content: first.content },
        { role: 'user', content: results },
      ],
    }),
  );
}

const WELL = [LEGACY, CANDIDATE, '127'];

/** Failures before the first content, of plain answers and of streams. */
const FAULTS: Readonly<Record<string, Fault>> = {
  ...Object.fromEntries(Object.entries(EITHER).map(([name, [fault]]) => [name, fault])),
  'status 529': apiError(529, 'overloaded_error', 'Overloaded'),
  'an empty body': plain(''),
  'a stream that ends before it begins': either([]),
  'a stream that ends before its content': either(streamOf([], 'end_turn').slice(0, 2)),
  'a stream that is cut in its thinking': either(
    streamOf([{ type: 'thinking', thinking: '', signature: '' }], 'end_turn').slice(0, 3),
  ),
  'an error as the first event': either([
    messageEvent({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }),
  ]),
  'a message without content': answers([], 'end_turn'),
};

function either(events: readonly string[]): Fault {
  return (exchange) => (exchange.stream ? sse(events) : plain('{"type":"message"'))(exchange);
}

describe.each(Object.entries(FAULTS))('with a candidate at 50%% that answers with %s', (_fault, fault) => {
  it.each(Object.entries(APPLICATIONS))('%s never fails', async (_application, run) => {
    let failures = 0;
    candidate.fault = (exchange) => {
      failures += 1;
      (failures % 2 === 1 ? fault : speaksMessages(CANDIDATE))(exchange);
    };
    await gateway.route(0.5, { stickyKey: 'none' });
    for (let round = 0; round < 4; round += 1)
      expect(WELL).toContain(await run(anthropic({ maxRetries: 0 })));
  });
});

describe.each([
  ['plain', false],
  ['streamed', true],
])('an answer where nothing is rewritten, %s', (_how, stream) => {
  it.each([
    ['text', {}],
    ['thinking', { thinking: { type: 'enabled', budget_tokens: 1_024 } }],
    ['tools', { tools: [WEATHER] }],
    ['an error', { messages: [] }],
  ])('is byte for byte what the provider sent: %s', async (_what, more) => {
    const body = JSON.stringify({ ...ASKED, ...more, stream });
    const ask = async (url: string) => {
      const headers = {
        'content-type': 'application/json',
        'anthropic-version': '2023-06-01',
        'x-api-key': 'k',
      };
      const answer = await fetch(`${url}/messages`, { method: 'POST', headers, body });
      return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.text() };
    };
    for (const [share, provider] of [
      [0, legacy],
      [1, candidate],
    ] as const) {
      await gateway.route(share);
      expect(await ask(`${gateway.dataUrl}/v1`)).toEqual(await ask(provider.url));
      expect(provider.bodies.at(-1)).toBe(body);
    }
  });
});

describe('heads', () => {
  it.each([
    [0, { apiKey: 'a-callers-key' }, 'x-api-key', 'key-of-legacy', 'authorization'],
    [0, { apiKey: null, authToken: 'a-callers-token' }, 'x-api-key', 'key-of-legacy', 'authorization'],
    [1, { apiKey: 'a-callers-key' }, 'authorization', 'Bearer key-of-candidate', 'x-api-key'],
  ])(
    'carry version and betas, and the key of the provider in place of the caller at share %d: %j',
    async (share, callers, name, key, absent) => {
      await gateway.route(share);
      await anthropic(callers).beta.messages.create({
        ...ASKED,
        betas: ['context-1m-2025-08-07'],
      });
      const [head] = heads;
      expect(head).toMatchObject({ 'anthropic-version': expect.any(String), [name]: key });
      expect(head?.['anthropic-beta']).toContain('context-1m-2025-08-07');
      expect(head).not.toHaveProperty(absent);
      expect(JSON.stringify(heads)).not.toMatch(/a-callers/);
    },
  );

  it('hide a key that an answer quotes', async () => {
    await gateway.route(0);
    legacy.fault = apiError(400, 'invalid_request_error', 'no rights for key-of-legacy');
    const error = await anthropic()
      .messages.create(ASKED)
      .catch((thrown: unknown) => thrown);
    expect(String(error)).toContain('no rights for *************');
  });
});

describe('errors', () => {
  it('of both providers are the ones of the provider', async () => {
    await gateway.route(1);
    const error = await anthropic()
      .messages.create({ ...ASKED, messages: [] })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', requestID: 'req_1' });
  });

  it('of the gateway have the shape of the dialect', async () => {
    await gateway.route(0);
    legacy.fault = ({ socket }) => socket.resetAndDestroy();
    const error = await anthropic({ maxRetries: 0 })
      .messages.create(ASKED)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({
      ...{ status: 502, type: 'api_error', errorCode: 'reset' },
      error: { type: 'error', error: { message: 'No answer from old: ECONNRESET.' } },
    });
  });

  it('in mid-stream end the stream with an error, never cleanly', async () => {
    await gateway.route(0);
    legacy.fault = sse(streamOf([{ type: 'text', text: LEGACY }], 'end_turn').slice(0, 4), 'reset');
    let text = '';
    const run = async () => {
      for await (const event of await anthropic().messages.create({ ...ASKED, stream: true })) {
        if (event.type === 'content_block_delta' && event.delta.type === 'text_delta')
          text += event.delta.text;
      }
    };
    const error = await run().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ type: 'api_error', errorCode: 'stream_cut' });
    expect(text).toBe(LEGACY.slice(0, Math.ceil(LEGACY.length / 2)));
  });

  it('are retried by the client, as the provider asks', async () => {
    await gateway.route(0);
    let asked = 0;
    legacy.fault = (exchange) => {
      asked += 1;
      (asked === 1 ? apiError(529, 'overloaded_error', 'Overloaded') : speaksMessages(LEGACY))(exchange);
    };
    expect(textOf(await anthropic({ maxRetries: 1 }).messages.create(ASKED))).toBe(LEGACY);
    expect(asked).toBe(2);
  });

  it.each(['chat/completions', 'responses', 'embeddings', 'batches'])(
    'refuse OpenAI’s /%s in its own shape',
    async (path) => {
      const before = legacy.bodies.length + candidate.bodies.length;
      const answer = await fetch(`${gateway.dataUrl}/v1/${path}`, { method: 'POST', body: '{"model":"m"}' });
      expect(answer.status).toBe(404);
      expect(await answer.json()).toEqual({
        error: {
          ...{ type: 'invalid_request_error', param: null, code: 'wrong_dialect' },
          message: `expected a request of Anthropic's Messages API, which the providers of the route "chat" speak, got POST /${path} of OpenAI's API: requests are not translated. OpenAI's API is spoken at no route of this gateway`,
        },
      });
      expect(legacy.bodies.length + candidate.bodies.length).toBe(before);
    },
  );
});

it('passes an abort on to the provider', async () => {
  await gateway.route(1);
  const before = candidate.aborts;
  candidate.fault = sse(streamOf([{ type: 'text', text: CANDIDATE }], 'end_turn').slice(0, 4), 'open');
  const stream = anthropic().messages.stream(ASKED);
  for await (const event of stream) if (event.type === 'content_block_delta') break;
  while (candidate.aborts === before) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(stream.controller.signal.aborted).toBe(true);
});

describe('evidence', () => {
  const cell = (kind = 'live'): EvidenceCell | undefined =>
    gateway.cells().find((each) => each.side === 'candidate' && each.kind === kind);

  it.each([false, true])(
    'counts tokens with reads and writes of the prompt cache, streamed: %s',
    async (stream) => {
      await gateway.route(1);
      const client = anthropic();
      if (stream) await client.messages.stream(ASKED).finalMessage();
      else await client.messages.create(ASKED);
      const {
        input_tokens: fresh,
        cache_read_input_tokens: read,
        cache_creation_input_tokens: written,
      } = MESSAGE_USAGE;
      expect(cell()).toMatchObject({
        ...{ attempts: 1, tokensIn: fresh + read + written, tokensCached: read, tokensOut: 3 },
        costUsd: expect.closeTo(7 + 0.001 + 0.002),
      });
    },
  );

  it.each([false, true])('counts a copy to the candidate apart, streamed: %s', async (stream) => {
    await gateway.route(0, { shadow: 1 });
    const client = anthropic();
    const answer = stream
      ? await client.messages.stream(ASKED).finalMessage()
      : await client.messages.create(ASKED);
    expect(textOf(answer)).toBe(LEGACY);
    while (cell('shadow') === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(cell('shadow')).toMatchObject({
      attempts: 1,
      failures: {},
      tokensIn: 127,
      answers: { checked: 1 },
    });
  });

  const text = { type: 'text', text: 'Well.' };
  const call = (input: unknown, name = 'weather') => ({ type: 'tool_use', id: 'toolu_1', name, input });
  const tools = { tools: [WEATHER] };
  const json = {
    output_config: { format: { type: 'json_schema' as const, schema: { type: 'object', required: ['ok'] } } },
  };
  const CONTRACTS: [string, object, object[], string, string | null, string][] = [
    ['a text', {}, [text], 'end_turn', null, 'stop'],
    ['a call where no tool was offered', {}, [text, call({})], 'tool_use', 'tool_unknown', 'tool_calls'],
    [
      'no call of the one that is required',
      { ...tools, tool_choice: { type: 'tool', name: 'weather' } },
      [text],
      'end_turn',
      'tool_missing',
      'stop',
    ],
    [
      'no call where one may be',
      { ...tools, tool_choice: { type: 'auto' } },
      [text],
      'end_turn',
      null,
      'stop',
    ],
    ['words for JSON', json, [text], 'end_turn', 'json_unparsed', 'stop'],
    ['a cut text', {}, [text], 'max_tokens', 'cut', 'length'],
    ['a full context', {}, [text], 'model_context_window_exceeded', 'cut', 'length'],
    ['a refusal', {}, [text], 'refusal', 'refusal', 'refusal'],
    ['a refusal without a word', {}, [], 'refusal', 'refusal', 'refusal'],
    [
      'thinking alone',
      {},
      [{ type: 'thinking', thinking: 'Hm.', signature: 'x' }],
      'end_turn',
      'reasoning_only',
      'stop',
    ],
    ['a pause of tools that the provider runs', {}, [text], 'pause_turn', null, 'other'],
  ];
  const ask = async (asked: object) => {
    const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
    const answer = await fetch(`${gateway.dataUrl}/v1/messages`, {
      method: 'POST',
      headers,
      body: JSON.stringify(asked),
    });
    expect(answer.headers.get('x-cutover-provider')).toBe('new');
    await answer.text();
  };
  describe.each([
    ['plain', false],
    ['streamed', true],
  ])('judges what an answer comes to, %s', (_how, stream) => {
    it.each(CONTRACTS)('%s', async (_what, more, blocks, stop, breach, end) => {
      candidate.fault = answers(blocks as never, stop);
      await gateway.route(1);
      await ask({ ...ASKED, ...more, stream });
      const counted = () => cell()?.answers;
      while ((counted()?.checked ?? 0) + (counted()?.unchecked ?? 0) === 0) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(counted()).toMatchObject({
        checked: 1,
        breaches: breach === null ? {} : { [breach]: 1 },
        ends: { [end]: 1 },
      });
    });
  });
});

describe('keys', () => {
  it('are the user of the metadata', async () => {
    await gateway.route(0.5);
    const served = new Set<string>();
    for (let turn = 0; turn < 12; turn += 1) {
      const { response } = await anthropic()
        .messages.create({
          ...ASKED,
          messages: [{ role: 'user', content: `${turn}` }],
          metadata: { user_id: 'ana' },
        })
        .withResponse();
      served.add(response.headers.get('x-cutover-provider') ?? '');
    }
    expect(served.size).toBe(1);
  });
});

it('knows a caller by x-api-key or a bearer token, and says in the shape of the dialect that it knows none', async () => {
  const strict = await startTestGateway({
    ...{ legacyUrl: legacy.url, candidateUrl: candidate.url },
    legacy: { dialect: 'anthropic', auth: { bearer: 'env:LEGACY' } },
    candidate: { dialect: 'anthropic' },
    configuration: {
      callers: [{ team: 'search', keySha256: createHash('sha256').update('known-key').digest('hex') }],
    },
  });
  const ask = async (by: object) =>
    textOf(await new Anthropic({ baseURL: strict.dataUrl, maxRetries: 0, ...by }).messages.create(ASKED));
  try {
    expect(await ask({ apiKey: 'known-key' })).toBe(LEGACY);
    expect(await ask({ apiKey: null, authToken: 'known-key' })).toBe(LEGACY);
    // As clients of earlier releases send it.
    const headers = { 'anthropic-version': '2023-06-01', 'x-api-key': 'known-key' };
    const body = JSON.stringify(ASKED);
    const answer = await fetch(`${strict.dataUrl}/v1/messages`, { method: 'POST', headers, body });
    expect([answer.status, heads.at(-1)?.['x-api-key']]).toEqual([200, undefined]);
    const error = await ask({ apiKey: 'unknown' }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({ type: 'authentication_error', errorCode: 'invalid_api_key' });
  } finally {
    await strict.stop();
  }
});

it('refuses a message to a route of OpenAI’s dialect in its own shape', async () => {
  const openai = await startTestGateway({ legacyUrl: legacy.url, candidateUrl: candidate.url });
  try {
    const before = legacy.bodies.length + candidate.bodies.length;
    const client = new Anthropic({ baseURL: openai.dataUrl, apiKey: 'key' });
    const error = await client.messages.create(ASKED).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ type: 'not_found_error', errorCode: 'wrong_dialect' });
    expect(legacy.bodies.length + candidate.bodies.length).toBe(before);
  } finally {
    await openai.stop();
  }
});
