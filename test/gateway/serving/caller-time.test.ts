import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, type TestGateway } from '../../support/gateways/running-gateway';
import {
  DONE,
  type Fault,
  HELLO,
  plain,
  ROLE,
  STOP,
  status,
  well,
} from '../../support/providers/fault-provider';

/** What a caller says that it waits (`X-Stainless-Timeout`) is spent so that what legacy could answer is answered. */

const trial = gatewayTrial();
const { legacy, candidate } = trial;

async function start(more: object = {}, share = 1): Promise<TestGateway> {
  const gateway = await trial.start(more);
  await gateway.route(share);
  return gateway;
}

interface Answer {
  readonly status: number;
  readonly provider: string | undefined;
  readonly failover: string | undefined;
  readonly text: string;
  readonly complete: boolean;
}

/** Asks with a time of the caller's own; the caller itself stays. */
function ask(
  gateway: TestGateway,
  waitS: number,
  more: object = {},
  path = '/chat/completions',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${gateway.dataUrl}/v1${path}`,
      { method: 'POST', headers: { 'content-type': 'application/json', 'x-stainless-timeout': `${waitS}` } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
        });
        answer.on('error', () => {});
        answer.on('close', () =>
          resolve({
            status: answer.statusCode ?? 0,
            provider: answer.headers['x-cutover-provider'] as string | undefined,
            failover: answer.headers['x-cutover-failover'] as string | undefined,
            text,
            complete: answer.complete,
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(JSON.stringify({ model: MODEL, messages: [], ...more }));
  });
}

const late =
  (ms: number, fault: Fault): Fault =>
  (exchange) => {
    setTimeout(() => fault(exchange), ms);
  };
const never: Fault = () => {};

/** Waits for what the candidate's arm counted. */
async function armOf(gateway: TestGateway) {
  const live = () => gateway.cells().filter(({ side, kind }) => side === 'candidate' && kind === 'live');
  for (let wait = 0; live().length === 0 && wait < 1_000; wait += 1) await sleep(5);
  const [cell] = live();
  return {
    attempts: cell?.attempts,
    successes: cell?.successes,
    aborted: cell?.aborted,
    failures: cell?.failures,
  };
}

async function rescueOf(gateway: TestGateway) {
  const rescues = () => gateway.cells().filter(({ side, kind }) => side === 'legacy' && kind === 'failover');
  for (let wait = 0; rescues().length === 0 && wait < 400; wait += 1) await sleep(5);
  const [cell] = rescues();
  return { attempts: cell?.attempts, successes: cell?.successes, aborted: cell?.aborted };
}

const SUCCESS = { attempts: 1, successes: 1, aborted: 0, failures: {} };
const LEFT = { attempts: 1, successes: 0, aborted: 1, failures: {} };

describe('a caller that waits 4 s', () => {
  it.each([
    ['plainly', {}],
    ['in a stream', { stream: true }],
  ])(
    'is answered by the first where both take 2.5 s, %s',
    async (_name, more) => {
      const gateway = await start();
      candidate.fault = late(2_500, well);
      legacy.fault = late(2_500, well);
      const { aborts } = legacy;
      const answer = await ask(gateway, 4, more);
      expect(answer).toMatchObject({ status: 200, provider: 'new', complete: true });
      expect(answer.text).toContain('Hello');
      expect(legacy.bodies).toHaveLength(1);
      // The slower one was given up.
      for (let wait = 0; legacy.aborts === aborts && wait < 400; wait += 1) await sleep(5);
      expect(legacy.aborts).toBe(aborts + 1);
      expect(await armOf(gateway)).toEqual(SUCCESS);
      expect(await rescueOf(gateway)).toEqual({ attempts: 1, successes: 0, aborted: 1 });
    },
    10_000,
  );

  it.each([
    ['plainly', {}],
    ['in a stream', { stream: true }],
  ])(
    'is answered by legacy in 2.5 s where the candidate hangs, %s',
    async (_name, more) => {
      const gateway = await start();
      candidate.fault = never;
      legacy.fault = late(2_500, well);
      const answer = await ask(gateway, 4, more);
      expect(answer).toMatchObject({ status: 200, provider: 'old', failover: 'hedge', complete: true });
      expect(await rescueOf(gateway)).toEqual({ attempts: 1, successes: 1, aborted: 0 });
      // By then the caller would have left: neither a success nor a failure of the candidate.
      expect(await armOf(gateway)).toEqual(LEFT);
      for (let wait = 0; candidate.aborts === 0 && wait < 400; wait += 1) await sleep(5);
      expect(candidate.aborts).toBeGreaterThan(0);
    },
    10_000,
  );
});

describe('what the candidate does after legacy has answered', () => {
  it.each([
    ['an answer', well, SUCCESS],
    ['a failure', status(500), { ...LEFT, aborted: 0, failures: { status_5xx: 1 } }],
    ['a refusal', status(404), { ...LEFT, aborted: 0, failures: { rejected: 1 } }],
    [
      'an empty answer',
      plain('{"choices":[{"message":{"content":""}}]}'),
      { ...LEFT, aborted: 0, failures: { truncated: 1 } },
    ],
  ])('counts as if it had been alone: %s', async (_name, fault, expected) => {
    const gateway = await start();
    candidate.fault = late(900, fault);
    const answer = await ask(gateway, 2);
    expect(answer).toMatchObject({ status: 200, provider: 'old', failover: 'hedge' });
    expect(gateway.cells().filter(({ side, kind }) => side === 'candidate' && kind === 'live')).toEqual([]);
    expect(await armOf(gateway)).toEqual(expected);
    expect(gateway.log).toHaveLength(1);
    expect(gateway.log[0]).toMatchObject({
      failover: 'hedge',
      attempts: [
        { provider: 'old', purpose: 'hedge', outcome: 'success' },
        { provider: 'new', purpose: 'drawn', outcome: 'outrun' },
      ],
    });
  });

  it('counts nowhere where the routing was withdrawn meanwhile', async () => {
    const gateway = await start();
    candidate.fault = never;
    await ask(gateway, 2);
    const { aborts } = candidate;
    await gateway.route(0, {}, 'cut');
    for (let wait = 0; candidate.aborts === aborts && wait < 400; wait += 1) await sleep(5);
    expect(gateway.cells(1).filter(({ side }) => side === 'candidate')).toEqual([]);
  });
});

describe('a withdrawal while both are asked', () => {
  it('leaves legacy to answer, and counts the request in no arm', async () => {
    const gateway = await start();
    candidate.fault = never;
    legacy.fault = late(600, well);
    const asking = ask(gateway, 2);
    while (legacy.bodies.length === 0) await sleep(5);
    await gateway.route(0, {}, 'cut');
    expect(await asking).toMatchObject({ status: 200, provider: 'old', complete: true });
    expect(gateway.cells(1)).toEqual([]);
  });
});

describe('while both are asked', () => {
  it('a candidate that fails leaves legacy to answer, which is not asked twice', async () => {
    const gateway = await start();
    candidate.fault = late(700, status(500));
    legacy.fault = late(600, well);
    const answer = await ask(gateway, 2);
    expect(answer).toMatchObject({ status: 200, provider: 'old', failover: 'status_5xx' });
    expect(legacy.bodies).toHaveLength(1);
    expect(await armOf(gateway)).toEqual({ ...LEFT, aborted: 0, failures: { status_5xx: 1 } });
  });

  it('legacy that fails leaves the candidate to answer', async () => {
    const gateway = await start();
    candidate.fault = late(900, well);
    legacy.fault = status(500);
    expect(await ask(gateway, 2)).toMatchObject({ status: 200, provider: 'new' });
    expect(await armOf(gateway)).toEqual(SUCCESS);
  });

  it('legacy’s own error is the answer where both fail', async () => {
    const gateway = await start();
    candidate.fault = late(900, status(400));
    legacy.fault = status(422);
    expect(await ask(gateway, 2)).toMatchObject({ status: 422, provider: 'old' });
    expect(await armOf(gateway)).toEqual(LEFT);
  });

  it('a stream’s head without content does not win', async () => {
    const gateway = await start();
    const slow: Fault = ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(ROLE);
      setTimeout(() => response.end(HELLO + STOP + DONE), 1_500);
    };
    legacy.fault = slow;
    candidate.fault = late(900, well);
    expect(await ask(gateway, 2, { stream: true })).toMatchObject({
      status: 200,
      provider: 'new',
      complete: true,
    });
  });

  it('a caller who leaves ends both', async () => {
    const gateway = await start();
    candidate.fault = never;
    legacy.fault = never;
    const before = [legacy.aborts, candidate.aborts];
    const controller = new AbortController();
    const asking = gateway
      .client()
      .chat.completions.create({ model: MODEL, messages: [] }, { timeout: 1_000, signal: controller.signal });
    asking.catch(() => {});
    while (legacy.bodies.length === 0) await sleep(5);
    controller.abort();
    for (let wait = 0; legacy.aborts === before[0] && wait < 400; wait += 1) await sleep(5);
    expect(await armOf(gateway)).toEqual(LEFT);
    expect([legacy.aborts, candidate.aborts]).toEqual(before.map((aborts) => (aborts as number) + 1));
    expect(gateway.log).toHaveLength(1);
  });
});

it.each([
  ['runs a hosted tool', '/responses', { input: 'x', tools: [{ type: 'web_search' }] }],
  ['is to be stored', '/chat/completions', { store: true }],
])(
  'legacy is not asked as well where a request %s, and the candidate has all the time',
  async (_name, path, more) => {
    const gateway = await start();
    candidate.fault = late(700, (exchange) =>
      path === '/responses'
        ? plain('{"id":"r","status":"completed","output":[{"type":"message"}]}')(exchange)
        : well(exchange),
    );
    expect(await ask(gateway, 1, more, path)).toMatchObject({ status: 200, provider: 'new' });
    expect(legacy.bodies).toHaveLength(0);
  },
);

describe('hedges', () => {
  it('that turn out to have been needless are limited, and those that were needed are not', async () => {
    const gateway = await start({ route: { replayBudget: { ratio: 0, burst: 2 } } });
    candidate.fault = late(350, well);
    legacy.fault = never;
    for (let round = 0; round < 4; round += 1) expect((await ask(gateway, 1)).provider).toBe('new');
    expect(legacy.bodies).toHaveLength(2);
    const hanging = await start({ route: { replayBudget: { ratio: 0, burst: 2 } } });
    candidate.fault = never;
    legacy.fault = well;
    for (let round = 0; round < 4; round += 1) expect((await ask(hanging, 0.4)).provider).toBe('old');
  });

  it('leave replays after failures as they are', async () => {
    const gateway = await start({ route: { replayBudget: { ratio: 0, burst: 1 } } });
    candidate.fault = late(350, well);
    legacy.fault = never;
    await ask(gateway, 1);
    candidate.fault = status(500);
    legacy.fault = well;
    expect(await ask(gateway, 60)).toMatchObject({ provider: 'old', failover: 'status_5xx' });
  });
});

describe('a deadline of the caller’s own that is shorter than the provider’s', () => {
  it('feeds neither breaker nor evidence', async () => {
    const gateway = await start();
    candidate.fault = late(150, well);
    legacy.fault = late(150, well);
    for (let round = 0; round < 8; round += 1) await ask(gateway, 0.02);
    candidate.fault = well;
    expect((await ask(gateway, 60)).provider).toBe('new');
    expect((await armOf(gateway)).failures).toEqual({});
  });

  it('is judged alike in both arms', async () => {
    const slow = await start({}, 0);
    legacy.fault = never;
    const client = slow.client();
    const left = client.chat.completions.create({ model: MODEL, messages: [] }, { timeout: 200 });
    await expect(left).rejects.toBeInstanceOf(Error);
    for (let wait = 0; slow.cells().length === 0 && wait < 400; wait += 1) await sleep(5);
    expect(slow.cells()).toMatchObject([{ side: 'legacy', attempts: 1, aborted: 1, failures: {} }]);
  });

  it('is a timeout of either arm where the caller stayed longer than the candidate may take', async () => {
    const strict = { candidate: { timeouts: { firstContent: '200ms', plainTotal: '200ms' } } };
    for (const share of [0, 1]) {
      const gateway = await start(strict, share);
      candidate.fault = never;
      legacy.fault = never;
      const left = gateway.client().chat.completions.create({ model: MODEL, messages: [] }, { timeout: 900 });
      await expect(left).rejects.toBeInstanceOf(Error);
      const live = () => gateway.cells().filter(({ kind }) => kind === 'live');
      for (let wait = 0; live().length === 0 && wait < 400; wait += 1) await sleep(5);
      expect(live()).toMatchObject([{ attempts: 1, failures: { timeout: 1 } }]);
    }
  });
});
