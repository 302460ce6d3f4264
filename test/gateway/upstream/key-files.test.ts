import { createHash } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveSecret } from '../../../src/config';
import { openProviders } from '../../../src/gateway/routing/route';
import type { Provider } from '../../../src/gateway/upstream/provider';
import { ADMIN_TOKEN, ASK, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { keyProvider } from '../../support/providers/key-provider';

const provider = keyProvider();
const { accepted, seen } = provider;
let folder: string;
let gateway: TestGateway;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cutover-keys-'));
  write('provider', 'sk-first-0001\n');
  write('team', 'sk-team-0001\n');
  provider.takeOnly('sk-first-0001', 'sk-team-0001');
  gateway = await startTestGateway({
    legacyUrl: provider.url,
    candidateUrl: provider.url,
    legacy: { auth: { bearer: reference('provider') } },
    configuration: {
      callers: [
        { team: 'web', keySha256: digest('web-key') },
        { team: 'own', keySha256: digest('own-key'), keys: { old: reference('team') } },
      ],
    },
    options: { resolveSecret: resolveSecretOfTests },
  });
});

afterEach(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

const resolveSecretOfTests = (of: string) => (of.startsWith('file:') ? resolveSecret(of) : ADMIN_TOKEN);
const reference = (name: string) => `file:${join(folder, name)}`;
const digest = (key: string) => createHash('sha256').update(key).digest('hex');

/** In one step, as secret stores replace files. */
function write(name: string, text: string): void {
  const path = join(folder, name);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

async function ask(callersKey: string): Promise<string | null> {
  const client = gateway.client().withOptions({ apiKey: callersKey });
  const { choices } = await client.chat.completions.create(ASK);
  return choices[0]?.message.content ?? null;
}

async function askUntilSeen(callersKey: string, key: string): Promise<void> {
  while (!seen.has(`Bearer ${key}`)) {
    await ask(callersKey);
    await sleep(5);
  }
}

it.each([
  ['provider', 'web-key', 'sk-second-0002'],
  ['team', 'own-key', 'sk-team-0002'],
])(
  'takes a new key of the %s under load, fails no request, and shows neither key',
  async (name, callersKey, next) => {
    const former = name === 'provider' ? 'sk-first-0001' : 'sk-team-0001';
    await ask(callersKey);
    accepted.add(`Bearer ${next}`);
    write(name, `${next}\n`);
    await askUntilSeen(callersKey, next);
    accepted.delete(`Bearer ${former}`);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(callersKey)));
    expect(new Set(answers)).toEqual(new Set([`Hello Bearer ${'*'.repeat(next.length)}`]));
  },
);

it.each([
  ['an empty file', '\n', 'the file is empty'],
  ['two lines', 'sk-one\nsk-two', 'the file holds characters that no header can carry'],
])('keeps the last good key and says why where it finds %s', async (_what, text, problem) => {
  write('provider', text);
  const said = () => gateway.log.filter(({ msg }) => String(msg).includes(problem));
  while (said().length === 0) {
    await ask('web-key');
    await sleep(20);
  }
  expect(said()).toMatchObject([
    { msg: `expected a key at ${reference('provider')}, but ${problem}; the last good one stays in use` },
  ]);
  expect(JSON.stringify(gateway.log)).not.toContain('sk-');
  expect(seen).toEqual(new Set(['Bearer sk-first-0001']));

  write('provider', 'sk-first-0002\n');
  accepted.add('Bearer sk-first-0002');
  await askUntilSeen('web-key', 'sk-first-0002');
});

it('hides the key in use however often a caller has changed its own', () => {
  const old = openProviders(gateway.configuration, resolveSecretOfTests).get('old') as Provider;
  const shown = (key: string) => old.keys.redactHeader(`key ${key}`);
  for (let number = 2; number <= 30; number += 1) old.useKey(reference('team'), `sk-team-00${number}-end`);
  for (const key of ['sk-first-0001', 'sk-team-0030-end', 'sk-team-0029-end']) {
    expect(shown(key)).toBe(`key ${'*'.repeat(key.length)}`);
  }
});
