import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { request } from 'undici';
import type { OutcomeCounts } from '../../../src/core/evidence/outcome-counts';
import { assign, position } from '../../../src/core/routing/assignment';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import {
  MODEL,
  ROUTE,
  type TestGateway,
  type TestGatewayOptions,
} from '../../support/gateways/running-gateway';

const KEY = 'the-same-at-every-gateway-of-the-group';
const ROOT = join(__dirname, '..', '..', '..');
const root = temporaryDirectory();
const trial = gatewayTrial();
const { legacy, candidate } = trial;

async function start(
  options: Partial<TestGatewayOptions> = {},
  share: number | null = 0.5,
): Promise<TestGateway> {
  const gateway = await trial.start({
    ...options,
    settings: { outcomes: { key: 'env:OUTCOMES' }, ...options.settings },
    secrets: { 'env:OUTCOMES': KEY, ...options.secrets },
  });
  if (share !== null) await gateway.route(share);
  return gateway;
}

const stateIn = () => ({ stateDirectory: mkdtempSync(join(root, 'state-')) });

/** Asks as a user; the token of the answer, and who is meant to serve. */
async function ask(gateway: TestGateway, user: string, path = '/v1'): Promise<string> {
  const { response } = await gateway
    .client(path)
    .chat.completions.create({ model: MODEL, user, messages: [{ role: 'user', content: 'Hello?' }] })
    .withResponse();
  return response.headers.get('x-cutover-request') ?? '';
}

interface Answer {
  readonly status: number;
  readonly body: { received?: number; error?: { message: string; code: string } };
}

async function report(
  gateway: TestGateway,
  outcomes: unknown,
  { path = '/v1/outcomes', key = 'a-callers-key', method = 'POST' as 'POST' | 'GET' } = {},
): Promise<Answer> {
  const answer = await request(`${gateway.dataUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}` },
    ...(method === 'GET' ? {} : { body: typeof outcomes === 'string' ? outcomes : JSON.stringify(outcomes) }),
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as Answer['body'] };
}

/** What the gateway counted under the current epoch, or another. */
function counted(gateway: TestGateway, epoch?: number): readonly OutcomeCounts[] {
  const held = gateway.routes.get(ROUTE);
  return held?.evidence.peek(epoch ?? held.state.epoch).evidence.outcomes ?? [];
}

/** Booleans of both arms under a name: how many, how many true. */
function booleans(gateway: TestGateway, name = 'solved', epoch?: number) {
  const found = counted(gateway, epoch).find((each) => each.name === name);
  return [found?.legacy.booleans ?? [0, 0], found?.candidate.booleans ?? [0, 0]];
}

const results = (gateway: TestGateway) => gateway.routes.get(ROUTE)?.outcomes.results;

/** A user whom the salt of the tests draws to a side at share 0.5. */
function userAt(arm: 'legacy' | 'candidate', from = 0): string {
  for (let number = from; ; number += 1) {
    if (assign('salt', `user-${number}`, 0.5) === arm) return `user-${number}`;
  }
}

it('counts what is said of an answer in the arm that its request was drawn into', async () => {
  const gateway = await start();
  const tokens = {
    legacy: await ask(gateway, userAt('legacy')),
    candidate: await ask(gateway, userAt('candidate')),
  };
  expect(tokens.legacy).not.toBe(tokens.candidate);
  const answer = await report(gateway, [
    { request: tokens.legacy, name: 'solved', value: true },
    { request: tokens.candidate, name: 'solved', value: false },
    { request: tokens.candidate, name: 'stars', value: 0.8 },
  ]);
  expect(answer).toEqual({ status: 200, body: { received: 3 } });
  expect(booleans(gateway)).toEqual([
    [1, 1],
    [1, 0],
  ]);
  const stars = counted(gateway).find(({ name }) => name === 'stars');
  expect(stars?.candidate.numbers).toEqual([[16, 1]]);
  expect(stars?.legacy.numbers).toEqual([]);
});

