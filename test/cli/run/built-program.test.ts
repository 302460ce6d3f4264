import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { built, runNode } from '../../support/cli';

const ROOT = join(__dirname, '..', '..', '..');
const { nodeProblem } = require('../../../bin/node-version.js') as {
  nodeProblem(version: string, engines: string): string | null;
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cutover-build-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each([
  ['20.19.0', null],
  ['20.20.2', null],
  ['22.1.0', null],
  ['20.18.3', 'cutover needs Node 20.19.0 or newer, and this is Node 20.18.3'],
  ['18.20.4', 'cutover needs Node 20.19.0 or newer, and this is Node 18.20.4'],
])('looks at Node %s before anything else', (version, problem) => {
  const found = nodeProblem(version, '>=20.19.0');
  if (problem === null) expect(found).toBeNull();
  else expect(found).toContain(problem);
});

it('says both versions by the command and by npm run, in a Node that cannot load the rest', async () => {
  const old = join(folder, 'old-node.js');
  writeFileSync(
    old,
    `Object.defineProperty(process.versions, 'node', { value: '18.19.0' });
delete globalThis.File;`,
  );
  for (const args of [['bin/cutover.js', '--version'], ['bin/node-version.js']]) {
    const { code, stdout, stderr } = await runNode('--require', [old, ...args], { cwd: ROOT });
    expect(stderr).toMatch(
      /^cutover needs Node 20\.19\.0 or newer, and this is Node 18\.19\.0 \(.+\)\. .*\n$/,
    );
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  }
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const name of ['build', 'test', 'check'])
    expect(scripts[name]).toMatch(/^node bin\/node-version\.js && /);
  // Old Nodes must be able to read it.
  const entry = readFileSync(join(ROOT, 'bin', 'node-version.js'), 'utf8');
  expect(entry).not.toMatch(/\?\.\w|\?\?|node:|\bawait\b|#\w+ *=/);
});

describe('the command of a checkout', () => {
  let checkout: string;
  beforeAll(() => {
    checkout = join(folder, 'checkout');
    mkdirSync(join(checkout, 'src'), { recursive: true });
    for (const name of ['bin', 'package.json'])
      cpSync(join(ROOT, name), join(checkout, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
    writeFileSync(join(checkout, 'src', 'newer.ts'), '');
  });
  const run = (...args: string[]) => runNode(join(checkout, 'bin', 'cutover.js'), args);

  it('says that nothing is built', async () => {
    const { code, stderr } = await run('--version');
    expect(stderr).toMatch(/^nothing is built in .+: run `npm run build` there first\n$/);
    expect(code).toBe(2);
  });

  it('runs what is built without compiling, and says when a source is newer', async () => {
    cpSync(built('src'), join(checkout, 'dist', 'src'), { recursive: true });
    const stamp = join(checkout, 'dist', 'workflow-bundle.js');
    writeFileSync(stamp, '');
    const fresh = await run('--version');
    expect(fresh).toMatchObject({ code: 0, stderr: '' });
    utimesSync(stamp, 1, 1);
    const stale = await run('--version');
    expect(stale.stderr).toBe(
      'note: this build is older than src/newer.ts; `npm run build` makes a new one\n',
    );
    expect(stale).toMatchObject({ code: 0, stdout: fresh.stdout });
  });
});

describe('a build', () => {
  let checkout: string;
  beforeAll(() => {
    checkout = join(folder, 'built');
    mkdirSync(join(checkout, 'dist'), { recursive: true });
    for (const name of ['src', 'tools', 'bin', 'package.json', 'tsconfig.json']) {
      cpSync(join(ROOT, name), join(checkout, name), { recursive: true });
    }
    // Only what runs: less to compile.
    const config = JSON.parse(readFileSync(join(ROOT, 'tsconfig.build.json'), 'utf8'));
    writeFileSync(
      join(checkout, 'tsconfig.build.json'),
      JSON.stringify({ ...config, include: ['src', 'tools/bundle-workflows.ts', 'tools/build-page.ts'] }),
    );
    symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
    writeFileSync(join(checkout, 'dist', 'before'), '');
  });
  const build = () =>
    new Promise<number>((resolve) => {
      execFile(process.execPath, ['tools/build.mjs'], { cwd: checkout }, (error) =>
        resolve(error === null ? 0 : Number(error.code)),
      );
    });
  const left = () => readdirSync(checkout).filter((name) => name.startsWith('.dist'));

  it('that fails leaves the one before as it was', async () => {
    const broken = join(checkout, 'src', 'broken.ts');
    writeFileSync(broken, 'export const wrong: number = "text";\n');
    expect(await build()).not.toBe(0);
    rmSync(broken);
    expect(readdirSync(join(checkout, 'dist'))).toEqual(['before']);
    expect(left()).toEqual([]);
  });

  it('takes the place of the one before as a whole', async () => {
    expect(await build()).toBe(0);
    expect(existsSync(join(checkout, 'dist', 'before'))).toBe(false);
    for (const file of ['src/cli/main.js', 'workflow-bundle.js', 'page/main.js']) {
      expect({ file, exists: existsSync(join(checkout, 'dist', file)) }).toEqual({ file, exists: true });
    }
    expect(left()).toEqual([]);
  });
});
