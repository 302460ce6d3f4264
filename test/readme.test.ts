import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { built, runNode } from './support/cli';

const ROOT = join(__dirname, '..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

it('begins with the two commands: one runs the main job, one passes the tests', () => {
  const blocks = [...README.matchAll(/^```\n([\s\S]*?)^```/gm)].map(([, block]) => block?.trim());
  expect(blocks.slice(0, 2)).toEqual(['npm ci && npm run demo', 'npm ci && npm test']);
});

it('names only npm scripts that there are', () => {
  const named = [...README.matchAll(/npm run ([a-z:]+)/g)].map(([, name]) => name as string);
  expect(named.length).toBeGreaterThan(4);
  for (const name of named) expect(Object.keys(scripts)).toContain(name);
});

it('names only commands and options of cutover that there are', async () => {
  const commands = [...README.matchAll(/`cutover ([a-z][a-z-]*(?: [a-z]+)?)/g)].map(
    ([, name]) => name as string,
  );
  expect(commands.length).toBeGreaterThan(8);
  for (const command of new Set(commands)) {
    const [first = ''] = command.split(' ');
    const { code, stdout } = await runNode(built('src', 'cli', 'main.js'), [first, '--help']);
    expect({ command, code, usage: stdout.split('\n')[0] }).toEqual({
      command,
      code: 0,
      usage: expect.stringContaining(`Usage: cutover ${first}`),
    });
  }
  const { stdout: demo } = await runNode(built('src', 'cli', 'main.js'), ['demo', '--help']);
  for (const [, option] of README.matchAll(/npm run demo -- (--[a-z]+)/g)) expect(demo).toContain(option);
});

it('links only to files that there are', () => {
  const links = [...README.matchAll(/\]\(([^)#]+)\)/g)].map(([, link]) => link as string);
  for (const link of links.filter((each) => !each.startsWith('http'))) {
    expect({ link, exists: existsSync(join(ROOT, link)) }).toEqual({ link, exists: true });
  }
});

it('shows library code that compiles', () => {
  const [, code = ''] = /^```ts\n([\s\S]*?)^```/m.exec(README) ?? [];
  const file = join(ROOT, 'test', 'support', 'readme-example.mts');
  writeFileSync(file, code.replaceAll("'cutover'", "'../../dist/src/client.js'"));
  try {
    execFileSync(
      process.execPath,
      [
        join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'),
        ...[
          '--ignoreConfig',
          '--noEmit',
          '--strict',
          '--skipLibCheck',
          '--module',
          'node16',
          '--target',
          'es2022',
          file,
        ],
      ],
      { cwd: ROOT, stdio: 'pipe' },
    );
  } finally {
    rmSync(file);
  }
});