it('gives a token with every answer to a randomised request: streamed, failed over, and refused ones as well', async () => {
  const gateway = await start();
  const user = userAt('candidate');
  const streamed = await request(`${gateway.dataUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, user, stream: true, messages: [] }),
  });
  await streamed.body.dump();
  candidate.fault = ({ response }) => response.writeHead(500).end();
  const rescued = await ask(gateway, user);
  const list = [streamed.headers['x-cutover-request'], rescued].map((token) => ({
    ...{ request: token, name: 'solved', value: true },
  }));
  expect((await report(gateway, list)).status).toBe(200);
  // The arm is what was drawn, whoever answered.
  expect(booleans(gateway)).toEqual([
    [0, 0],
    [2, 2],
  ]);
  const files = await request(`${gateway.dataUrl}/v1/files`);
  await files.body.dump();
  expect(files.headers['x-cutover-request']).toBeUndefined();
});

it('counts one outcome of a request and a name once, however often and in whichever list it comes', async () => {
  const gateway = await start();
  const token = await ask(gateway, userAt('candidate'));
  const solved = { request: token, name: 'solved', value: true };
  await report(gateway, [solved, solved]);
  await report(gateway, { ...solved, value: false });
  await report(gateway, { ...solved, name: 'copied' });
  expect(booleans(gateway)).toEqual([
    [0, 0],
    [1, 1],
  ]);
  expect(booleans(gateway, 'copied')[1]).toEqual([1, 1]);
  expect(results(gateway)).toMatchObject({ counted: 2, duplicate: 2 });
});

it('counts an outcome at another gateway of the group, which has no table of it', async () => {
  const [one, other] = [await start(), await start()];
  const token = await ask(one, userAt('candidate'));
  expect((await report(other, { request: token, name: 'solved', value: true })).status).toBe(200);
  expect(booleans(one)).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect(booleans(other)[1]).toEqual([1, 1]);
});

it('takes no outcome twice over a restart of the gateway that counted it', async () => {
  const settings = stateIn();
  const before = await start({ settings });
  const [first, second] = [await ask(before, userAt('candidate')), await ask(before, userAt('candidate'))];
  await report(before, { request: first, name: 'solved', value: true });
  await before.stop();
  const after = await start({ settings }, null);
  const again = [first, second].map((token) => ({ request: token, name: 'solved', value: true }));
  expect((await report(after, again)).body).toEqual({ received: 2 });
  expect(booleans(after, 'solved', 1)[1]).toEqual([1, 1]);
  expect(results(after)).toMatchObject({ counted: 1, duplicate: 1 });
});

it('reads what it has counted from a file whose last entry was cut short', async () => {
  const settings = stateIn();
  const before = await start({ settings });
  const tokens = [];
  for (let index = 0; index < 3; index += 1) tokens.push(await ask(before, userAt('candidate')));
  const list = tokens.map((token) => ({ request: token, name: 'solved', value: true }));
  await report(before, list);
  await before.stop();
  truncateSync(join(settings.stateDirectory, `${ROUTE}.outcomes.1`), 20);
  const after = await start({ settings }, null);
  await report(after, list);
  expect(results(after)).toMatchObject({ counted: 1, duplicate: 2 });
  await after.stop();
  const last = await start({ settings }, null);
  await report(last, list);
  expect(results(last)).toMatchObject({ counted: 0, duplicate: 3 });
});

it('counts nothing that the disk does not keep, and says so once', async () => {
  const settings = stateIn();
  const gateway = await start({ settings });
  const [one, other] = [await ask(gateway, userAt('candidate')), await ask(gateway, userAt('candidate'))];
  // A folder stands where the file would be: root may write whatever a mode says.
  const file = join(settings.stateDirectory, `${ROUTE}.outcomes.1`);
  mkdirSync(file);
  await report(gateway, { request: one, name: 'solved', value: true });
  await report(gateway, { request: one, name: 'solved', value: true });
  expect(booleans(gateway)[1]).toEqual([0, 0]);
  const warnings = gateway.log.filter(({ msg }) => String(msg).includes('Outcomes are not counted'));
  expect(warnings).toHaveLength(1);
  rmdirSync(file);
  await report(gateway, { request: other, name: 'solved', value: true });
  expect(booleans(gateway)[1]).toEqual([1, 1]);
});

it('counts a late outcome under the epoch of its request', async () => {
  const gateway = await start();
  const token = await ask(gateway, userAt('candidate'));
  await gateway.route(0.6);
  await report(gateway, { request: token, name: 'solved', value: true });
  expect(booleans(gateway, 'solved', 1)[1]).toEqual([1, 1]);
  expect(booleans(gateway, 'solved', 2)[1]).toEqual([0, 0]);
});

it('drops an outcome of an epoch before the last four, and says how many there were', async () => {
  const gateway = await start();
  const token = await ask(gateway, userAt('candidate'));
  const kept: string[] = [];
  for (const share of [0.5, 0.6, 0.7, 0.8, 0.9]) {
    await gateway.route(share);
    const recent = await ask(gateway, 'somebody');
    await report(gateway, { request: recent, name: 'solved', value: true });
    kept.push(recent);
  }
  await report(gateway, { request: token, name: 'solved', value: true });
  expect(results(gateway)).toMatchObject({ counted: 5, dropped: 1 });
  // What came too late makes none of the last four forget what it has counted.
  await report(
    gateway,
    kept.slice(-4).map((each) => ({ request: each, name: 'solved', value: true })),
  );
  expect(results(gateway)).toMatchObject({ counted: 5, duplicate: 4, dropped: 1 });
});

it('reads the arm of a key as requests of that key are drawn', async () => {
  const gateway = await start();
  const keys = Array.from({ length: 40 }, (_, index) => `user-${index}`);
  await report(
    gateway,
    keys.map((key) => ({ key, name: 'solved', value: true })),
  );
  const moved = keys.filter((key) => position('salt', key) < 0.5).length;
  expect(booleans(gateway)).toEqual([
    [40 - moved, 40 - moved],
    [moved, moved],
  ]);
  // A key has many answers: it may be named again.
  await report(gateway, { key: userAt('candidate'), name: 'solved', value: false });
  expect(booleans(gateway)[1]).toEqual([moved + 1, moved]);
});

it('counts nothing in an arm while requests are not drawn at the share that was asked for', async () => {
  const gateway = await start();
  await gateway.routes.get(ROUTE)?.state.kill({ by: 'ada', reason: 'a test', at: '' });
  const token = await ask(gateway, userAt('candidate'));
  expect(token).not.toBe('');
  const answer = await report(gateway, [
    { request: token, name: 'solved', value: true },
    { key: userAt('candidate'), name: 'solved', value: true },
  ]);
  expect(answer.body).toEqual({ received: 2 });
  expect(counted(gateway)).toEqual([]);
  expect(results(gateway)).toMatchObject({ unassigned: 2 });
});

it('gives a reader with a cursor only what came after it', async () => {
  const gateway = await start();
  const evidence = gateway.routes.get(ROUTE)?.evidence;
  const user = userAt('candidate');
  const tokens = [await ask(gateway, user), await ask(gateway, user)];
  await report(gateway, { request: tokens[0], name: 'solved', value: true });
  const first = evidence?.read(1);
  await report(gateway, { request: tokens[1], name: 'solved', value: false });
  const later = evidence?.read(1, first?.cursor);
  expect(first?.evidence.outcomes?.[0]?.candidate.booleans).toEqual([1, 1]);
  expect(later?.evidence.outcomes?.[0]?.candidate).toMatchObject({ booleans: [1, 0], numbers: [] });
  expect(evidence?.read(1, later?.cursor).evidence.outcomes).toBeUndefined();
});

it('rounds numbers to the grid so that their mean stays what it was', async () => {
  const gateway = await start({}, 0.5);
  const list = Array.from({ length: 1_000 }, () => ({
    key: userAt('candidate'),
    name: 'stars',
    value: 0.713,
  }));
  for (let turn = 0; turn < 5; turn += 1) await report(gateway, list);
  const numbers = counted(gateway)[0]?.candidate.numbers ?? [];
  const mean = numbers.reduce((sum, [steps, count]) => sum + steps * count, 0) / 20 / 5_000;
  expect(numbers.map(([steps]) => steps)).toEqual([14, 15]);
  // Four standard errors; the nearest step would give 0.7.
  expect(Math.abs(mean - 0.713)).toBeLessThan(0.0013);
});

describe('refuses with one clear error, and counts nothing of the list,', () => {
  const good = (token: string) => ({ request: token, name: 'solved', value: true });

  it.each<readonly [string, (token: string) => unknown, string]>([
    [
      'a value of 7',
      (token) => [good(token), { ...good(token), value: 7 }],
      '[1].value: expected true, false or a number from 0 to 1, got 7',
    ],
    [
      'NaN, as Python writes it',
      (token) => `[${JSON.stringify(good(token))}, {"request": "${token}", "name": "solved", "value": NaN}]`,
      '[1].value: expected true, false or a number from 0 to 1, got "NaN"',
    ],
    [
      'a value below 0',
      (token) => ({ ...good(token), value: -0.1 }),
      'value: expected true, false or a number from 0 to 1, got -0.1',
    ],
    [
      'a text as value',
      (token) => ({ ...good(token), value: 'yes' }),
      'value: expected true, false or a number from 0 to 1, got "yes"',
    ],
    [
      'no name',
      (token) => [good(token), { request: token, value: true }],
      '[1].name: expected a name of a-z, 0-9, dot, dash and underscore, at most 63 long, got nothing',
    ],
    ['a name with spaces', (token) => ({ ...good(token), name: 'was it good' }), 'name: expected a name of'],
    ['a name that is a trap', (token) => ({ ...good(token), name: '__proto__' }), 'name: expected a name of'],
    [
      'neither request nor key',
      () => ({ name: 'solved', value: true }),
      'request: expected the x-cutover-request of an answer, or a key in its place, got neither',
    ],
    ['both request and key', (token) => ({ ...good(token), key: 'ana' }), 'got both'],
    ['an empty key', () => ({ key: '', name: 'solved', value: true }), 'key: expected the key of assignment'],
    [
      'another field',
      (token) => ({ ...good(token), note: 'thanks' }),
      'note: expected request or key, name and value, and nothing else',
    ],
    [
      'a token that was cut short',
      (token) => [good(token), good(token.slice(0, -3))],
      '[1].request: expected the x-cutover-request of an answer, unchanged',
    ],
    [
      'a token of which a letter was changed',
      (token) => good(`${token.startsWith('M') ? 'N' : 'M'}${token.slice(1)}`),
      'request: expected the x-cutover-request of an answer, unchanged',
    ],
    [
      'a token of another group',
      () => good('Y3V0b3Zlcg.AAAAAAAAAAAAAAAAAAAAAA'),
      'request: expected the x-cutover-request of an answer, unchanged',
    ],
    [
      'a token of a megabyte',
      () => good('a'.repeat(900_000)),
      'request: expected the x-cutover-request of an answer, got "aaa',
    ],
    [
      'an element that is not an object',
      (token) => [good(token), null],
      '[1]: expected an object with request or key, name and value, got null',
    ],
    [
      'a text that is not JSON',
      () => 'solved=1',
      'expected one outcome or a list of them as JSON, got something else',
    ],
    [
      '10,000 in a list',
      () => Array.from({ length: 10_000 }, () => ({ key: 'a', name: 'b', value: 1 })),
      'expected at most 1000 outcomes in a list, got 10000',
    ],
  ])('%s', async (_, sent, message) => {
    const gateway = await start();
    const token = await ask(gateway, userAt('candidate'));
    const { status, body } = await report(gateway, sent(token));
    expect({ status, code: body.error?.code }).toEqual({ status: 400, code: 'bad_outcome' });
    expect(body.error?.message).toContain(message);
    expect(counted(gateway)).toEqual([]);
    expect(results(gateway)).toMatchObject({ counted: 0, duplicate: 0, refused: 1 });
  });

  it('more than a megabyte', async () => {
    const gateway = await start();
    const { status, body } = await report(gateway, ' '.repeat(1_048_577));
    expect([status, body.error?.message]).toEqual([
      413,
      'expected at most 1000 outcomes in at most 1048576 bytes, got more',
    ]);
  });

  it('a token of another route, and names where it belongs', async () => {
    const routes = {
      chat: { legacy: 'old', candidate: 'new', models: { [MODEL]: MODEL } },
      mail: { legacy: 'old', candidate: 'new', models: { [MODEL]: MODEL } },
    };
    const gateway = await start({ configuration: { routes } });
    const token = await ask(gateway, 'ana', '/routes/mail/v1');
    const { status, body } = await report(gateway, good(token));
    expect(status).toBe(400);
    expect(body.error?.message).toContain('post it to /routes/mail/v1/outcomes');
    expect((await report(gateway, good(token), { path: '/routes/mail/v1/outcomes' })).status).toBe(200);
  });

  it('names beyond the 32 that are in use', async () => {
    const gateway = await start();
    const key = userAt('candidate');
    const named = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) => ({ key, name: `name-${from + index}`, value: true }));
    expect((await report(gateway, named(0, 31))).status).toBe(200);
    const { status, body } = await report(gateway, named(30, 3));
    expect(status).toBe(400);
    expect(body.error?.message).toContain('[2].name: expected one of the names in use');
    expect((await report(gateway, named(30, 2))).status).toBe(200);
    expect(counted(gateway)).toHaveLength(32);
  });

  it.each([
    [{ stickyKey: 'none' as const }, 'stickyKey: none'],
    [{ newConversationsOnly: true }, 'newConversationsOnly'],
  ])('a key on a route where it says no arm: %j', async (record, why) => {
    const gateway = await start({}, null);
    await gateway.route(0.5, record);
    const { status, body } = await report(gateway, { key: 'ana', name: 'solved', value: true });
    expect(status).toBe(400);
    expect(body.error?.message).toContain(why);
  });
});

it('says what to configure where no key is configured, and passes nothing on', async () => {
  const gateway = await start({ settings: { outcomes: undefined } });
  expect(await ask(gateway, 'ana')).toBe('');
  const asked = legacy.bodies.length + candidate.bodies.length;
  const { status, body } = await report(gateway, { key: 'ana', name: 'solved', value: true });
  expect(status).toBe(501);
  expect(body.error?.message).toContain('gateway.outcomes');
  expect(body.error?.message).toContain('the same for all gateways');
  expect(legacy.bodies.length + candidate.bodies.length).toBe(asked);
});

it('reads tokens that an earlier key has signed, and signs with the new one', async () => {
  const before = await start();
  const token = await ask(before, userAt('candidate'));
  const rotated = await start({
    settings: { outcomes: { key: 'env:NEW', oldKeys: ['env:OUTCOMES'] } },
    secrets: { 'env:NEW': 'another-key-that-is-long-enough-for-it' },
  });
  const fresh = await ask(rotated, userAt('candidate'));
  const list = [token, fresh].map((each) => ({ request: each, name: 'solved', value: true }));
  expect((await report(rotated, list)).status).toBe(200);
  expect((await report(before, { request: fresh, name: 'solved', value: true })).status).toBe(400);
});

it('does not start with a key that could be guessed, and does not show it', async () => {
  const secrets = { 'env:OUTCOMES': 'short' };
  await expect(start({ secrets })).rejects.toThrow(
    'at least 32 characters at env:OUTCOMES, got a shorter one',
  );
});

it('knows its callers and keeps to their limits', async () => {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const callers = [{ team: 'app', keySha256: sha256('app-key'), limits: { requestsPerMinute: 2 } }];
  const gateway = await start({ configuration: { callers } });
  const outcome = { key: userAt('candidate'), name: 'solved', value: true };
  expect((await report(gateway, outcome, { key: 'stranger' })).status).toBe(401);
  expect((await report(gateway, outcome, { key: 'app-key' })).status).toBe(200);
  expect((await report(gateway, { ...outcome, value: 7 }, { key: 'app-key' })).status).toBe(400);
  expect((await report(gateway, outcome, { key: 'app-key' })).status).toBe(429);
  expect(booleans(gateway)[1]).toEqual([1, 1]);
});

it('takes outcomes by POST alone', async () => {
  const gateway = await start();
  const { status, body } = await report(gateway, null, { method: 'GET' });
  expect([status, body.error?.message]).toEqual([405, 'expected POST for outcomes, got GET']);
});

it('is reported to by the lines of Node that the documentation shows', async () => {
  const gateway = await start();
  const text = readFileSync(join(ROOT, 'docs', 'outcomes.md'), 'utf8');
  const lines = /^```js\n([\s\S]*?)^```/m.exec(text)?.[1] ?? '';
  expect(lines.trimEnd().split('\n')).toHaveLength(5);
  const script = lines.replaceAll('http://127.0.0.1:8080', gateway.dataUrl);
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { cwd: ROOT });
  expect(results(gateway)).toMatchObject({ counted: 1, refused: 0 });
});
