import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

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
  const logs = join('node_modules', 'cutover', 'examples', 'usage', 'litellm.csv');
  await expect(cutover('assess', logs)).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/run `npm install @duckdb\/node-api@[\w.-]+` where cutover is installed/),
  });
  const { devDependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  const source = await readFile(join(ROOT, 'src', 'assess', 'usage', 'usage-database.ts'), 'utf8');
  expect(source).toContain(`'@duckdb/node-api@${devDependencies['@duckdb/node-api'].replace('^', '')}'`);
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
  await run(
    process.execPath,
    [
      join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'),
      ...['--strict', '--skipLibCheck', '--module', 'node16', '--target', 'es2022', '--types', 'node'],
      ...['--typeRoots', join(ROOT, 'node_modules', '@types'), 'consumer.ts'],
    ],
    { cwd: folder },
  );
  const { stdout } = await run(process.execPath, ['consumer.js'], { cwd: folder });
  expect(JSON.parse(stdout)).toEqual({ same: true, id: 'cutover/cutover' });
});
