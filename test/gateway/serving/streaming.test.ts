import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { chunk, DONE, event, HELLO, ROLE, STOP, sse, well } from '../../support/providers/fault-provider';

const trial = gatewayTrial();
const { legacy, candidate } = trial;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await trial.start({
    settings: { breaker: { consecutiveFailures: 1_000, minimumRequests: 1_000 } },
  });
  await gateway.route(1);
});

interface RawAnswer {
  readonly status: number;
  readonly body: Buffer;
  /** False when the connection was cut before the answer's end. */
  readonly complete: boolean;
}

/** Asks for a stream and returns its very bytes. */
function bytesOf(more: object = {}): Promise<RawAnswer> {
  const body = JSON.stringify({ model: MODEL, messages: [], stream: true, ...more });
  return new Promise((resolve, reject) => {
    const sent = request(
      `${gateway.dataUrl}/v1/chat/completions`,
      { method: 'POST', headers: { 'content-type': 'application/json' } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (piece: Buffer) => chunks.push(piece));
        answer.on('error', () => {});
        answer.on('close', () =>
          resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks), complete: answer.complete }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

const WHOLE = ROLE + HELLO + chunk({ content: ' wörld' }) + STOP + DONE;
const USAGE = event(
  JSON.stringify({
    id: 'c1',
    choices: [],
    usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 },
  }),
);

it.each([
  ['in one piece', [WHOLE]],
  ['byte by byte', [...Buffer.from(WHOLE)].map((byte) => Buffer.from([byte]))],
  ['with carriage returns', [WHOLE.replaceAll('\n', '\r\n')]],
  [
    'with bytes that are no UTF-8',
    [
      ROLE,
      HELLO,
      Buffer.from('data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n', 'latin1'),
      STOP,
      DONE,
    ],
  ],
  ['without [DONE] after a finish reason', [ROLE, HELLO, STOP]],
  ['without a blank line at its end', [ROLE, HELLO, STOP, 'data: [DONE]']],
  ['with comments and unknown fields', [': ping\n\n', ROLE, 'id: 7\nretry: 10\n', HELLO, STOP, DONE]],
])('passes a stream %s unchanged', async (_name, pieces) => {
  candidate.fault = sse(pieces);
  const { body, complete } = await bytesOf();
  expect(body).toEqual(Buffer.concat(pieces.map((piece) => Buffer.from(piece as string))));
  expect(complete).toBe(true);
});

it('asks for usage in the place of a caller who did not, and takes that event out again', async () => {
  await gateway.route(1);
  for (const pieces of [
    [ROLE, HELLO, STOP, USAGE, DONE],
    [ROLE + HELLO + STOP + USAGE + DONE],
    [...Buffer.from(ROLE + HELLO + STOP + USAGE + DONE)].map((byte) => Buffer.from([byte])),
  ]) {
    candidate.fault = sse(pieces);
    const { body } = await bytesOf();
    expect(body.toString()).toBe(ROLE + HELLO + STOP + DONE);
    expect(JSON.parse(candidate.bodies.at(-1) ?? '')).toMatchObject({
      stream_options: { include_usage: true },
    });
  }
  const [cell] = gateway.cells();
  expect(cell).toMatchObject({ tokensIn: 21, tokensOut: 6, successes: 3 });
});

it('leaves the usage event to a caller who asked for it', async () => {
  candidate.fault = sse([ROLE, HELLO, STOP, USAGE, DONE]);
  const { body } = await bytesOf({ stream_options: { include_usage: true } });
  expect(body.toString()).toBe(ROLE + HELLO + STOP + USAGE + DONE);
});

it('stops asking a provider for usage that refuses the option', async () => {
  const old = await startTestGateway({ legacyUrl: legacy.url, candidateUrl: candidate.url });
  await old.route(1);
  candidate.fault = (exchange) => {
    if (!candidate.bodies.at(-1)?.includes('stream_options')) {
      well(exchange);
      return;
    }
    exchange.response.writeHead(400, { 'content-type': 'application/json' });
    exchange.response.end('{"error":{"message":"stream_options: extra fields not permitted"}}');
  };
  const ask = { model: MODEL, messages: [], stream: true as const };
  for (let round = 0; round < 2; round += 1) {
    const { data, response } = await old.client().chat.completions.create(ask).withResponse();
    for await (const _ of data);
    expect(response.headers.get('x-cutover-provider')).toBe('new');
  }
  expect(old.cells().map(({ failures }) => failures)).toEqual([{}]);
  await old.stop();
});

describe('after the first content a failure is shown, never hidden', () => {
  const error = event(JSON.stringify({ error: { message: 'overloaded', type: 'server_error', code: null } }));
  it.each([
    ['a reset', sse([ROLE, HELLO], 'reset'), 'truncated', false],
    ['a clean end without a finish', sse([ROLE, HELLO]), 'truncated', false],
    ['half an event at its end', sse([ROLE, HELLO, 'data: {"choices":[{"del']), 'truncated', false],
    ['an error event', sse([ROLE, HELLO, error]), 'error_event', true],
  ] as const)('%s', async (_name, fault, kind, complete) => {
    await gateway.route(1);
    candidate.fault = fault;
    const asked = legacy.bodies.length;
    const answer = await bytesOf();
    expect(answer.complete).toBe(complete);
    expect(answer.body.toString()).toContain('"error"');
    expect(answer.body.toString()).not.toContain('[DONE]');
    expect(legacy.bodies.length).toBe(asked);
    const [cell] = gateway.cells();
    expect(cell?.failures).toEqual({ [kind]: 1 });
    const reading = (async () => {
      const stream = await gateway
        .client()
        .chat.completions.create({ model: MODEL, messages: [], stream: true });
      for await (const _ of stream);
    })();
    await expect(reading).rejects.toBeInstanceOf(Error);
  });

  it('and so for a stall', async () => {
    const strict = await startTestGateway({
      legacyUrl: legacy.url,
      candidateUrl: candidate.url,
      candidate: { timeouts: { streamIdle: '200ms' } },
    });
    await strict.route(1);
    candidate.fault = sse([ROLE, HELLO], 'open');
    const reading = (async () => {
      const stream = await strict
        .client()
        .chat.completions.create({ model: MODEL, messages: [], stream: true });
      for await (const _ of stream);
    })();
    await expect(reading).rejects.toBeInstanceOf(OpenAI.APIError);
    await strict.stop();
  });
});

describe('a caller who goes away', () => {
  it.each([
    ['before the head', () => {}],
    ['in mid-stream', sse([ROLE, HELLO], 'open')],
  ] as const)('%s aborts the upstream, and is charged to nobody', async (_name, fault) => {
    await gateway.route(1);
    candidate.fault = fault;
    const before = candidate.aborts;
    const controller = new AbortController();
    const reading = (async () => {
      const stream = await gateway
        .client()
        .chat.completions.create({ model: MODEL, messages: [], stream: true }, { signal: controller.signal });
      for await (const _ of stream);
    })();
    const asked = candidate.bodies.length;
    while (candidate.bodies.length === asked) await sleep(5);
    await sleep(30);
    controller.abort();
    await reading.catch(() => {});
    while (candidate.aborts === before) await sleep(5);
    while (gateway.cells().length === 0) await sleep(5);
    expect(gateway.cells()).toMatchObject([{ aborted: 1, failures: {} }]);
  });
});

it('lets a slow reader slow the provider down in place of buffering', async () => {
  const piece = chunk({ content: 'x'.repeat(60_000) });
  let written = 0;
  let blocked = false;
  legacy.fault = ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const more = () => {
      while (written < 1_000) {
        written += 1;
        if (!response.write(piece)) {
          blocked = true;
          response.once('drain', more);
          return;
        }
      }
      response.end(STOP + DONE);
    };
    more();
  };
  await gateway.route(0);
  const body = JSON.stringify({ model: MODEL, messages: [], stream: true });
  const received = await new Promise<number>((resolve, reject) => {
    const sent = request(`${gateway.dataUrl}/v1/chat/completions`, { method: 'POST' }, (answer) => {
      let bytes = 0;
      setTimeout(() => {
        // 60 MB are asked for; sockets and gateway hold a few.
        expect(blocked).toBe(true);
        expect(written).toBeLessThan(500);
        answer.on('data', (piece: Buffer) => {
          bytes += piece.length;
        });
        answer.on('end', () => resolve(bytes));
      }, 300);
    });
    sent.on('error', reject);
    sent.end(body);
  });
  expect(received).toBeGreaterThan(60_000_000);
});
