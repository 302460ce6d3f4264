import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import {
  COMPLETION,
  DONE,
  event,
  type Fault,
  HELLO,
  plain,
  ROLE,
  STOP,
  sse,
  status,
  well,
} from '../../support/providers/fault-provider';

/** The wire as providers really speak it; each row is judged in both arms. */

const trial = gatewayTrial();
const { legacy, candidate } = trial;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await trial.start({
    settings: { breaker: { consecutiveFailures: 1_000_000, minimumRequests: 1_000_000 } },
    route: { replayBudget: { ratio: 1, burst: 1_000 } },
  });
});

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  /** False when the connection was cut before the answer's end. */
  readonly complete: boolean;
}

/** Posts a body and collects the answer; `watch` sees what has come so far. */
function post(path: string, body: object, watch: (text: string) => void = () => {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${gateway.dataUrl}/v1${path}`,
      { method: 'POST', headers: { 'content-type': 'application/json' }, timeout: 20_000 },
      (answer) => {
        let text = '';
        watch('');
        answer.on('data', (piece: Buffer) => {
          text += piece.toString('latin1');
          watch(text);
        });
        answer.on('error', () => {});
        answer.on('close', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            text: Buffer.from(text, 'latin1').toString(),
            complete: answer.complete,
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.on('timeout', () => sent.destroy(new Error('no answer in 20 s')));
    sent.end(JSON.stringify({ model: MODEL, ...body }));
  });
}

/** Serves one request in an arm and returns its answer with what the arm counted. */
async function judge(arm: 'legacy' | 'candidate', path: string, body: object, fault: Fault) {
  await gateway.route(arm === 'candidate' ? 1 : 0);
  (arm === 'candidate' ? candidate : legacy).fault = fault;
  const answer = await post(path, body);
  const live = () => gateway.cells().filter((cell) => cell.side === arm && cell.kind === 'live');
  for (let wait = 0; live().length === 0 && wait < 200; wait += 1) await sleep(5);
  const cells = live();
  expect(cells).toHaveLength(1);
  const [{ attempts, successes, failures, aborted }] = cells as [(typeof cells)[0]];
  expect(attempts).toBe(1);
  return { answer, successes, failures, aborted };
}

const CHAT = '/chat/completions';
const STREAM = { messages: [], stream: true };
const PLAIN = { messages: [] };
const TWO = { messages: [], n: 2 };
const RESPONSE = { input: 'x' };

const piece = (index: number, delta: object, finish: string | null = null, more: object = {}) =>
  event(JSON.stringify({ choices: [{ index, delta, finish_reason: finish, ...more }] }));
const completion = (choices: object[]) =>
  plain(JSON.stringify({ id: 'c1', object: 'chat.completion', choices }));
const said = (message: object, finish: string | null = 'stop', more: object = {}) => ({
  ...{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish },
  ...more,
});
const typed = (type: string, more: object = {}) =>
  `event: ${type}\n${event(JSON.stringify({ type, ...more }))}`;
const OPENROUTER_ERROR = event(
  JSON.stringify({
    id: 'gen-1',
    object: 'chat.completion.chunk',
    error: { code: 'server_error', message: 'Provider disconnected' },
    choices: [{ index: 0, delta: { content: '' }, finish_reason: 'error' }],
  }),
);
const bare =
  (code: number): Fault =>
  ({ response }) => {
    response.writeHead(code);
    response.end();
  };
const bytes =
  (type: string, body: Buffer): Fault =>
  ({ response }) => {
    response.writeHead(200, { 'content-type': type });
    response.end(body);
  };
const html = plain('<!doctype html><html><body>Bad gateway</body></html>', 'text/html; charset=utf-8');

type Row = readonly [name: string, path: string, body: object, fault: Fault];

/** What is no good answer, with its class. */
const BAD: readonly (readonly [...Row, kind: string])[] = [
  ['OpenRouter’s error event', CHAT, STREAM, sse([ROLE, OPENROUTER_ERROR, DONE]), 'error_event'],
  [
    'an end by "error" without an error',
    CHAT,
    STREAM,
    sse([ROLE, piece(0, {}, 'error'), DONE]),
    'error_event',
  ],
  [
    'an error inside of a streamed choice',
    CHAT,
    STREAM,
    sse([ROLE, piece(0, {}, null, { error: { code: 502, message: 'no' } }), DONE]),
    'error_event',
  ],
  [
    'DeepSeek’s insufficient_system_resource in a stream',
    CHAT,
    STREAM,
    sse([ROLE, piece(0, { content: '' }, 'insufficient_system_resource'), DONE]),
    'error_event',
  ],
  [
    'vLLM’s error object as an event',
    CHAT,
    STREAM,
    sse([ROLE, event('{"object":"error","message":"engine died","code":500}'), DONE]),
    'error_event',
  ],
  [
    'an event named error',
    CHAT,
    STREAM,
    sse([ROLE, `event: error\n${event('{"message":"no"}')}`]),
    'error_event',
  ],
  [
    'an empty finish reason and then the end',
    CHAT,
    STREAM,
    sse([piece(0, { content: '' }, '')]),
    'truncated',
  ],
  [
    'a finish reason "null" and then the end',
    CHAT,
    STREAM,
    sse([piece(0, { content: '' }, 'null')]),
    'truncated',
  ],
  ['a stream that is empty', CHAT, STREAM, sse([ROLE, STOP, DONE]), 'truncated'],
  [
    'a completions stream that is empty',
    '/completions',
    { prompt: 'x', stream: true },
    sse([event('{"choices":[{"index":0,"text":"","finish_reason":"stop"}]}'), DONE]),
    'truncated',
  ],
  ['a plain answer that is empty', CHAT, PLAIN, completion([said({ content: '' })]), 'truncated'],
  [
    'an answer whose choice is an error',
    CHAT,
    PLAIN,
    completion([said({ content: 'a' }, 'error')]),
    'error_event',
  ],
  [
    'an answer with an error in a choice',
    CHAT,
    PLAIN,
    completion([said({ content: '' }, null, { error: { message: 'no' } })]),
    'error_event',
  ],
  [
    'DeepSeek’s insufficient_system_resource',
    CHAT,
    PLAIN,
    completion([said({ content: 'a' }, 'insufficient_system_resource')]),
    'error_event',
  ],
  [
    'an error object under status 200',
    CHAT,
    PLAIN,
    plain('{"object":"error","message":"no"}'),
    'error_event',
  ],
  ['one choice of two', CHAT, TWO, completion([said({ content: 'a' })]), 'truncated'],
  [
    'a response that failed',
    '/responses',
    RESPONSE,
    plain('{"id":"r","status":"failed","output":[]}'),
    'error_event',
  ],
  ['JSON of another shape for a response', '/responses', RESPONSE, plain('{"message":"hi"}'), 'malformed'],
  [
    'a streamed response that failed at its end',
    '/responses',
    { ...RESPONSE, stream: true },
    sse([
      typed('response.created'),
      typed('response.completed', { response: { id: 'r', status: 'failed' } }),
    ]),
    'error_event',
  ],
  [
    'a streamed response without any output',
    '/responses',
    { ...RESPONSE, stream: true },
    sse([typed('response.completed', { response: { id: 'r', status: 'completed', output: [] } })]),
    'truncated',
  ],
  [
    'JSON of another shape for moderations',
    '/moderations',
    { input: 'x' },
    plain('{"ok":true}'),
    'malformed',
  ],
  [
    'JSON of another shape for images',
    '/images/generations',
    { prompt: 'x' },
    plain('{"ok":true}'),
    'malformed',
  ],
  ['HTML for images', '/images/generations', { prompt: 'x' }, html, 'malformed'],
  ['HTML for speech', '/audio/speech', { input: 'x', voice: 'a' }, html, 'malformed'],
  [
    'a JSON error for speech',
    '/audio/speech',
    { input: 'x', voice: 'a' },
    plain('{"error":{"message":"no"}}'),
    'error_event',
  ],
  ['other JSON for speech', '/audio/speech', { input: 'x', voice: 'a' }, plain('{"ok":true}'), 'malformed'],
  [
    'no audio at all',
    '/audio/speech',
    { input: 'x', voice: 'a' },
    bytes('audio/mpeg', Buffer.alloc(0)),
    'truncated',
  ],
  ['status 204', CHAT, PLAIN, bare(204), 'malformed'],
  ['status 304', CHAT, PLAIN, bare(304), 'malformed'],
  ['a plain answer to a request for a stream', CHAT, STREAM, plain(COMPLETION), 'malformed'],
  [
    'a JSON error to a request for a stream',
    CHAT,
    STREAM,
    plain('{"error":{"message":"no"}}'),
    'error_event',
  ],
  ['a stream that nobody asked for', CHAT, PLAIN, sse([ROLE, HELLO, STOP, DONE]), 'malformed'],
  ['HTML for a stream', CHAT, STREAM, html, 'malformed'],
];

describe.each(['candidate', 'legacy'] as const)('in the arm of %s', (arm) => {
  it.each(BAD)('%s counts as a failure', async (_name, path, body, fault, kind) => {
    const { answer, failures, successes } = await judge(arm, path, body, fault);
    expect({ failures, successes }).toEqual({ failures: { [kind]: 1 }, successes: 0 });
    if (arm === 'legacy') {
      expect(answer.headers['x-cutover-provider']).toBe('old');
      expect(answer.headers['x-cutover-failover']).toBeUndefined();
    } else expect(answer.headers['x-cutover-failover']).toBe(kind);
  });
});

/** What is a good answer, however it is written. */
const GOOD: readonly Row[] = [
  ...['', 'null'].map(
    (reason): Row => [
      `a stream with finish_reason "${reason}" in every chunk`,
      CHAT,
      STREAM,
      sse([
        piece(0, { role: 'assistant', content: '' }, reason),
        piece(0, { content: 'Hello' }, reason),
        piece(0, { content: ' you' }, reason),
        piece(0, {}, 'stop'),
        DONE,
      ]),
    ],
  ),
  ['a stream without finish reasons before its [DONE]', CHAT, STREAM, sse([ROLE, HELLO, DONE])],
  ['an answer whose finish reason is empty', CHAT, PLAIN, completion([said({ content: 'Hello' }, '')])],
  [
    'a stream sent as application/json',
    CHAT,
    STREAM,
    labelled('application/json', [ROLE, HELLO, STOP, DONE]),
  ],
  [
    'a stream sent as text/plain',
    CHAT,
    STREAM,
    labelled('text/plain; charset=utf-8', [': hi\n\n', ROLE, HELLO, STOP, DONE]),
  ],
  ['a stream without a content type', CHAT, STREAM, labelled(null, ['\n', ROLE, HELLO, STOP, DONE])],
  ['a stream to "stream": "true"', CHAT, { messages: [], stream: 'true' }, sse([ROLE, HELLO, STOP, DONE])],
  ['a plain answer to "stream": "true"', CHAT, { messages: [], stream: 'true' }, plain(COMPLETION)],
  ['a stream to "stream": 1', CHAT, { messages: [], stream: 1 }, sse([ROLE, HELLO, STOP, DONE])],
  ['an empty answer that ended by its length', CHAT, PLAIN, completion([said({ content: null }, 'length')])],
  [
    'a tool call without text',
    CHAT,
    PLAIN,
    completion([said({ content: null, tool_calls: [{ id: 'a' }] }, 'stop')]),
  ],
  ['two choices of two', CHAT, TWO, completion([said({ content: 'a' }), said({ content: 'b' })])],
  [
    'two streamed choices',
    CHAT,
    { ...STREAM, n: 2 },
    sse([
      piece(0, { content: 'a' }),
      piece(1, { content: 'b' }),
      piece(1, {}, 'stop'),
      piece(0, {}, 'stop'),
      DONE,
    ]),
  ],
  ['blank lines before a plain answer', CHAT, PLAIN, plain(`\n\n\n${COMPLETION}`)],
  ['subtitles', '/audio/translations', { prompt: 'x' }, plain('WEBVTT\n\n', 'text/vtt')],
  ['a transcript of silence', '/audio/translations', { prompt: 'x' }, plain('{"text":""}')],
  ['audio', '/audio/speech', { input: 'x', voice: 'a' }, bytes('audio/mpeg', Buffer.from('ID3'))],
  [
    'a response',
    '/responses',
    RESPONSE,
    plain(
      '{"id":"r","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"a"}]}]}',
    ),
  ],
  [
    'a response that is incomplete',
    '/responses',
    RESPONSE,
    plain('{"id":"r","status":"incomplete","output":[]}'),
  ],
];

/** A stream under another content type than its own. */
function labelled(type: string | null, pieces: readonly string[]): Fault {
  return ({ response }) => {
    response.writeHead(200, type === null ? {} : { 'content-type': type });
    const next = (index: number) => {
      if (index === pieces.length) response.end();
      else response.write(pieces[index] as string, () => setImmediate(next, index + 1));
    };
    next(0);
  };
}

describe.each(['candidate', 'legacy'] as const)('in the arm of %s', (arm) => {
  it.each(GOOD)('%s is good', async (_name, path, body, fault) => {
    const { answer, failures, successes } = await judge(arm, path, body, fault);
    expect({ failures, successes }).toEqual({ failures: {}, successes: 1 });
    expect(answer.complete).toBe(true);
    expect(answer.headers['x-cutover-provider']).toBe(arm === 'legacy' ? 'old' : 'new');
  });
});

describe('after the first content', () => {
  it.each([
    ['OpenRouter’s error event', [ROLE, HELLO, OPENROUTER_ERROR], 'error_event'],
    ['vLLM’s error object', [ROLE, HELLO, event('{"object":"error","message":"no"}')], 'error_event'],
    ['an event named error', [ROLE, HELLO, `event: error\n${event('{"message":"no"}')}`], 'error_event'],
    [
      'insufficient_system_resource',
      [ROLE, HELLO, piece(0, {}, 'insufficient_system_resource'), DONE],
      'error_event',
    ],
    ['an empty finish reason and a clean end', [ROLE, HELLO, piece(0, { content: ' you' }, '')], 'truncated'],
    [
      'a finish reason "null" and a clean end',
      [ROLE, HELLO, piece(0, { content: ' you' }, 'null')],
      'truncated',
    ],
  ] as const)('%s counts in both arms alike', async (_name, pieces, kind) => {
    for (const arm of ['candidate', 'legacy'] as const) {
      const { answer, failures, successes } = await judge(arm, CHAT, STREAM, sse(pieces));
      expect({ failures, successes }).toEqual({ failures: { [kind]: 1 }, successes: 0 });
      expect(answer.text).toContain('Hello');
      expect(answer.text).toMatch(/error|insufficient/);
    }
  });

  it.each(['candidate', 'legacy'] as const)(
    'the second of two choices that is cut counts, and %s’s stream is passed on to its end',
    async (arm) => {
      const pieces = [piece(0, { content: 'a' }), piece(1, { content: 'b' }), piece(0, {}, 'stop'), DONE];
      const { answer, failures } = await judge(arm, CHAT, { ...STREAM, n: 2 }, sse(pieces));
      expect(failures).toEqual({ truncated: 1 });
      expect(answer).toMatchObject({ text: pieces.join(''), complete: true });
    },
  );
});

describe('nothing of legacy’s is held back', () => {
  /** Writes pieces, each only after the caller has the one before, and none at first. */
  async function expectInTime(head: Record<string, string>, body: object, pieces: readonly string[]) {
    await gateway.route(0);
    let received: string | null = null;
    legacy.fault = async ({ response }) => {
      response.writeHead(200, head);
      response.flushHeaders();
      let sent = '';
      while (received === null) await sleep(2);
      for (const text of pieces) {
        sent += text;
        response.write(text);
        while (received !== sent) await sleep(2);
      }
      response.end();
    };
    const answer = await post(CHAT, body, (text) => {
      received = text;
    });
    expect(answer).toMatchObject({ text: pieces.join(''), complete: true });
    expect(gateway.cells()).toMatchObject([{ successes: 1, failures: {} }]);
  }

  const half = COMPLETION.length / 2;
  const JSON_HEAD = { 'content-type': 'application/json' };
  it.each([
    ['blank lines before a plain answer', JSON_HEAD, PLAIN, ['\n', '\n\n', COMPLETION]],
    ['a plain answer in pieces', JSON_HEAD, PLAIN, [COMPLETION.slice(0, half), COMPLETION.slice(half)]],
    [
      'a short plain answer of known length',
      { ...JSON_HEAD, 'content-length': `${COMPLETION.length}` },
      PLAIN,
      [COMPLETION.slice(0, half), COMPLETION.slice(half)],
    ],
    ['a stream sent as application/json', JSON_HEAD, STREAM, [ROLE, HELLO, STOP, DONE]],
    [
      'a stream sent as text/plain',
      { 'content-type': 'text/plain' },
      STREAM,
      [': wait\n\n', ROLE, HELLO, STOP + DONE],
    ],
    ['a stream without a content type', {}, STREAM, [ROLE, HELLO, STOP + DONE]],
    [
      'a stream',
      { 'content-type': 'text/event-stream' },
      { ...STREAM, stream_options: { include_usage: true } },
      [': wait\n\n', ROLE, HELLO, STOP + DONE],
    ],
  ])(
    '%s',
    async (_name, head, body, pieces) => {
      await expectInTime(head, body, pieces);
    },
    15_000,
  );

  it('and a plain answer that is passed on in pieces is judged like one in one piece', async () => {
    const text = JSON.stringify({ choices: [said({ content: 'x'.repeat(200_000) }, 'error')] });
    const { answer, failures } = await judge('legacy', CHAT, PLAIN, plain(text));
    expect(failures).toEqual({ error_event: 1 });
    expect(answer.text === text).toBe(true);
    const usage = { prompt_tokens: 3, completion_tokens: 9 };
    const counted = JSON.stringify({ choices: [said({ content: 'x'.repeat(200_000) })], usage });
    await judge('legacy', CHAT, PLAIN, plain(counted));
    expect(gateway.cells()).toMatchObject([{ successes: 1, tokensIn: 3, tokensOut: 9 }]);
  });
});

describe('events of any size', () => {
  const BIG = 'x'.repeat(3_000_000);
  const USAGE = event('{"id":"c1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}');
  const rows: readonly (readonly [string, string, object, readonly string[]])[] = [
    [
      'a final event of the Responses API',
      '/responses',
      { ...RESPONSE, stream: true },
      [
        typed('response.output_text.delta', { delta: 'x' }),
        typed('response.completed', {
          response: {
            id: 'r',
            status: 'completed',
            output: [{ text: BIG }],
            usage: { input_tokens: 7, output_tokens: 2 },
          },
        }),
      ],
    ],
    [
      'images in a stream',
      '/images/generations',
      { prompt: 'x', stream: true },
      [
        typed('image_generation.partial_image', { b64_json: BIG }),
        typed('image_generation.completed', { b64_json: BIG, usage: { input_tokens: 7, output_tokens: 2 } }),
      ],
    ],
    [
      'a tool call in one piece',
      CHAT,
      STREAM,
      [
        ROLE,
        piece(0, { tool_calls: [{ index: 0, function: { name: 'f', arguments: BIG } }] }),
        piece(0, {}, 'tool_calls'),
        USAGE,
        DONE,
      ],
    ],
    ['an only event', CHAT, STREAM, [piece(0, { content: BIG }, 'stop'), USAGE, DONE]],
  ];
  describe.each(['candidate', 'legacy'] as const)('from %s', (provider) => {
    it.each(rows)('%s', async (_name, path, body, pieces) => {
      const { answer, failures, successes } = await judge(provider, path, body, sse(pieces));
      expect({ failures, successes }).toEqual({ failures: {}, successes: 1 });
      expect(answer.headers['x-cutover-provider']).toBe(provider === 'legacy' ? 'old' : 'new');
      // Usage was asked for in the caller's place: that event is the gateway's own.
      expect(answer.text === pieces.filter((text) => text !== USAGE).join('')).toBe(true);
      expect(gateway.cells()).toMatchObject([{ tokensIn: 7, tokensOut: 2 }]);
    });
  });
});

describe('the usage option', () => {
  const refusing =
    (message: string): Fault =>
    (exchange) => {
      if (candidate.bodies.at(-1)?.includes('include_usage')) {
        exchange.response.writeHead(400, { 'content-type': 'application/json' });
        exchange.response.end(JSON.stringify({ error: { message } }));
      } else if (exchange.response.req.url === '/v1/completions') {
        sse([event('{"choices":[{"index":0,"text":"Hello","finish_reason":"stop"}]}'), DONE])(exchange);
      } else well(exchange);
    };
  const asked = () => candidate.bodies.map((body) => body.includes('include_usage'));
  let own: TestGateway;
  beforeEach(async () => {
    own = gateway;
    gateway = await startTestGateway({ legacyUrl: legacy.url, candidateUrl: candidate.url });
    await gateway.route(1);
    candidate.bodies.length = 0;
  });
  afterEach(async () => {
    await gateway.stop();
    gateway = own;
  });

  it('is added to chat and completions and nowhere else', async () => {
    candidate.fault = status(400);
    const paths = [CHAT, '/completions', '/responses', '/images/generations', '/audio/speech'];
    for (const path of paths) await post(path, { input: 'x', prompt: 'x', messages: [], stream: true });
    expect(asked()).toEqual([true, true, false, false, false]);
  });

  it('is no longer added at an endpoint that refuses it, and still is at others', async () => {
    candidate.fault = refusing('Unknown field: stream_options');
    for (let round = 0; round < 2; round += 1) {
      const answer = await post(CHAT, STREAM);
      expect(answer.headers['x-cutover-provider']).toBe('new');
    }
    expect(asked()).toEqual([true, false, false]);
    await post('/completions', { prompt: 'x', stream: true });
    expect(asked()).toEqual([true, false, false, true, false]);
    expect(gateway.cells()).toMatchObject([{ attempts: 3, successes: 3, failures: {} }]);
  });

  it('is still added where the refusal was about something else, whatever it quotes', async () => {
    candidate.fault = ({ response }) => {
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"temperature: out of range in {\\"stream_options\\":{}}"}}');
    };
    await post(CHAT, STREAM);
    candidate.fault = sse([ROLE, HELLO, STOP, DONE]);
    await post(CHAT, STREAM);
    expect(asked()).toEqual([true, false, true]);
  });

  it('is never added for a provider whose configuration says so', async () => {
    await gateway.stop();
    const none = { streamUsage: false };
    const urls = { legacyUrl: legacy.url, candidateUrl: candidate.url };
    gateway = await startTestGateway({ ...urls, candidate: none, legacy: none });
    await gateway.route(1);
    await post(CHAT, STREAM);
    await gateway.route(0);
    legacy.bodies.length = 0;
    await post(CHAT, STREAM);
    expect([...asked(), ...legacy.bodies.map((body) => body.includes('include_usage'))]).toEqual([
      false,
      false,
    ]);
  });

  it('is no longer added to copies once the candidate has refused it', async () => {
    candidate.fault = refusing('stream_options: extra inputs are not permitted');
    await gateway.route(0, { shadow: 1 });
    for (const count of [1, 2]) {
      await post(CHAT, STREAM);
      const shadows = () => gateway.cells().find(({ kind }) => kind === 'shadow');
      for (let wait = 0; shadows()?.attempts !== count && wait < 400; wait += 1) await sleep(5);
      expect(shadows()).toMatchObject({ attempts: count, successes: count, failures: {} });
    }
    expect(asked()).toEqual([true, false, false]);
  });
});
