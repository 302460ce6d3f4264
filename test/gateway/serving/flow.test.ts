import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { ADMIN_TOKEN, ASK } from '../../support/gateways/running-gateway';
import {
  EITHER,
  HELLO,
  PLAIN,
  ROLE,
  STREAM,
  sse,
  status,
  well,
} from '../../support/providers/fault-provider';

const { legacy, candidate, start } = gatewayTrial();

async function servedBy(client: OpenAI, more: object = {}): Promise<string | null> {
  const { response } = await client.chat.completions.create({ ...ASK, ...more }).withResponse();
  return response.headers.get('x-cutover-provider');
}

describe('the breaker', () => {
  it('stops asking a candidate that fails, counts what it sheds, and tries it again', async () => {
    const gateway = await start({ settings: { breaker: { open: '1s' } } });
    await gateway.route(1);
    candidate.fault = status(500);
    const client = gateway.client();
    const asked = candidate.bodies.length;
    for (let request = 0; request < 12; request += 1) expect(await servedBy(client)).toBe('old');
    expect(candidate.bodies.length).toBe(asked + 5);
    expect(gateway.cells().find(({ side }) => side === 'candidate')?.failures).toEqual({
      status_5xx: 5,
      shed: 7,
    });
    candidate.fault = well;
    await sleep(1_050);
    expect(await servedBy(client)).toBe('new');
    expect(await servedBy(client)).toBe('new');
  });

  it('respects Retry-After: until then everything goes to legacy', async () => {
    const gateway = await start();
    await gateway.route(1);
    candidate.fault = status(429, { 'retry-after': '1' });
    const client = gateway.client();
    const asked = candidate.bodies.length;
    expect(await servedBy(client)).toBe('old');
    candidate.fault = well;
    expect(await servedBy(client)).toBe('old');
    expect(candidate.bodies.length).toBe(asked + 1);
    await sleep(1_050);
    expect(await servedBy(client)).toBe('new');
  });
});

describe("one team's own key", () => {
  const digest = (key: string) => createHash('sha256').update(key).digest('hex');
  const callers = [
    { team: 'own', keySha256: digest('sk-own'), keys: { new: 'env:OWN' } },
    { team: 'shared', keySha256: digest('sk-shared') },
    { team: 'sharing', keySha256: digest('sk-sharing') },
  ];
  const startForTeams = async () => {
    const gateway = await start({
      configuration: { callers },
      candidate: { auth: { bearer: 'env:SHARED' } },
      secrets: { 'env:OWN': 'own-key', 'env:SHARED': 'shared-key' },
    });
    await gateway.route(1);
    const as = (team: string) =>
      servedBy(new OpenAI({ baseURL: `${gateway.dataUrl}/v1`, apiKey: `sk-${team}`, maxRetries: 0 }));
    return { gateway, as };
  };
  const refuse =
    (key: string, fault: typeof well): typeof well =>
    (exchange) =>
      (exchange.response.req.headers.authorization === `Bearer ${key}` ? fault : well)(exchange);

  it.each([401, 402, 403, 429])('that is refused with %i sheds nobody else', async (code) => {
    const { gateway, as } = await startForTeams();
    candidate.fault = refuse('own-key', status(code));
    for (let request = 0; request < 8; request += 1) expect(await as('own')).toBe('old');
    expect(await as('shared')).toBe('new');
    const live = gateway.cells().find(({ side, kind }) => side === 'candidate' && kind === 'live');
    expect(live?.failures).not.toHaveProperty('shed');
  });

  it('that has to wait makes nobody else wait, while a shared one makes all wait who share it', async () => {
    const { as } = await startForTeams();
    candidate.fault = refuse('own-key', status(429, { 'retry-after': '30' }));
    expect(await as('own')).toBe('old');
    candidate.fault = well;
    expect(await as('own')).toBe('old');
    expect(await as('shared')).toBe('new');
    candidate.fault = refuse('shared-key', status(429, { 'retry-after': '30' }));
    expect(await as('shared')).toBe('old');
    candidate.fault = well;
    expect(await as('sharing')).toBe('old');
  });
});

