import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startFakeProvider } from './support/providers/fake-provider';

const run = promisify(execFile);
const ROOT = join(__dirname, '..');
const MINUTES_MS = 60_000;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cutover-package-'));
  // What globalSetup built is what is packed: a second build would race with the other tests.
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'elsewhere', private: true }));
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`], {
    cwd: folder,
    maxBuffer: 16 * 1024 * 1024,
  });
}, 8 * MINUTES_MS);

afterAll(() => rm(folder, { recursive: true, force: true }));

const cutover = (...args: string[]) =>
  run(join(folder, 'node_modules', '.bin', 'cutover'), args, { cwd: folder });

const compile = (file: string) =>
  run(
    process.execPath,
    [
      join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'),
      ...['--strict', '--skipLibCheck', '--module', 'node16', '--target', 'es2022', '--types', 'node'],
      ...['--typeRoots', join(ROOT, 'node_modules', '@types'), file],
    ],
    { cwd: folder },
  );

it('runs from an empty folder elsewhere', async () => {
  const { stdout } = await cutover('--help');
  expect(stdout).toContain('emergency-rollback');
  await cutover('plan', 'init', 'chat');
  const plan = await cutover('plan', 'check', 'plan.yaml', '--json');
  expect(JSON.parse(plan.stdout)).toBeTruthy();
  const capacity = await cutover('capacity', 'deepseek-v3', '--json');
  expect(capacity.stdout).toContain('671026419200');
});

it('brings what is deployed, and asks by name for what only few need', async () => {
  const installed = join(folder, 'node_modules');
  expect(await readdir(join(installed, 'cutover', 'deploy'))).toContain('systemd');
  expect(await readdir(installed)).not.toContain('@duckdb');
  const temporal = await readdir(join(installed, '@temporalio'));
  expect(temporal).not.toContain('core-bridge');
  expect(await sizeMb(installed)).toBeLessThan(200);

  const logs = join('node_modules', 'cutover', 'examples', 'usage', 'litellm.csv');
  const { devDependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  const asked: readonly (readonly [command: string[], packages: string[]])[] = [
    [['assess', logs], ['@duckdb/node-api']],
    [['worker'], ['@temporalio/worker']],
    [['train', 'worker'], ['@temporalio/worker']],
    [['up'], ['@temporalio/worker', '@temporalio/testing']],
    [['demo'], ['@temporalio/worker', '@temporalio/testing']],
  ];
  for (const [command, packages] of asked) {
    const versions = packages.map((name) => `${name}@${devDependencies[name].replace('^', '')}`).join(' ');
    await expect(cutover(...command)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`run \`npm install ${versions}\` where cutover is installed`),
    });
  }
});

it('serves from inside a service, which ends when the gateway is stopped', async () => {
  const providers = await Promise.all(['old', 'new'].map((name) => startFakeProvider({ name })));
  const [legacy, candidate] = providers.map(({ url }) => ({ baseUrl: url }));
  await writeFile(
    join(folder, 'service.ts'),
    `import { startGateway, type EmbeddedGateway } from 'cutover/gateway';
async function main() {
  const configuration = {
    providers: ${JSON.stringify({ old: legacy, new: candidate })},
    routes: { chat: { legacy: 'old', candidate: 'new', models: { 'gpt-4o': 'gpt-4o' } } },
    gateways: [{ name: 'service-1', data: 'http://127.0.0.1:1', admin: 'http://127.0.0.1:2' }],
    gateway: { stateDirectory: 'state' },
  };
  const gateway: EmbeddedGateway = await startGateway({
    configuration,
    data: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    resolveSecret: () => 'an-admin-token',
    log: 'none',
  });
  const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'hello' }] });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(gateway.dataUrl + '/v1/chat/completions', { method: 'POST', headers, body });
  console.log(JSON.stringify({ name: gateway.name, status: answer.status, text: await answer.text() }));
  await gateway.stop();
  // @ts-expect-error: a path or a document, so types did arrive
  await startGateway({ configuration: 7 }).catch((error: Error) => console.log(error.message));
  await startGateway({ configuration, name: 'sevice-1' }).catch((error: Error) => console.log(error.message));
}
main();
`,
  );
  await compile('service.ts');
  const { stdout } = await run(process.execPath, ['service.js'], { cwd: folder });
  await Promise.all(providers.map((provider) => provider.stop()));
  const [served, ...refusals] = stdout.split('\n');
  expect(JSON.parse(served as string)).toMatchObject({ name: 'service-1', status: 200 });
  expect(refusals).toContain('the configuration is not valid:');
  expect(refusals).toContain(
    'expected one of the gateways of the configuration (service-1), got "sevice-1": did you mean service-1?',
  );
});

it('exports the client and the contract, with their types', async () => {
  await writeFile(
    join(folder, 'consumer.ts'),
    `import { MigrationClient, type CommandOutcome } from 'cutover';
import { MigrationClient as Same } from 'cutover/client';
import { TASK_QUEUE, workflowIdOf, type MigrationInput } from 'cutover/contract';
import { verifyMessage } from 'cutover/webhook';
export const same: boolean = MigrationClient === Same;
export const id: string = workflowIdOf(TASK_QUEUE);
export const seen: { ok: boolean } = verifyMessage(['a secret of 16 bytes'], { headers: {}, body: '' }, 0);
export type Both = [CommandOutcome, MigrationInput];
// @ts-expect-error: a queue is a text, so types did arrive
export const wrong: number = TASK_QUEUE;
console.log(JSON.stringify({ same, id }));
`,
  );
  await compile('consumer.ts');
  const { stdout } = await run(process.execPath, ['consumer.js'], { cwd: folder });
  expect(JSON.parse(stdout)).toEqual({ same: true, id: 'cutover/cutover' });
});

it('runs a worker once the package that it asks for is installed, without what is for other systems', async () => {
  const { stderr } = await cutover('worker').catch((error: { stderr: string }) => error);
  const [, packages = 'none'] = /`npm install ([^`]*)`/.exec(stderr) ?? [];
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...packages.split(' ')], {
    cwd: folder,
    maxBuffer: 16 * 1024 * 1024,
  });
  const production = await readFile(join(ROOT, 'docs', 'production.md'), 'utf8');
  expect(production).toContain(packages);
  const [, command = 'exit 1'] = /```sh\n(find @temporalio[^`]*)```/.exec(production) ?? [];
  await run('bash', ['-euc', command], { cwd: join(folder, 'node_modules') });
  // The worker and all that it imports are loaded before the configuration.
  await expect(cutover('worker', '--config', 'elsewhere.yaml')).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('elsewhere.yaml'),
  });
}, 120_000);

/** What a folder's files hold together, in MB. */
async function sizeMb(path: string): Promise<number> {
  const { stdout } = await run('du', ['--summarize', '--bytes', path]);
  return Number.parseInt(stdout, 10) / 1e6;
}
