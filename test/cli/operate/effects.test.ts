import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCli } from '../../support/cli';
import { folderWith } from '../../support/migrations/migration-fixture';
import { type EffectReceiver, startEffectReceiver } from '../../support/servers/effect-receiver';

let receiver: EffectReceiver;
let value: unknown;
let sticks: boolean;

beforeEach(async () => {
  value = false;
  sticks = false;
  receiver = await startEffectReceiver(({ method, url, body }, response) => {
    if (url === '/flags/candidate') {
      if (method === 'PUT' && !(sticks && value === true))
        value = (JSON.parse(body) as { value: unknown }).value;
      response.end(JSON.stringify({ value }));
    } else if (url === '/ask') response.end('{"answer":"no","note":"freeze until Monday"}');
    else response.end('ok');
  });
});

afterEach(() => receiver.stop());

async function cutover(...args: readonly string[]) {
  const limits = { allowPrivate: true, allowHttp: true };
  const folder = folderWith({
    'cutover.yaml': JSON.stringify({
      providers: { old: { baseUrl: 'http://127.0.0.1:9/v1' }, new: { baseUrl: 'http://127.0.0.1:9/v1' } },
      routes: { chat: { legacy: 'old', candidate: 'new' } },
      effects: {
        channel: { type: 'slack', url: 'env:HOOK', ...limits },
        flags: {
          type: 'flag',
          get: { url: `${receiver.url}/flags/{{flag}}`, value: '/value' },
          set: { url: `${receiver.url}/flags/{{flag}}`, body: { value: '{{value}}' } },
          ...limits,
        },
        board: { type: 'confirm', url: `${receiver.url}/ask`, secret: 'env:SECRET', ...limits },
        inside: { type: 'webhook', url: 'https://127.0.0.1:1/', secret: 'env:SECRET' },
      },
    }),
    'plan.yaml': JSON.stringify({ route: 'chat', notify: [{ name: 'chanel' }] }),
  });
  const env = {
    HOOK: `${receiver.url}/hook-canary`,
    SECRET: 'signing-canary-of-16-bytes',
    XDG_CACHE_HOME: folder,
  };
  const result = await runCli(args, { cwd: folder, env });
  await rm(folder, { recursive: true });
  expect(`${result.stdout}${result.stderr}`).not.toContain('canary-of-16');
  return result;
}

const SET = ['--set', '{"flag":"candidate","value":true}'];

it('does an effect for real and puts it back', async () => {
  const { code, stdout } = await cutover('effects', 'test', 'flags', ...SET, '--restore', '--json');
  expect({ code, ...(JSON.parse(stdout) as object) }).toEqual({
    code: 0,
    name: 'flags',
    type: 'flag',
    captured: false,
    applied: 'candidate is true',
    restored: 'candidate is false',
    asBefore: true,
  });
  expect(receiver.received.filter(({ method }) => method === 'PUT')).toHaveLength(2);
});

it('leaves what was captured in sight when it cannot be put back', async () => {
  sticks = true;
  const { code, stderr } = await cutover('effects', 'test', 'flags', ...SET, '--restore');
  expect(stderr).toContain('captured, to put back by hand if this breaks off: false');
  expect(stderr).toContain('expected candidate to be false after setting it, got true');
  expect(code).toBe(4);
});

it('sends a message that says what it is', async () => {
  const { code, stdout } = await cutover('effects', 'test', 'channel');
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'set: the channel was notified\n' });
  expect(receiver.received[0]?.body).toContain('tried by hand');
});

it('asks a gate, and ends with 5 when it says no', async () => {
  const { code, stdout } = await cutover('effects', 'test', 'board');
  expect({ code, stdout }).toEqual({ code: 5, stdout: 'answer: no; freeze until Monday\n' });
});

it.each([
  [['nowhere'], 'expected one of the effects (channel, flags, board, inside), got "nowhere"'],
  [['flags', '--set', '{'], 'expected JSON such as'],
  [['flags', '--set', '{"flag":1}'], 'set.flag: expected a text'],
  [['flags', '--share', 'half'], 'expected a share such as 10% or 0.1'],
])('says what is wrong with %j', async (args, message) => {
  const { code, stderr } = await cutover('effects', 'test', ...args);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  expect(receiver.received).toHaveLength(0);
});

it('lets the doctor see what can be reached, and tells nobody', async () => {
  const { stdout } = await cutover('doctor', '--json', '--config', 'cutover.yaml');
  const { checks } = JSON.parse(stdout) as { checks: { name: string; state: string; detail: string }[] };
  const effects = checks.filter(({ name }) => name.startsWith('effect '));
  expect(effects.map(({ name, state }) => `${name}: ${state}`)).toEqual([
    'effect channel: ok',
    'effect flags: ok',
    'effect board: ok',
    'effect inside: wrong',
  ]);
  expect(effects[3]?.detail).toContain('allowPrivate: true');
  expect(checks).toContainEqual({ name: 'key env:SECRET', state: 'ok', detail: 'is set' });
  expect(receiver.received).toHaveLength(0);
  expect(stdout).not.toContain('hook-canary');
});

it('refuses a plan that tells somebody who is not configured', async () => {
  const { code, stderr } = await cutover('plan', 'check', 'plan.yaml', '--config', join('.', 'cutover.yaml'));
  expect(code).toBe(2);
  expect(stderr).toContain(
    'notify[0].name: expected one of the configuration\'s effects of type slack, webhook (channel, inside), got "chanel"',
  );
});