describe('the concurrency cap', () => {
  it('lets legacy serve what the candidate may not, and answers 503 when legacy is full too', async () => {
    const gateway = await start({ candidate: { maxConcurrent: 1 }, legacy: { maxConcurrent: 1 } });
    await gateway.route(1);
    const slow: typeof well = (exchange) => void setTimeout(() => well(exchange), 200);
    candidate.fault = slow;
    legacy.fault = slow;
    const client = gateway.client();
    const answers = await Promise.all(
      [1, 2, 3].map((user) =>
        servedBy(client, { user: `${user}` }).catch((error: { status: number; headers: Headers }) => [
          error.status,
          error.headers.get('retry-after'),
        ]),
      ),
    );
    expect(answers).toEqual(expect.arrayContaining(['new', 'old', [503, '1']]));
  });

  it('of legacy counts in its arm and in the metrics as the candidate’s does', async () => {
    const gateway = await start({ legacy: { maxConcurrent: 1 } });
    await gateway.route(0);
    legacy.fault = (exchange) => void setTimeout(() => well(exchange), 200);
    const client = gateway.client();
    const answers = await Promise.allSettled([1, 2, 3].map((user) => servedBy(client, { user: `${user}` })));
    expect(answers.filter(({ status: how }) => how === 'rejected')).toHaveLength(2);
    expect(gateway.cells()).toMatchObject([
      { side: 'legacy', kind: 'live', attempts: 3, successes: 1, failures: { shed: 2 } },
    ]);
    const scrape = await fetch(`${gateway.adminUrl}/metrics`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    expect(await scrape.text()).toMatch(/cutover_requests_total\{.*side="legacy".*outcome="shed"} 2\n/);
  });
});

describe('a lowering', () => {
  it('in an emergency fails over at once what is not committed, and charges nobody', async () => {
    const gateway = await start();
    await gateway.route(1);
    candidate.fault = () => {};
    const asked = candidate.bodies.length;
    const answering = servedBy(gateway.client());
    while (candidate.bodies.length === asked) await sleep(5);
    await gateway.route(0, {}, 'cut');
    expect(await answering).toBe('old');
    expect(gateway.cells(1)).toEqual([]);
  });

  it('lets what is committed run on, and cuts it when the drain time is over', async () => {
    const gateway = await start({ settings: { drain: '200ms' } });
    await gateway.route(1);
    candidate.fault = sse([ROLE, HELLO], 'open');
    const stream = await gateway.client().chat.completions.create({ ...ASK, stream: true });
    const reading = (async () => {
      for await (const _ of stream);
    })();
    await gateway.route(0, {}, 'cut');
    await expect(reading).rejects.toThrow('could not be completed');
  });

  it('never lets a request go to the candidate that was drawn before and not sent', async () => {
    // One connection, taken by a request that hangs: the second one is drawn and waits for a socket.
    const gateway = await start({ candidate: { maxConnections: 1 } });
    await gateway.route(1);
    candidate.fault = sse([ROLE, HELLO], 'open');
    const held = await gateway.client().chat.completions.create({ ...ASK, stream: true });
    const asked = candidate.bodies.length;
    const waiting = servedBy(gateway.client());
    while ((gateway.routes.get('chat')?.providers.candidate.inFlight ?? 0) < 2) await sleep(5);
    await gateway.route(0);
    expect(await waiting).toBe('old');
    held.controller.abort();
    await sleep(50);
    expect(candidate.bodies.length).toBe(asked);
  });
});

describe('new conversations only', () => {
  it('keeps a conversation where it began', async () => {
    const gateway = await start();
    const client = gateway.client();
    const turns = [...ASK.messages, { role: 'assistant' as const, content: 'Hi' }, ...ASK.messages];
    await gateway.route(0, { newConversationsOnly: true });
    expect(await servedBy(client, { user: 'anna' })).toBe('old');
    await gateway.route(1, { newConversationsOnly: true });
    expect(await servedBy(client, { user: 'anna', messages: turns })).toBe('old');
    expect(await servedBy(client, { user: 'berta' })).toBe('new');
    expect(await servedBy(client, { user: 'berta', messages: turns })).toBe('new');
    expect(gateway.cells().map(({ side, attempts }) => [side, attempts])).toEqual([['candidate', 2]]);
  });
});

describe('a stop', () => {
  it('accepts nothing more and lets what runs end', async () => {
    const gateway = await start();
    legacy.fault = (exchange) => void setTimeout(() => well(exchange), 150);
    const asked = legacy.bodies.length;
    const answering = servedBy(gateway.client());
    while (legacy.bodies.length === asked) await sleep(5);
    const stopping = gateway.stop();
    expect(await answering).toBe('old');
    await stopping;
    await expect(servedBy(gateway.client())).rejects.toThrow('Connection error');
  });

  it('cuts what does not end in time', async () => {
    const gateway = await start({ settings: { drain: '100ms' } });
    legacy.fault = () => {};
    const asked = legacy.bodies.length;
    const answering = servedBy(gateway.client()).catch((error: Error) => error);
    while (legacy.bodies.length === asked) await sleep(5);
    await gateway.stop();
    expect(await answering).toBeInstanceOf(Error);
  });
});

it('is ready once a route has waited for its record long enough, or has one', async () => {
  const gateway = await start({ options: { readyAfterMs: 60_000 } });
  const readiness = async () => (await fetch(`${gateway.dataUrl}/readyz`)).status;
  expect(await readiness()).toBe(503);
  expect((await fetch(`${gateway.dataUrl}/healthz`)).status).toBe(200);
  await gateway.route(0);
  expect(await readiness()).toBe(200);
});

it('never loses a request that legacy could have answered, whatever the candidate does', async () => {
  const gateway = await start({
    candidate: {
      timeouts: { connect: '1s', firstContent: '600ms', streamIdle: '600ms', plainTotal: '600ms' },
    },
    route: { replayBudget: { ratio: 1, burst: 1_000 } },
    settings: { breaker: { open: '20ms', openMax: '20ms' } },
  });
  await gateway.route(0.5);
  const faults = {
    plain: Object.values({ ...EITHER, ...PLAIN }),
    stream: Object.values({ ...EITHER, ...STREAM }),
  };
  let turn = 0;
  candidate.fault = (exchange) => {
    const rows = faults[exchange.stream ? 'stream' : 'plain'];
    turn += 1;
    if (turn % 3 === 0) well(exchange);
    else rows[turn % rows.length]?.[0](exchange);
  };
  const client = gateway.client();
  const one = async (index: number) => {
    const ask = { ...ASK, user: `u${index}` };
    if (index % 2 === 0) {
      expect((await client.chat.completions.create(ask)).choices[0]?.message.content).toBe('Hello');
      return;
    }
    let text = '';
    for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? '';
    }
    expect(text).toBe('Hello');
  };
  for (let round = 0; round < 30; round += 1) {
    await Promise.all(Array.from({ length: 10 }, (_, index) => one(round * 10 + index)));
  }
  const failures = gateway.cells().find(({ side }) => side === 'candidate')?.failures ?? {};
  expect(Object.keys(failures).length).toBeGreaterThan(5);
});
