import { Pool } from 'undici';
import { assignmentDigest, digestBucket } from '../../../src/core/routing/assignment';
import { openingKey } from '../../../src/gateway/request/conversation-opening';
import { readFacts } from '../../../src/gateway/request/request-facts';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, ROUTE, type TestGateway } from '../../support/gateways/running-gateway';

const trial = gatewayTrial();
let gateway: TestGateway;
let pool: Pool;

afterEach(() => pool.destroy());

async function start(route: Record<string, unknown> = {}): Promise<void> {
  gateway = await trial.start({ route });
  pool = new Pool(gateway.dataUrl, { connections: 16 });
}

type Message = { readonly role: string; readonly content: string };

/** Asks as an application does that names no user: system, and all that was said. */
async function ask(said: readonly Message[]): Promise<string> {
  const { body, headers } = await pool.request({
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json' },
    body: bodyOf(said),
  });
  await body.dump();
  return String(headers['x-cutover-provider']);
}

function bodyOf(said: readonly Message[]): string {
  const system = { role: 'system', content: 'You are the assistant of a shop.' };
  return JSON.stringify({ model: MODEL, messages: [system, ...said] });
}

function turns(opening: string, count: number): Message[] {
  const said: Message[] = [{ role: 'user', content: opening }];
  for (let turn = 1; turn < count; turn += 1) {
    said.push(
      { role: 'assistant', content: `answer ${turn}` },
      { role: 'user', content: `question ${turn}` },
    );
  }
  return said;
}

const CONVERSATIONS = 1_000;
const opened = Array.from({ length: CONVERSATIONS }, (_, at) => `Where is order ${at}?`);

/** All conversations go on for five turns; who served them. */
async function five(from: number): Promise<string[][]> {
  const served: string[][] = opened.map(() => []);
  const rest = opened.keys();
  const speak = async () => {
    for (const at of rest) {
      const opening = opened[at] as string;
      for (let turn = from; turn < from + 5; turn += 1) served[at]?.push(await ask(turns(opening, turn)));
    }
  };
  await Promise.all(Array.from({ length: 16 }, speak));
  return served;
}

function bucketOf(opening: string): number {
  const raw = Buffer.from(bodyOf(turns(opening, 1)));
  const facts = readFacts(raw);
  if (facts?.opening == null) throw new Error('expected a conversation that begins');
  return digestBucket(assignmentDigest('salt', openingKey(raw, facts.opening) ?? ''));
}

it('keeps each of 1,000 conversations without a key at its provider while the share only rises', async () => {
  await start();
  const shares = [0, 0.1, 0.5, 1];
  const served: string[][][] = [];
  const perBucket = new Map<number, number>();
  for (const opening of opened) {
    const bucket = bucketOf(opening);
    perBucket.set(bucket, (perBucket.get(bucket) ?? 0) + 5);
  }
  for (const [place, share] of shares.entries()) {
    await gateway.route(share);
    served.push(await five(1 + 5 * place));
    const evidence = gateway.routes.get(ROUTE)?.evidence.read(place + 1).evidence;
    const counted = new Map<number, number>();
    for (const arm of ['legacy', 'candidate'] as const) {
      for (const [bucket, requests] of evidence?.buckets[arm] ?? []) {
        counted.set(bucket, (counted.get(bucket) ?? 0) + requests);
      }
    }
    // Each conversation is in one cluster, the same in all stages.
    expect(counted).toEqual(perBucket);
  }
  const moved = served.map((stage) => stage.map((providers) => new Set(providers)));
  expect(moved.flat().filter(({ size }) => size !== 1)).toEqual([]);
  const atCandidate = moved.map((stage) => stage.map((providers) => providers.has('new')));
  expect(atCandidate.map((stage) => stage.filter(Boolean).length / CONVERSATIONS)).toEqual([
    0,
    expect.closeTo(0.1, 1),
    expect.closeTo(0.5, 1),
    1,
  ]);
  for (let stage = 1; stage < shares.length; stage += 1) {
    const back = opened.filter((_, at) => atCandidate[stage - 1]?.[at] && !atCandidate[stage]?.[at]);
    expect(back).toEqual([]);
  }
  expect(gateway.routes.get(ROUTE)?.state.status().keys).toMatchObject({
    distinct: CONVERSATIONS,
    openings: { keyed: 20 * CONVERSATIONS, shared: 0 },
  });
}, 300_000);

it('draws requests one by one whose opening more than 1% share', async () => {
  await start();
  await gateway.route(0.5);
  const served = new Set<string>();
  for (let at = 0; at < 60; at += 1) served.add(await ask(turns('Hello', 1)));
  expect([...served].sort()).toEqual(['new', 'old']);
  const { keys } = gateway.routes.get(ROUTE)?.state.status() ?? {};
  expect(keys).toMatchObject({ distinct: 1, keyedRequests: 9, openings: { keyed: 9, shared: 51 } });
});

it.each([
  ['openingKeys: false', { openingKeys: false }, {}],
  ['stickyKey: none', { openingKeys: true }, { stickyKey: 'none' as const }],
  ['stickyKey: header, where it is off by default', {}, { stickyKey: 'header:x-user' as const }],
])('goes by no opening with %s', async (_what, route, record) => {
  await start(route);
  await gateway.route(0.5, record);
  for (let turn = 1; turn < 5; turn += 1) await ask(turns('Hello', turn));
  expect(gateway.routes.get(ROUTE)?.state.status().keys).toMatchObject({
    ...{ distinct: 0, keyedRequests: 0 },
    openings: { keyed: 0, shared: 0 },
  });
});

it('goes by the opening behind a header too where that is asked for, and by the caller first', async () => {
  await start({ openingKeys: true });
  await gateway.route(0.5, { stickyKey: 'header:x-user' });
  for (let turn = 1; turn < 5; turn += 1) await ask(turns('Hello', turn));
  await pool.request({
    ...{ method: 'POST', path: '/v1/chat/completions', body: bodyOf(turns('Hello', 1)) },
    headers: { 'content-type': 'application/json', 'x-user': 'ana' },
  });
  expect(gateway.routes.get(ROUTE)?.state.status().keys).toMatchObject({
    ...{ distinct: 2, keyedRequests: 5 },
    openings: { keyed: 4, shared: 0 },
  });
});
