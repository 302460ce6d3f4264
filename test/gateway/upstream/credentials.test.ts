import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readPrintedKey } from '../../../src/core/access/credential-answer';
import { Credentials } from '../../../src/gateway/upstream/credentials';
import { ADMIN_TOKEN, ASK, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { keyProvider } from '../../support/providers/key-provider';

const provider = keyProvider();
const { accepted, seen } = provider;
let folder: string;
let gateway: TestGateway | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cutover-credentials-'));
  print('sk-first-0001');
  provider.takeOnly('sk-first-0001');
});
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  rmSync(folder, { recursive: true });
});

/** What the command prints from now on. */
function print(text: string): void {
  writeFileSync(join(folder, 'new'), text);
  renameSync(join(folder, 'new'), join(folder, 'key'));
}

async function start(command: readonly string[] = ['cat', join(folder, 'key')], timeout = '10s') {
  gateway = await startTestGateway({
    legacyUrl: provider.url,
    candidateUrl: provider.url,
    legacy: { auth: { bearer: 'credential:entra' } },
    configuration: { credentials: { entra: { command, lifetime: '1s', timeout } } },
  });
  return gateway;
}

async function ask(): Promise<string | null> {
  const { choices } = await (gateway as TestGateway).client().chat.completions.create(ASK);
  return choices[0]?.message.content ?? null;
}

async function askUntil(reached: () => boolean): Promise<void> {
  while (!reached()) {
    await ask();
    await sleep(5);
  }
}

async function metric(name: string): Promise<number> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const text = await (await fetch(`${gateway?.adminUrl}/metrics`, { headers })).text();
  return Number(new RegExp(`^${name}\\{[^}]*credential="entra"[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
}

it('takes a new key ahead of the end of the last, fails no request under load, and shows neither key', async () => {
  await start();
  await ask();
  for (const next of ['sk-second-0002', 'sk-third-0003']) {
    const former = [...accepted];
    accepted.add(`Bearer ${next}`);
    print(`{"accessToken":"${next}","expires_in":3600}`);
    await askUntil(() => seen.has(`Bearer ${next}`));
    // The former one has expired.
    for (const key of former) accepted.delete(key);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask()));
    expect(new Set(answers)).toEqual(new Set([`Hello Bearer ${'*'.repeat(next.length)}`]));
  }
  expect(JSON.stringify(gateway?.log)).not.toContain('sk-');
});

it('keeps the last good key while refreshes fail, says so before it expires, and goes on with the next', async () => {
  await start();
  rmSync(join(folder, 'key'));
  const said = () =>
    (gateway as TestGateway).log.map(({ msg }) => String(msg)).filter((msg) => msg.includes('entra'));
  await askUntil(() => said().some((msg) => msg.includes('has expired')));
  expect(said()[0]).toMatch(
    /^credentials\.entra\.command: expected a new key, but it ended with exit code 1; the last one stays in use and expires in \d+ ms$/,
  );
  expect(await metric('cutover_credential_failures_total')).toBeGreaterThanOrEqual(2);
  expect(await metric('cutover_credential_expires_seconds')).toBeLessThanOrEqual(0);
  expect(seen).toEqual(new Set(['Bearer sk-first-0001']));
  accepted.add('Bearer sk-second-0002');
  print('sk-second-0002');
  await askUntil(() => seen.has('Bearer sk-second-0002'));
  expect(said().at(-1)).toMatch(/^credentials\.entra: a new key is in use after \d+ failed runs$/);
});

it.each([
  ['prints nothing', ['true'], 'it printed nothing'],
  ['fails', ['sh', '-c', 'echo sk-leaked-0001; exit 3'], 'it ended with exit code 3'],
  ['is not there', ['/nowhere/az'], 'it cannot be started: ENOENT'],
  ['prints two lines', ['printf', 'sk-leaked-0001\\nmore'], 'it printed characters that no header can carry'],
  ['prints too much', ['sh', '-c', 'yes sk-leaked-0001'], 'it printed more than 65536 bytes'],
])(
  'does not start with a command that %s, and says why without what it printed',
  async (_what, command, problem) => {
    const error = await start(command).then(
      () => null,
      (thrown: Error) => thrown,
    );
    expect(error?.message).toBe(
      `credentials.entra.command: expected a key, but ${problem}; run it by hand to see why`,
    );
  },
);

it('kills a command that hangs, with what it has started', async () => {
  const child = join(folder, 'child');
  const script = `(sleep 2; touch ${child}) & wait`;
  await expect(start(['sh', '-c', script], '100ms')).rejects.toThrow('it printed no key within 100 ms');
  await sleep(2_500);
  expect(existsSync(child)).toBe(false);
});

it('stops its commands with the gateway', async () => {
  const credentials = await Credentials.open({
    configured: { entra: { command: ['cat', join(folder, 'key')], lifetime: 1_000, timeout: 10_000 } },
    now: () => performance.now(),
    warn: () => {},
  });
  const used: string[] = [];
  credentials.follow((_reference, key) => used.push(key));
  credentials.stop();
  print('sk-second-0002');
  await sleep(1_500);
  expect(used).toEqual([]);
});

describe('what a command prints', () => {
  const NOW = Date.UTC(2026, 10, 29);
  const read = (value: unknown) =>
    readPrintedKey(typeof value === 'string' ? value : JSON.stringify(value), 3_000_000, NOW);
  it.each([
    ['the key alone', 'sk-1\n', 3_000_000],
    ['as gcloud does', { access_token: 'sk-1', expires_in: 600 }, 600_000],
    ['as az does', { accessToken: 'sk-1', expires_on: NOW / 1_000 + 90, expiresOn: 'local time' }, 90_000],
    ['with a date', { token: 'sk-1', expiresAt: '2026-11-29T00:01:00Z' }, 60_000],
    ['valid for longer than its lifetime', { token: 'sk-1', expires_in: 86_400 }, 3_000_000],
    ['with an expiry that is no number', { token: 'sk-1', expires_in: 'soon' }, 3_000_000],
  ])('is read %s', (_what, printed, validForMs) => {
    expect(read(printed)).toEqual({ key: 'sk-1', validForMs });
  });

  it.each([
    [{ token: 'sk-1', expires_in: 0 }, 'it printed a key that has expired'],
    [{ key: 'sk-1' }, 'it printed JSON without access_token, accessToken, token'],
    [{ token: 'sk\n1' }, 'it printed a key that no header can carry'],
    ['{"token":"sk-1"', 'it printed JSON that cannot be parsed'],
  ])('is refused: %j', (printed, problem) => {
    expect(read(printed)).toBe(problem);
  });
});
