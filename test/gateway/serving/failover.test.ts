import { type AddressInfo, createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type OpenAI from 'openai';
import { EMPTY_HISTOGRAM } from '../../../src/core/statistics/histogram';
import type { DemoProvider } from '../../../src/demo/provider';
import { ASK, MODEL, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { startFakeProvider } from '../../support/providers/fake-provider';
import {
  EITHER,
  type Fault,
  type FaultProvider,
  PLAIN,
  STREAM,
  startFaultProvider,
  status,
  well,
} from '../../support/providers/fault-provider';

const FAST = { timeouts: { connect: '1s', firstContent: '300ms', streamIdle: '300ms', plainTotal: '300ms' } };
/** A breaker that never opens, so that each row of a table is tried. */
const NO_BREAKER = { breaker: { consecutiveFailures: 1_000_000, minimumRequests: 1_000_000 } };

let legacy: DemoProvider;
let candidate: FaultProvider;
let gateway: TestGateway;

beforeAll(async () => {
  legacy = await startFakeProvider({ name: 'old' });
  candidate = await startFaultProvider(well);
  gateway = await startTestGateway({
    legacyUrl: legacy.url,
    candidateUrl: candidate.url,
    candidate: FAST,
    settings: NO_BREAKER,
    route: { replayBudget: { ratio: 1, burst: 1000 } },
  });
});

afterAll(async () => {
  await gateway.stop();
  await legacy.stop();
  await candidate.stop();
});

async function answerOf(client: OpenAI, stream: boolean): Promise<{ text: string; headers: Headers }> {
  if (!stream) {
    const { data, response } = await client.chat.completions.create(ASK).withResponse();
    return { text: data.choices[0]?.message.content ?? '', headers: response.headers };
  }
  const { data, response } = await client.chat.completions.create({ ...ASK, stream: true }).withResponse();
  let text = '';
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? '';
  return { text, headers: response.headers };
}

async function expectRescue(fault: Fault, kind: string, stream: boolean): Promise<void> {
  await gateway.route(1);
  candidate.fault = fault;
  const asked = candidate.bodies.length;
  const { text, headers } = await answerOf(gateway.client(), stream);
  expect(text).toContain('Traffic moves');
  expect(headers.get('x-cutover-provider')).toBe('old');
  expect(candidate.bodies.length).toBe(asked + 1);
  const failure = kind === 'rejected' ? 'status_4xx' : kind;
  expect(headers.get('x-cutover-failover')).toBe(failure);
  const cells = gateway
    .cells()
    .map(({ side, kind: of, attempts, failures }) => ({ side, kind: of, attempts, failures }));
  expect(cells).toEqual(
    expect.arrayContaining([
      { side: 'candidate', kind: 'live', attempts: 1, failures: { [kind]: 1 } },
      { side: 'legacy', kind: 'failover', attempts: 1, failures: {} },
    ]),
  );
  expect(cells).toHaveLength(2);
}

describe('a plain answer comes from legacy when the candidate gives', () => {
  it.each(Object.entries({ ...EITHER, ...PLAIN }))('%s', (_name, [fault, kind]) =>
    expectRescue(fault, kind, false),
  );
});

describe('a stream comes from legacy when the candidate gives', () => {
  it.each(Object.entries({ ...EITHER, ...STREAM }))('%s', (_name, [fault, kind]) =>
    expectRescue(fault, kind, true),
  );
});

describe('legacy answers when the candidate cannot be reached', () => {
  const cases: [name: string, url: () => Promise<string>, kind: string][] = [
    ['its port refuses', closedPort, 'connect'],
    ['its name does not resolve', async () => 'http://no-such-host.invalid/v1', 'connect'],
    ['it does not speak TLS', async () => candidate.url.replace('http:', 'https:'), 'tls'],
  ];
  it.each(cases)('%s', async (_name, url, kind) => {
    const lost = await startTestGateway({
      legacyUrl: legacy.url,
      candidateUrl: await url(),
      candidate: FAST,
      // Not dispatched is unambiguous: it needs no budget.
      route: { replayBudget: { ratio: 0, burst: 0 } },
    });
    await lost.route(1);
    for (const stream of [false, true]) {
      const { text, headers } = await answerOf(lost.client(), stream);
      expect(text).toContain('Traffic moves');
      expect(headers.get('x-cutover-failover')).toBe(kind);
    }
    await lost.stop();
  });

  async function closedPort(): Promise<string> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return `http://127.0.0.1:${port}/v1`;
  }
});

describe('what legacy refuses too', () => {
  it('is answered by legacy and charged to neither', async () => {
    await gateway.route(1);
    candidate.fault = status(400);
    legacy.behaviour.failureRatio = 1;
    legacy.behaviour.failureStatus = 422;
    const refused = gateway.client().chat.completions.create(ASK);
    await expect(refused).rejects.toMatchObject({ status: 422 });
    legacy.behaviour.failureRatio = 0;
    const cells = gateway.cells();
    expect(cells.map(({ side, kind }) => `${side} ${kind}`)).toEqual(['candidate live', 'legacy failover']);
    for (const { attempts, aborted, successes, failures, totalMs } of cells) {
      expect({ attempts, aborted, successes, failures }).toEqual({
        attempts: 1,
        aborted: 1,
        successes: 0,
        failures: {},
      });
      expect(totalMs).toEqual(EMPTY_HISTOGRAM);
    }
  });

  it('counts in neither success nor failure of legacy’s own arm', async () => {
    await gateway.route(0);
    legacy.behaviour.failureRatio = 1;
    legacy.behaviour.failureStatus = 404;
    await expect(gateway.client().chat.completions.create(ASK)).rejects.toMatchObject({ status: 404 });
    // Counted once legacy has been asked again.
    while (gateway.cells().length === 0) await setTimeout(5);
    legacy.behaviour.failureRatio = 0;
    expect(gateway.cells()).toMatchObject([{ attempts: 1, aborted: 1, successes: 0, failures: {} }]);
  });

  it.each([429, 500, 503])('is unknown where legacy answers %i, and then neutral', async (code) => {
    await gateway.route(1);
    candidate.fault = status(404);
    legacy.behaviour.failureRatio = 1;
    legacy.behaviour.failureStatus = code;
    await expect(gateway.client().chat.completions.create(ASK)).rejects.toMatchObject({ status: code });
    legacy.behaviour.failureRatio = 0;
    const live = gateway.cells().find(({ kind }) => kind === 'live');
    expect(live).toMatchObject({ side: 'candidate', attempts: 1, aborted: 1, successes: 0, failures: {} });
  });

  it('is charged to the candidate all the same when the candidate does not know its own key', async () => {
    await gateway.route(1);
    candidate.fault = status(401);
    legacy.behaviour.failureRatio = 1;
    legacy.behaviour.failureStatus = 400;
    await expect(gateway.client().chat.completions.create(ASK)).rejects.toMatchObject({ status: 400 });
    legacy.behaviour.failureRatio = 0;
    const live = gateway.cells().find(({ kind }) => kind === 'live');
    expect(live?.failures).toEqual({ status_auth: 1 });
  });
});

describe('legacy alone', () => {
  it('answers with its own error as it is, and nothing goes to the candidate', async () => {
    await gateway.route(0);
    const asked = candidate.bodies.length;
    legacy.behaviour.failureRatio = 1;
    legacy.behaviour.failureStatus = 503;
    legacy.behaviour.retryAfterS = 7;
    const error = await gateway
      .client()
      .chat.completions.create(ASK)
      .catch((thrown: unknown) => thrown);
    legacy.behaviour.failureRatio = 0;
    legacy.behaviour.retryAfterS = null;
    expect(error).toMatchObject({ status: 503, type: 'server_error' });
    expect((error as { headers: Headers }).headers.get('retry-after')).toBe('7');
    expect(candidate.bodies.length).toBe(asked);
  });
});

describe('replays', () => {
  it('are limited by the budget after ambiguous failures, and not after unambiguous ones', async () => {
    const poor = await startTestGateway({
      legacyUrl: legacy.url,
      candidateUrl: candidate.url,
      candidate: FAST,
      settings: NO_BREAKER,
      route: { replayBudget: { ratio: 0, burst: 2 } },
    });
    await poor.route(1);
    candidate.fault = status(500);
    const client = poor.client();
    await client.chat.completions.create(ASK);
    await client.chat.completions.create(ASK);
    await expect(client.chat.completions.create(ASK)).rejects.toMatchObject({ status: 500 });
    expect(poor.log.at(-1)).toMatchObject({
      attempts: [{ provider: 'new' }, { provider: 'old', outcome: 'shed', why: 'replay budget exhausted' }],
    });
    candidate.fault = status(429);
    await client.chat.completions.create(ASK);
    await poor.stop();
  });

  it('are never made of hosted tools after they were sent', async () => {
    await gateway.route(1);
    const before = legacy.requestCount;
    candidate.fault = ({ socket }) => socket.resetAndDestroy();
    const searching = gateway.client().chat.completions.create({ ...ASK, web_search_options: {} });
    await expect(searching).rejects.toMatchObject({ status: 502, code: 'reset' });
    const responding = gateway
      .client()
      .responses.create({ model: MODEL, input: 'x', tools: [{ type: 'web_search' }] });
    await expect(responding).rejects.toMatchObject({ status: 502 });
    expect(legacy.requestCount).toBe(before);
  });

  it('are charged to the candidate with the estimated price of what it may have worked', async () => {
    const priced = await startTestGateway({
      legacyUrl: legacy.url,
      candidateUrl: candidate.url,
      candidate: { ...FAST, prices: { 'gpt-4o-mini': { inputPerMillion: 1_000_000, outputPerMillion: 0 } } },
    });
    await priced.route(1);
    candidate.fault = status(500);
    await priced.client().chat.completions.create(ASK);
    const [live] = priced.cells().filter(({ kind }) => kind === 'live');
    expect(live?.costUsd).toBeGreaterThan(10);
    await priced.stop();
  });
});
