import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { RunningTemporal } from '../../../src/temporal-server/dev-server';
import { freePorts } from '../../../src/temporal-server/free-port';
import { runCli } from '../../support/cli';
import { TestClock, TestGateway, temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { fakeWorld } from '../../support/migrations/fake-activities';
import {
  configurationDocument,
  folderWith,
  startFakeWorker,
  startTestTemporal,
} from '../../support/migrations/migration-fixture';
import { startFakeProvider } from '../../support/providers/fake-provider';

interface Check {
  readonly name: string;
  readonly state: string;
  readonly detail: string;
  readonly fix?: string;
}

interface Report {
  readonly ok: boolean;
  readonly summary: string;
  readonly checks: readonly Check[];
}

const executable = (): string => process.env['CUTOVER_TEST_TEMPORAL'] ?? '';

async function examine(
  document: object,
  env: Record<string, string> = {},
): Promise<Report & { code: number; stderr: string }> {
  const folder = folderWith({ 'cutover.yaml': JSON.stringify(document) });
  const { code, stdout, stderr } = await runCli(['doctor', '--json'], {
    cwd: folder,
    env: { TEMPORAL_CLI_PATH: executable(), XDG_CACHE_HOME: join(folder, 'cache'), ...env },
  });
  await rm(folder, { recursive: true });
  return { code, stderr, ...(JSON.parse(stdout) as Report) };
}

const faultOf = ({ checks }: Report, name: string) =>
  checks.find((check) => check.name === name && ['missing', 'wrong'].includes(check.state));

let closed: string;
beforeAll(async () => {
  const [port] = await freePorts('127.0.0.1', 1);
  closed = `127.0.0.1:${port}`;
});

it('says what to do on a machine without a configuration and without Temporal', async () => {
  const folder = folderWith({});
  const { code, stdout, stderr } = await runCli(['doctor', '--address', closed], {
    cwd: folder,
    env: { TEMPORAL_CLI_PATH: executable(), XDG_CACHE_HOME: folder },
  });
  await rm(folder, { recursive: true });
  expect(stdout).toMatch(/^Node +ok /m);
  expect(stdout).toMatch(/^Temporal answers +missing +cannot use Temporal at/m);
  expect(stdout).toMatch(/^configuration +missing +there is no .\/cutover.yaml$/m);
  expect(stdout).toMatch(/^fix configuration: `cutover init` writes one/m);
  expect(stdout).toMatch(/^fix Temporal answers: start it: `cutover up`/m);
  expect(stderr).toMatch(/^not ready: 2 of \d+ checks failed: Temporal answers, configuration\n$/);
  expect(code).toBe(5);
});

it('asks Temporal also where no address is given, since that is what every command does', async () => {
  // Whether something listens at 7233 here is this machine's business: it is asked, and that is what counts.
  const { checks } = await examine({});
  expect(checks.find(({ name }) => name === 'Temporal answers')?.detail).toContain('127.0.0.1:7233');
});

it('names what is missing, and never shows a key', async () => {
  const document = {
    ...configurationDocument(['chat']),
    providers: {
      old: { baseUrl: 'http://127.0.0.1:9/v1', auth: { bearer: 'env:OLD_KEY' } },
      new: { baseUrl: 'http://127.0.0.1:9/v1', auth: { bearer: 'env:NEW_KEY' } },
    },
  };
  const report = await examine(document, { OLD_KEY: 'key-canary-1', CUTOVER_ADMIN_TOKEN: 'key-canary-2' });
  expect(report).toMatchObject({ code: 5, ok: false });
  const states = Object.fromEntries(report.checks.map(({ name, state }) => [name, state]));
  expect(states).toMatchObject({
    Node: 'ok',
    Temporal: 'ok',
    configuration: 'ok',
    'key env:OLD_KEY': 'ok',
    'key env:NEW_KEY': 'missing',
    'key env:CUTOVER_ADMIN_TOKEN': 'ok',
    'provider old': 'wrong',
    'provider new': 'missing',
  });
  expect(faultOf(report, 'provider old')?.detail).toBe('127.0.0.1:9 cannot be reached (bad port)');
  expect(faultOf(report, 'key env:NEW_KEY')?.fix).toBe('export NEW_KEY=...');
  for (const check of report.checks) {
    if (['missing', 'wrong'].includes(check.state)) expect(check).toHaveProperty('fix');
  }
  expect(JSON.stringify(report)).not.toContain('key-canary');
});

it('says what to do about a configuration that is empty', async () => {
  const folder = folderWith({ 'cutover.yaml': '# nothing yet\n' });
  const { stdout } = await runCli(['doctor', '--address', closed], {
    cwd: folder,
    env: { TEMPORAL_CLI_PATH: executable(), XDG_CACHE_HOME: folder },
  });
  await rm(folder, { recursive: true });
  expect(stdout).toMatch(/^configuration +wrong +cutover\.yaml is empty: /m);
  expect(stdout).toMatch(/^fix configuration: remove cutover\.yaml, then `cutover init` writes one$/m);
});

it('says every problem of a configuration, and does not call it missing', async () => {
  const report = await examine({ providers: {}, routes: {} });
  expect(faultOf(report, 'configuration')).toMatchObject({
    state: 'wrong',
    detail: expect.stringContaining('at least one route'),
  });
  expect(report.code).toBe(5);
});

describe('with a service, providers and gateways', () => {
  let temporal: RunningTemporal;
  let pages: Server;
  const clock = new TestClock();
  const root = temporaryDirectory();
  // Its process had been running for long when its route was opened, as that of `cutover up` after a first build.
  clock.advance(300_000);
  const gateway = new TestGateway({
    directory: temporaryDirectory(),
    clock,
    name: 'gw-1',
    routes: ['chat'],
    readyAfterMs: 130_000,
  });
  let admin: string;
  beforeAll(async () => {
    temporal = await startTestTemporal();
    admin = await gateway.listen();
    pages = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end('<html>welcome</html>'),
    );
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    pages.close();
    await gateway.close();
    await temporal.stop();
  });

  const document = (old: string, fresh: string, models: object) => ({
    ...configurationDocument(['chat'], [admin]),
    providers: {
      old: { baseUrl: old, auth: { bearer: 'env:OLD_KEY' } },
      new: { baseUrl: fresh },
    },
    routes: { chat: { legacy: 'old', candidate: 'new', models } },
  });
  const env = () => ({
    TEMPORAL_ADDRESS: temporal.address,
    CUTOVER_ADMIN_TOKEN: 'test-token',
    OLD_KEY: 'wrong-key-canary',
  });

  it('fails for no worker, a web page for a list, a refused key and a gateway that is not ready', async () => {
    const old = await startFakeProvider({ name: 'old', models: ['gpt-4o'], key: 'another' });
    const { port } = pages.address() as AddressInfo;
    const asked = document(old.url, `http://127.0.0.1:${port}`, { 'gpt-4o': 'm' });
    const atOnce = await examine(asked, env());
    clock.advance(70_000);
    const report = await examine(asked, env());
    await old.stop();
    expect(atOnce.checks).toContainEqual({
      name: 'gateway gw-1',
      state: 'note',
      detail: expect.stringContaining('not ready yet: started less than a minute ago'),
    });
    expect(report.checks).toContainEqual({
      name: 'workers',
      state: 'missing',
      detail: expect.stringContaining('0 for routing'),
      fix: expect.stringContaining('`cutover worker`'),
    });
    expect(faultOf(report, 'provider new')).toMatchObject({
      state: 'wrong',
      detail: 'answers with a web page, not with a list of models',
      fix: expect.stringContaining('look at its baseUrl'),
    });
    expect(faultOf(report, 'provider old')).toMatchObject({
      state: 'wrong',
      detail: 'answers 401: it refuses the key of env:OLD_KEY',
    });
    expect(faultOf(report, 'gateway gw-1')).toMatchObject({
      state: 'wrong',
      detail: expect.stringContaining('not ready'),
    });
    expect(report.code).toBe(5);
    expect(report.stderr).toContain('not ready: ');
    expect(JSON.stringify(report)).not.toContain('canary');
  });

  it('fails for a gateway whose disk refuses its record, and says how to fix it', async () => {
    const directory = join(root, 'taken');
    writeFileSync(directory, 'a file where the folder should be');
    const forgetful = new TestGateway({ directory, clock, name: 'gw-1' });
    const address = await forgetful.listen();
    await forgetful.state.push(forgetful.pushRequest({ share: 0 }));
    const report = await examine(configurationDocument(['main'], [address]), env());
    await forgetful.close();
    expect(faultOf(report, 'gateway gw-1')).toMatchObject({
      state: 'wrong',
      detail: expect.stringMatching(/main serves 0%, epoch 1, .*, which its disk refuses to keep/),
      fix: expect.stringContaining('make its gateway.stateDirectory a folder that it can write to'),
    });
    expect(report.code).toBe(5);
  });

  it('fails for a gateway whose disk refuses every record, before one has come', async () => {
    const directory = join(root, 'full');
    writeFileSync(directory, 'a file where the folder should be');
    const forgetful = new TestGateway({ directory, clock, name: 'gw-1' });
    const report = await examine(configurationDocument(['main'], [await forgetful.listen()]), env());
    await forgetful.close();
    expect(faultOf(report, 'gateway gw-1')).toMatchObject({
      state: 'wrong',
      detail: expect.stringMatching(/settled on legacy; its disk refuses to keep any record$/),
      fix: expect.stringContaining('make its gateway.stateDirectory a folder that it can write to'),
    });
  });

  it('fails for a mapped model that the candidate does not list, and is ready once that is put right', async () => {
    const worker = await startFakeWorker(temporal, fakeWorld());
    const [old, fresh] = await Promise.all([
      startFakeProvider({ name: 'old', models: ['gpt-4o'], key: 'wrong-key-canary' }),
      startFakeProvider({ name: 'new', models: ['deepseek-chat'] }),
    ]);
    clock.advance(60_000);
    const wrong = await examine(document(old.url, fresh.url, { 'gpt-4o': 'deepsek-chat' }), env());
    const right = await examine(document(old.url, fresh.url, { 'gpt-4o': 'deepseek-chat' }), env());
    await Promise.all([old.stop(), fresh.stop(), worker.stop()]);
    expect(faultOf(wrong, 'provider new')).toMatchObject({
      detail: 'does not list deepsek-chat, which routes.chat.models names',
      fix: 'correct routes.chat.models: did you mean deepseek-chat?',
    });
    expect(right.checks.filter(({ state }) => ['missing', 'wrong'].includes(state))).toEqual([]);
    expect(right).toMatchObject({
      code: 0,
      ok: true,
      summary: expect.stringMatching(/^ready: all \d+ checks/),
    });
  });
});
