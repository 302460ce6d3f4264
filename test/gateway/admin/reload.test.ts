import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfiguration } from '../../../src/config';
import { configurationSchema } from '../../../src/core/configuration/configuration-schema';
import { configurationChange } from '../../../src/gateway/admin/configuration-change';
import {
  ADMIN_TOKEN,
  ASK,
  MODEL,
  startTestGateway,
  type TestGateway,
} from '../../support/gateways/running-gateway';
import { keyProvider } from '../../support/providers/key-provider';

const digest = (key: string) => createHash('sha256').update(key).digest('hex');

const provider = keyProvider((_value, accepted) => `${[...accepted]}`);
const { accepted, seen } = provider;
let folder: string;
let gateway: TestGateway;
const secrets: Record<string, string> = { 'env:FIRST': 'sk-first-0001', 'env:SECOND': 'sk-second-0002' };

beforeEach(async () => {
  provider.takeOnly('sk-first-0001', 'sk-second-0002');
  folder = mkdtempSync(join(tmpdir(), 'cutover-reload-'));
  write(document());
  gateway = await startTestGateway({
    legacyUrl: provider.url,
    candidateUrl: provider.url,
    options: {
      configuration: loadConfiguration(join(folder, 'cutover.yaml')),
      readConfiguration: () => loadConfiguration(join(folder, 'cutover.yaml')),
      resolveSecret: (reference) => {
        if (reference === 'env:CUTOVER_ADMIN_TOKEN') return ADMIN_TOKEN;
        const secret = secrets[reference];
        if (secret === undefined) throw new Error(`expected a secret at ${reference}, but it is not set`);
        return secret;
      },
    },
  });
});
afterEach(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

interface Said {
  readonly key?: string;
  readonly callers?: readonly object[];
  readonly rest?: object;
  readonly old?: object;
}

function document({ key = 'env:FIRST', callers = [caller('web', 'web-key')], rest, old }: Said = {}): object {
  return {
    providers: {
      old: { baseUrl: provider.url, auth: { bearer: key }, ...old },
      new: { baseUrl: provider.url },
    },
    routes: { chat: { legacy: 'old', candidate: 'new', models: { [MODEL]: MODEL } } },
    gateway: { stateDirectory: join(folder, 'state'), drain: '2s' },
    callers,
    ...rest,
  };
}

function caller(team: string, key: string, rest: object = {}): object {
  return { team, keySha256: digest(key), ...rest };
}

function write(value: object | string): void {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  writeFileSync(join(folder, 'cutover.yaml'), text);
}

async function reload(): Promise<{
  status: number;
  body: { changed?: string[]; error?: { message: string } };
}> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const answer = await fetch(`${gateway.adminUrl}/admin/v1/reload`, { method: 'POST', headers });
  return { status: answer.status, body: (await answer.json()) as { changed?: string[] } };
}

async function ask(callersKey = 'web-key'): Promise<string | null> {
  const client = gateway.client().withOptions({ apiKey: callersKey });
  const { choices } = await client.chat.completions.create(ASK);
  return choices[0]?.message.content ?? null;
}

it('takes other callers and another key of a provider under load, fails no request, and shows no key', async () => {
  let running = true;
  const answers: (string | null)[] = [];
  const load = Array.from({ length: 4 }, async () => {
    while (running) answers.push(await ask());
  });
  await sleep(50);
  write(document({ key: 'env:SECOND', callers: [caller('web', 'web-key'), caller('app', 'app-key')] }));
  expect(await reload()).toEqual({
    status: 200,
    body: { gateway: 'g1', changed: ['providers.old.auth', 'callers'] },
  });
  await ask('app-key');
  while (!seen.has('Bearer sk-second-0002')) await sleep(5);
  const before = answers.length;
  while (answers.length < before + 40) await sleep(5);
  running = false;
  await Promise.all(load);
  const stars = `Bearer ${'*'.repeat(13)}`;
  expect(new Set(answers.slice(before + 8))).toEqual(new Set([`Hello ${stars},Bearer ${'*'.repeat(14)}`]));
  write(document({ key: 'env:SECOND', callers: [caller('app', 'app-key')] }));
  expect(await reload()).toMatchObject({ status: 200, body: { changed: ['callers'] } });
  await expect(ask('web-key')).rejects.toThrow('401');
  await ask('app-key');
  expect(await reload()).toMatchObject({ status: 200, body: { changed: [] } });
  expect(JSON.stringify(gateway.log)).not.toContain('sk-');
});

