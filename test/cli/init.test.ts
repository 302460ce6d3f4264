import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfiguration, loadPlan } from '../../src/client';
import type { DemoProvider } from '../../src/demo/provider';
import { runCli } from '../support/cli';
import { folderWith } from '../support/migrations/migration-fixture';
import { startFakeProvider } from '../support/providers/fake-provider';
import { startFaultProvider } from '../support/providers/fault-provider';
import { speaksMessages } from '../support/providers/messages-provider';
import { runAtTerminal } from '../support/terminal';

const ENV = { OLD_KEY: 'key-canary-old', NEW_KEY: 'key-canary-new' };
let legacy: DemoProvider;
let candidate: DemoProvider;
let folder: string;

beforeAll(async () => {
  legacy = await startFakeProvider({ name: 'legacy', models: ['gpt-4o-mini'], key: ENV.OLD_KEY });
  candidate = await startFakeProvider({ name: 'candidate', models: ['deepseek-v4-flash'], key: ENV.NEW_KEY });
});
afterAll(() => Promise.all([legacy.stop(), candidate.stop()]));
beforeEach(() => {
  folder = folderWith({});
});
afterEach(() => rm(folder, { recursive: true }));

const given = (overrides: Record<string, string> = {}): string[] =>
  Object.entries({
    '--legacy': legacy.url,
    '--candidate': candidate.url,
    '--legacy-key': 'env:OLD_KEY',
    '--candidate-key': 'env:NEW_KEY',
    '--model': 'gpt-4o-mini=deepseek-v4-flash',
    ...overrides,
  }).flat();
const init = (...args: string[]) => runCli(['init', ...args], { cwd: folder, env: ENV });

it('writes a configuration and a plan that fit each other, with references in place of keys', async () => {
  const { code, stdout, stderr } = await init(...given(), '--port', '9090');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('cutover start --plan plan.yaml');
  const configuration = loadConfiguration(join(folder, 'cutover.yaml'));
  expect(configuration.providers['legacy']).toMatchObject({
    baseUrl: legacy.url,
    auth: { bearer: 'env:OLD_KEY' },
  });
  expect(configuration.routes['chat']?.models).toMatchObject({
    'gpt-4o-mini': { candidate: 'deepseek-v4-flash' },
  });
  expect(configuration.gateways[0]).toMatchObject({
    data: 'http://127.0.0.1:9090',
    admin: 'http://127.0.0.1:9091',
  });
  expect(loadPlan(join(folder, 'plan.yaml')).route).toBe('chat');
  const token = join(folder, '.cutover', 'admin-token');
  expect(configuration.adminToken).toBe(`file:${token}`);
  expect(statSync(token).mode & 0o077).toBe(0);
  expect(readFileSync(join(folder, 'cutover.yaml'), 'utf8')).not.toContain('canary');

  const again = await init(...given());
  expect(again).toMatchObject({
    code: 2,
    stderr: 'cutover.yaml and plan.yaml are here already: --force overwrites, or use another folder\n',
  });
  expect(await init(...given(), '--force', '--quick')).toMatchObject({ code: 0 });
  expect(loadPlan(join(folder, 'plan.yaml')).stages.at(-1)?.soakMs).toBeLessThan(3_600_000);
});

it('says where it cannot write', async () => {
  writeFileSync(join(folder, '.cutover'), '');
  expect(await init(...given())).toMatchObject({
    code: 2,
    stderr: `cannot write .cutover in ${folder}: it is a file, not a folder. Run this in a folder that you can write to\n`,
  });
  expect(existsSync(join(folder, 'cutover.yaml'))).toBe(false);
});

