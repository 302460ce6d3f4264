import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '../../../src/temporal-server/free-port';
import { runCli } from '../../support/cli';
import { configurationDocument, folderWith } from '../../support/migrations/migration-fixture';
import { startFakeProvider } from '../../support/providers/fake-provider';

interface Report {
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly state: string; readonly detail: string }[];
}

const executable = (): string => process.env['CUTOVER_TEST_TEMPORAL'] ?? '';

async function examine(
  document: object,
  env: Record<string, string> = {},
): Promise<Report & { code: number }> {
  const folder = folderWith({ 'cutover.yaml': JSON.stringify(document) });
  const { code, stdout } = await runCli(['doctor', '--json'], {
    cwd: folder,
    env: { TEMPORAL_CLI_PATH: executable(), XDG_CACHE_HOME: join(folder, 'cache'), ...env },
  });
  await rm(folder, { recursive: true });
  return { code, ...(JSON.parse(stdout) as Report) };
}

it('finds nothing missing on a machine without a configuration', async () => {
  const folder = folderWith({});
  const { code, stdout } = await runCli(['doctor'], {
    cwd: folder,
    env: { TEMPORAL_CLI_PATH: executable(), XDG_CACHE_HOME: folder },
  });
  await rm(folder, { recursive: true });
  expect(stdout).toMatch(/^Node +ok /m);
  expect(stdout).toMatch(/^Temporal +ok +.*by TEMPORAL_CLI_PATH$/m);
  expect(stdout).toMatch(/^configuration +note +there is no .\/cutover.yaml yet/m);
  expect(code).toBe(0);
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
    'provider old': 'missing',
    'provider new': 'missing',
  });
  expect(JSON.stringify(report)).not.toContain('key-canary');
});

it('asks every provider for its models, and takes a gateway that does not run yet for a note', async () => {
  const [old, fresh] = await Promise.all([startFakeProvider(), startFakeProvider()]);
  const [data, admin] = await freePorts('127.0.0.1', 2);
  const gateway = { name: 'gw-1', data: `http://127.0.0.1:${data}`, admin: `http://127.0.0.1:${admin}` };
  const document = {
    ...configurationDocument(['chat']),
    providers: { old: { baseUrl: old.url }, new: { baseUrl: fresh.url } },
    gateways: [gateway],
  };
  const report = await examine(document, { CUTOVER_ADMIN_TOKEN: 'a-token' });
  await Promise.all([old.stop(), fresh.stop()]);
  expect(report.checks.filter(({ state }) => state === 'missing')).toEqual([]);
  expect(report.checks).toContainEqual({ name: 'provider old', state: 'ok', detail: 'lists 3 models' });
  expect(report.checks).toContainEqual({
    name: 'gateway gw-1',
    state: 'note',
    detail: expect.stringContaining('does not run yet'),
  });
  expect(report.code).toBe(0);
});

it('says every problem of a configuration', async () => {
  const report = await examine({ providers: {}, routes: {} });
  const configuration = report.checks.find(({ name }) => name === 'configuration');
  expect(configuration).toMatchObject({
    state: 'missing',
    detail: expect.stringContaining('at least one route'),
  });
  expect(report.code).toBe(5);
});
