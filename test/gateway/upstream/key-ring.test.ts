import { KeyRing } from '../../../src/gateway/upstream/key-ring';
import { ASK, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { COMPLETION, type FaultProvider, startFaultProvider } from '../../support/providers/fault-provider';

const KEYS = ['sk-first-0001', 'sk-second-0002', 'sk-third-0003'];

let provider: FaultProvider;
let gateway: TestGateway;
const counts = new Map<string, number>();
/** What a key is answered with; 200 where nothing is said. */
const answers = new Map<string, { status: number; headers?: object }>();

beforeAll(async () => {
  provider = await startFaultProvider(({ response }) => {
    const key = String(response.req.headers.authorization).replace('Bearer ', '');
    counts.set(key, (counts.get(key) ?? 0) + 1);
    const { status, headers } = answers.get(key) ?? { status: 200 };
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(
      status === 200 ? COMPLETION.replace('Hello', `Hello ${KEYS}`) : '{"error":{"message":"no"}}',
    );
  });
});
afterAll(() => provider.stop());

beforeEach(async () => {
  counts.clear();
  answers.clear();
  gateway = await startTestGateway({
    legacyUrl: provider.url,
    candidateUrl: provider.url,
    legacy: { auth: { bearer: 'env:A', others: ['env:B', 'env:C'] } },
    secrets: { 'env:A': 'sk-first-0001', 'env:B': 'sk-second-0002', 'env:C': 'sk-third-0003' },
  });
});
afterEach(() => gateway.stop());

/** Statuses of so many requests, one after the other. */
async function ask(times: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let time = 0; time < times; time += 1) {
    const answer = await fetch(`${gateway.dataUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(ASK),
    });
    const text = await answer.text();
    for (const key of KEYS) expect(text).not.toContain(key);
    statuses.push(answer.status);
  }
  return statuses;
}

it('spreads requests over all keys of a provider, and hides each of them', async () => {
  await ask(30);
  expect(Object.fromEntries(counts)).toEqual({
    'sk-first-0001': 10,
    'sk-second-0002': 10,
    'sk-third-0003': 10,
  });
});

it.each([
  ['was refused', { status: 401 }],
  ['was throttled', { status: 429, headers: { 'retry-after': '30' } }],
])('lets a key rest that %s, and serves on with the others', async (_what, refusal) => {
  answers.set('sk-second-0002', refusal);
  const statuses = await ask(30);
  expect(statuses.filter((status) => status !== 200)).toEqual([refusal.status]);
  expect(counts.get('sk-second-0002')).toBe(1);
});

it('asks with the key that rests for the shortest time where all rest', async () => {
  for (const [index, key] of KEYS.entries()) {
    answers.set(key, { status: 429, headers: { 'retry-after': `${30 - index * 10}` } });
  }
  await ask(3);
  counts.clear();
  answers.clear();
  expect(await ask(2)).toEqual([200, 200]);
  expect(Object.fromEntries(counts)).toEqual({ 'sk-third-0003': 2 });
});

it('takes a key into the turn again once it has rested', () => {
  const ring = new KeyRing(['a', 'b']);
  ring.rest('a', 1_000, 0);
  expect([ring.next(0), ring.next(999), ring.isAwake(0)]).toEqual(['b', 'b', true]);
  expect([ring.next(1_000), ring.next(1_000)]).toEqual(['a', 'b']);
  ring.rest('a', 500, 1_000);
  ring.rest('b', 200, 1_000);
  expect([ring.isAwake(1_000), ring.next(1_000), new KeyRing([]).next(0)]).toEqual([false, 'b', null]);
});
