import { WebSocket, WebSocketServer } from 'ws';
import { StreamScanner } from '../../../src/gateway/answers/stream-scanner';
import { Attempt } from '../../../src/gateway/upstream/attempt';
import { Deadlines } from '../../../src/gateway/upstream/deadlines';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import {
  ADMIN_TOKEN,
  MODEL,
  ROUTE,
  type TestGateway,
  type TestGatewayOptions,
} from '../../support/gateways/running-gateway';
import { chunk, HELLO, ROLE, sse, status } from '../../support/providers/fault-provider';

afterEach(() => jest.restoreAllMocks());

const trial = gatewayTrial();
const { candidate } = trial;
let gateway: TestGateway;

async function start(options: Partial<TestGatewayOptions> = {}): Promise<void> {
  gateway = await trial.start(options);
}

const BOOM = 'a planted defect';
const boom = (): never => {
  throw new Error(BOOM);
};

const route = () => {
  const held = gateway.routes.get(ROUTE);
  if (held === undefined) throw new Error('expected the route');
  return held;
};

/** How a call ended for its caller: a status, or `cut`. */
async function ask(stream = false, more: object = {}, signal?: AbortSignal): Promise<number | 'cut'> {
  try {
    const answer = await fetch(`${gateway.dataUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: MODEL,
        stream,
        messages: [{ role: 'user', content: 'Hello?' }],
        ...more,
      }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await answer.text();
    return text.includes('stream_cut') ? 'cut' : answer.status;
  } catch {
    return 'cut';
  }
}

async function metric(name: string): Promise<number> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const text = await (await fetch(`${gateway.adminUrl}/metrics`, { headers })).text();
  const line = text.split('\n').find((candidateLine) => candidateLine.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

/** Nothing of any request is left, the defect is in the log with its stack, and the next request is served. */
async function expectNothingLeft(logged = true): Promise<void> {
  jest.restoreAllMocks();
  const { providers, mirror } = route();
  const counts = () => [
    ...[providers.legacy.inFlight, providers.candidate.inFlight, mirror.inFlight],
    route().state.status().inFlightOlder + route().state.status().unsentOlder,
  ];
  for (let turn = 0; turn < 100 && (await metric('cutover_requests_active')) > 0; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(await metric('cutover_requests_active')).toBe(0);
  expect(await metric('cutover_buffered_bytes')).toBe(0);
  // Those of an older epoch are counted: after a push there is no other.
  await gateway.route(0);
  expect(counts()).toEqual([0, 0, 0, 0]);
  expect(await metric('cutover_defects_total')).toBeGreaterThan(0);
  if (logged) {
    const lines = gateway.log.filter(({ msg }) => msg === 'defect');
    expect(String(lines[0]?.['error'])).toMatch(new RegExp(`${BOOM}\\n +at `));
  }
  expect(await ask()).toBe(200);
}

describe('a defect in a moment of an attempt ends one request', () => {
  it.each([
    ['onConnect', false],
    ['onHeaders', false],
    ['onData', false],
    ['onComplete', false],
    ['onConnect', true],
    ['onHeaders', true],
    ['onComplete', true],
  ] as const)('%s, streamed: %s', async (moment, stream) => {
    await start();
    await gateway.route(1);
    jest.spyOn(Attempt.prototype, moment).mockImplementation(boom);
    expect(await ask(stream)).toBe(stream && moment === 'onComplete' ? 'cut' : 500);
    await expectNothingLeft();
  });

  it('onError', async () => {
    await start();
    await gateway.route(1);
    candidate.fault = ({ socket }) => socket.resetAndDestroy();
    jest.spyOn(Attempt.prototype, 'onError').mockImplementation(boom);
    expect(await ask()).toBe(500);
    await expectNothingLeft();
  });

  it('in the middle of a stream, which its caller sees cut', async () => {
    await start();
    await gateway.route(1);
    candidate.fault = ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(ROLE + HELLO);
      const more = setInterval(() => response.write(chunk({ content: 'more' })), 20);
      response.once('close', () => clearInterval(more));
    };
    const push = StreamScanner.prototype.push;
    let pushes = 0;
    jest.spyOn(StreamScanner.prototype, 'push').mockImplementation(function (
      this: StreamScanner,
      ...args: Parameters<typeof push>
    ) {
      pushes += 1;
      return pushes < 3 ? push.apply(this, args) : boom();
    });
    expect(await ask(true)).toBe('cut');
    await expectNothingLeft();
  });
});

describe('a defect in what an attempt calls ends one request', () => {
  it.each<[string, () => void, boolean, number | 'cut']>([
    ['the draw', () => jest.spyOn(route().state, 'draw').mockImplementation(boom), false, 500],
    [
      'building the headers',
      () => jest.spyOn(route().providers.candidate, 'headers').mockImplementation(boom),
      false,
      500,
    ],
    [
      'dispatching',
      () => jest.spyOn(route().providers.candidate.pool, 'dispatch').mockImplementation(boom),
      false,
      500,
    ],
    [
      'the breaker',
      () => jest.spyOn(route().providers.candidate.breaker, 'succeeded').mockImplementation(boom),
      false,
      200,
    ],
    ['the evidence', () => jest.spyOn(route().evidence, 'record').mockImplementation(boom), false, 200],
    [
      'the evidence of a stream',
      () => jest.spyOn(route().evidence, 'record').mockImplementation(boom),
      true,
      200,
    ],
    [
      'the table of makers',
      () => jest.spyOn(route().makers, 'remember').mockImplementation(boom),
      false,
      200,
    ],
  ])('%s', async (_what, plant, stream, outcome) => {
    await start();
    await gateway.route(1);
    plant();
    expect(await ask(stream, { store: true })).toBe(outcome);
    await expectNothingLeft();
  });

  it('the attempt that follows a failed one', async () => {
    await start();
    await gateway.route(1);
    candidate.fault = status(500);
    jest.spyOn(route().providers.legacy, 'headers').mockImplementation(boom);
    expect(await ask()).toBe(500);
    await expectNothingLeft();
  });

  it('the log', async () => {
    await start({ options: { log: { write: boom } } });
    expect(await ask()).toBe(200);
    expect(await metric('cutover_defects_total')).toBe(1);
    await expectNothingLeft(false);
  });
});

describe('a defect at a deadline', () => {
  it.each([
    ['in the attempt', () => jest.spyOn(Attempt.prototype, 'expire').mockImplementation(boom)],
    [
      'in what it calls',
      () => jest.spyOn(route().providers.candidate.breaker, 'failed').mockImplementation(boom),
    ],
  ])('%s ends one request and leaves the other deadlines running', async (_where, plant) => {
    await start({ candidate: { timeouts: { plainTotal: '200ms' } } });
    await gateway.route(1);
    candidate.fault = () => undefined;
    plant();
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([500, 500, 500]);
    await expectNothingLeft();
  });

  it('is swept once', async () => {
    await start();
    const deadlines = new Deadlines(() => 1);
    let expired = 0;
    const broken: string[] = [];
    const entry = {
      place: -1,
      deadlineMs: 0,
      expire: () => {
        expired += 1;
        boom();
      },
      broke: (error: unknown) => {
        broken.push((error as Error).message);
        deadlines.remove(entry);
      },
    };
    deadlines.add(entry);
    await new Promise((resolve) => setTimeout(resolve, 120));
    deadlines.stop();
    expect([expired, broken]).toEqual([1, [BOOM]]);
    expect(await ask()).toBe(200);
  });
});

describe('a defect after the caller has gone', () => {
  it.each([
    ['in the attempt', () => jest.spyOn(Attempt.prototype, 'abandon').mockImplementation(boom)],
    ['in what it calls', () => jest.spyOn(route().evidence, 'record').mockImplementation(boom)],
  ])('%s leaves nothing behind', async (_where, plant) => {
    await start();
    await gateway.route(1);
    candidate.fault = () => undefined;
    plant();
    expect(await ask(false, {}, AbortSignal.timeout(150))).toBe('cut');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expectNothingLeft();
  });
});

it('a defect while an answer waits for its reader ends that answer', async () => {
  await start();
  candidate.fault = sse([ROLE, ...Array.from({ length: 400 }, () => chunk({ content: 'x'.repeat(50_000) }))]);
  await gateway.route(1);
  jest.spyOn(Attempt.prototype, 'resume').mockImplementation(boom);
  const answer = await fetch(`${gateway.dataUrl}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: MODEL, stream: true, messages: [] }),
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  await expect(answer.text()).rejects.toThrow();
  await expectNothingLeft();
});