it.each([
  ['a document that is not valid', () => 'providers: [', /is not valid|YAML|cannot/],
  ['an unknown field', () => document({ rest: { color: 'red' } }), /color/],
  [
    'what only a restart changes',
    () =>
      document({
        callers: [],
        old: { baseUrl: 'http://127.0.0.1:9/v1', timeouts: { connect: '1s' } },
        rest: { routes: { chat: { legacy: 'old', candidate: 'new' } }, adminToken: 'env:OTHER' },
      }),
    'expected no change that needs a restart, got new values of providers.old.baseUrl, providers.old.timeouts.connect, routes.chat.models.gpt-4o, adminToken: restart the gateway with them, or put them back',
  ],
  ['a secret that is not there', () => document({ key: 'env:THIRD' }), 'expected a secret at env:THIRD'],
  [
    "a caller's key that is not there",
    () => document({ callers: [caller('web', 'x', { keys: { old: 'env:THIRD' } })] }),
    'expected a secret at env:THIRD',
  ],
  [
    'a command that prints nothing',
    () =>
      document({
        key: 'credential:entra',
        rest: { credentials: { entra: { command: ['true'], lifetime: '1h' } } },
      }),
    'credentials.entra.command: expected a key, but it printed nothing',
  ],
])('refuses %s, and serves on as before', async (_what, next, message) => {
  write(next());
  const { status, body } = await reload();
  expect(status).toBe(409);
  if (typeof message === 'string') expect(body.error?.message).toContain(message);
  else expect(body.error?.message).toMatch(message);
  expect(gateway.log.some(({ msg }) => String(msg).includes('the previous one stays in use'))).toBe(true);
  await ask();
  expect(seen).toEqual(new Set(['Bearer sk-first-0001']));
});

it('takes a key from a command that was added', async () => {
  accepted.add('Bearer sk-printed-0003');
  const entra = { command: ['echo', 'sk-printed-0003'], lifetime: '1h' };
  write(document({ key: 'credential:entra', rest: { credentials: { entra } } }));
  expect(await reload()).toMatchObject({ status: 200 });
  await ask();
  expect(seen).toEqual(new Set(['Bearer sk-printed-0003']));
});

it('counts what a key has used of its limits on under other limits', async () => {
  const limited = (requestsPerMinute: number) =>
    document({ callers: [caller('web', 'web-key', { limits: { requestsPerMinute } })] });
  write(limited(3));
  await reload();
  for (let number = 0; number < 3; number += 1) await ask();
  await expect(ask()).rejects.toThrow('429');
  write(limited(5));
  await reload();
  await ask();
  await ask();
  await expect(ask()).rejects.toThrow('429');
});

it('answers only who has the token, and only POST', async () => {
  const url = `${gateway.adminUrl}/admin/v1/reload`;
  expect((await fetch(url, { method: 'POST' })).status).toBe(401);
  expect((await fetch(url, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } })).status).toBe(404);
});

it('says which fields another configuration changes, and which of them stay', () => {
  const parse = (said: Said) => configurationSchema.parse(document(said));
  const change = (said: Said) => configurationChange(parse({}), parse(said));
  expect(change({})).toEqual({ changed: [], fixed: [] });
  // What gateways do not serve by.
  expect(change({ rest: { links: {}, effects: {} } })).toEqual({ changed: [], fixed: [] });
  const headers = { 'x-org': 'a' };
  expect(change({ old: { headers, timeouts: { streamIdle: '9s' } } })).toEqual({
    changed: ['providers.old.headers.x-org', 'providers.old.timeouts.streamIdle'],
    fixed: [],
  });
  expect(change({ old: { maxConcurrent: 9 } }).fixed).toEqual(['providers.old.maxConcurrent']);
});