it('writes providers of Anthropic’s dialect, and asks them for their models as they are spoken to', async () => {
  const provider = await startFaultProvider(speaksMessages(''));
  try {
    const urls = { '--legacy': provider.url, '--candidate': provider.url };
    const models = { '--model': 'claude-of-tests=claude-of-tests', '--dialect': 'anthropic' };
    const { code, stdout, stderr } = await init(...given({ ...urls, ...models }));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('point the application at http://127.0.0.1:8080: nothing moves yet');
  } finally {
    await provider.stop();
  }
  const { providers } = loadConfiguration(join(folder, 'cutover.yaml'));
  expect(providers['legacy']).toMatchObject({
    dialect: 'anthropic',
    auth: { header: 'x-api-key', key: 'env:OLD_KEY' },
  });
});

it.each([
  ['exec', '  npx cutover up '],
  ['run-script', '  npx cutover up '],
  ['', '  cutover up '],
])('names the commands as the one who asks can type them, after npm %j', async (command, line) => {
  const { stdout } = await runCli(['init', ...given()], {
    cwd: folder,
    env: { ...ENV, npm_command: command },
  });
  expect(stdout).toContain(line);
});

it.each([
  [{ '--legacy-key': 'env:NEW_KEY' }, 4, 'legacy: answers 401: it refuses the key of env:NEW_KEY'],
  [{ '--candidate-key': 'env:ABSENT' }, 2, 'the environment variable ABSENT is not set'],
  [{ '--candidate': 'http://127.0.0.1:9/v1' }, 4, 'candidate: 127.0.0.1:9 cannot be reached (bad port)'],
  [
    { '--model': 'gpt-4o-mini=deepsek-v4-flash' },
    2,
    'candidate does not list the model deepsek-v4-flash: did you mean deepseek-v4-flash?',
  ],
  [{ '--legacy': 'api.openai.com' }, 2, 'providers.legacy.baseUrl: expected an'],
  [
    { '--legacy-key': 'sk-canary' },
    2,
    'expected a reference such as env:NAME, file:/path or credential:NAME',
  ],
  [{ '--model': 'gpt-4o-mini' }, 2, 'such as gpt-4o-mini=deepseek-v4-flash'],
])('writes nothing for %j, and says what is wrong', async (overrides, code, message) => {
  const result = await init(...given(overrides as Record<string, string>));
  expect(result.stderr).toContain(message);
  expect(result.stderr).not.toContain('canary');
  expect(result.code).toBe(code);
  expect(existsSync(join(folder, 'cutover.yaml'))).toBe(false);
});

it('names the options that are missing where nobody can be asked', async () => {
  const { code, stderr } = await init('--legacy', legacy.url);
  expect(stderr).toContain(
    'expected --legacy-key, --candidate, --candidate-key, --model: nobody can be asked here',
  );
  expect(code).toBe(2);
});

it('asks a person at a terminal for what no option gives', async () => {
  const args = given().filter((word) => !['--model', 'gpt-4o-mini=deepseek-v4-flash'].includes(word));
  const { code, shown } = await runAtTerminal(['init', ...args], {
    prompt: /Legacy's model, as callers name it \[gpt-4o-mini\]: /,
    types: '\n',
    next: { prompt: /The candidate's model that takes its place \[deepseek-v4-flash\]: /, types: '\n' },
    cwd: folder,
    env: ENV,
  });
  expect({ code, shown }).toEqual({ code: 0, shown: expect.stringContaining('wrote plan.yaml') });
  expect(loadConfiguration(join(folder, 'cutover.yaml')).routes['chat']?.models).toHaveProperty(
    'gpt-4o-mini',
  );
});

it('asks again after an answer that cannot be used, and writes nothing after Ctrl-C', async () => {
  const args = given().filter((word, at, all) => word !== '--legacy' && all[at - 1] !== '--legacy');
  const prompt = /Base URL of the provider that you leave \[\S+\]: /;
  const { code, shown } = await runAtTerminal(['init', ...args], {
    prompt,
    types: '127.0.0.1:9901\n',
    next: { prompt: /expected an address that begins with http[\s\S]*you leave \[\S+\]: /, types: '\u0003' },
    cwd: folder,
    env: ENV,
  });
  expect(shown).toContain('ended: nothing was written');
  expect(code).toBe(5);
  expect(existsSync(join(folder, 'cutover.yaml'))).toBe(false);
});