describe('a defect of the shadow copy', () => {
  const shadowed = async (options: Partial<TestGatewayOptions> = {}) => {
    await start(options);
    await gateway.route(0, { shadow: 1 });
  };

  it('when it is made leaves the answer of legacy alone', async () => {
    await shadowed();
    jest.spyOn(route().mirror, 'headers').mockImplementation(boom);
    expect(await ask()).toBe(200);
    expect(gateway.log.at(-1)).toMatchObject({ msg: 'request', outcome: 'success' });
    await expectNothingLeft();
  });

  it('when it is compared gives back what it held', async () => {
    await shadowed();
    jest.spyOn(route().evidence, 'recordCopy').mockImplementation(boom);
    expect(await ask()).toBe(200);
    while ((await metric('cutover_defects_total')) === 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await expectNothingLeft();
  });
});

it('a defect while a lowering cuts an attempt does not keep it from the others', async () => {
  await start();
  await gateway.route(1);
  candidate.fault = () => undefined;
  const asked = candidate.bodies.length;
  const calls = [ask(), ask(), ask()];
  while (candidate.bodies.length < asked + 3) await new Promise((resolve) => setTimeout(resolve, 5));
  jest.spyOn(route().providers.legacy, 'headers').mockImplementation(boom);
  await gateway.route(0, {}, 'cut');
  expect(await Promise.all(calls)).toEqual([500, 500, 500]);
  await expectNothingLeft();
});

it('a defect at the end of a tunnel gives back its place', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await start({ legacyUrl: `http://127.0.0.1:${port}/v1`, options: { log: { write: boom } } });
  const socket = new WebSocket(`${gateway.dataUrl.replace('http', 'ws')}/v1/realtime`);
  await new Promise((resolve) => socket.once('open', resolve));
  expect(await metric('cutover_tunnels_open')).toBe(1);
  socket.close();
  await new Promise((resolve) => socket.once('close', resolve));
  while ((await metric('cutover_tunnels_open')) > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await metric('cutover_defects_total')).toBe(1);
  await new Promise((resolve) => server.close(resolve));
});
