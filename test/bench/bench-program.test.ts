import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

/** Every file of bench/ that is a program: it runs a benchmark. */
const PROGRAMS = readdirSync(join(ROOT, 'bench'))
  .filter(
    (file) => file.endsWith('.ts') && readFileSync(join(ROOT, 'bench', file), 'utf8').includes('runBench('),
  )
  .map((file) => file.replace(/\.ts$/, ''))
  .filter((name) => name !== 'bench-program');

function run(name: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'dist', 'bench', `${name}.js`), ...args],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
}

it('covers every benchmark that package.json names', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const named = Object.values(scripts).flatMap(
    (script) => /dist\/bench\/([\w-]+)\.js/.exec(script)?.[1] ?? [],
  );
  expect(PROGRAMS).toEqual(expect.arrayContaining(named));
});

it.each(PROGRAMS)('%s says what it can do, and refuses what it cannot in one line', (name) => {
  const help = run(name, '--help');
  expect(help).toMatchObject({ status: 0, stderr: '' });
  expect(help.stdout).toMatch(/^Usage: [\w:-]+ \[options\]\n/);
  expect(run(name, '--no-such-option')).toEqual({
    status: 1,
    stdout: '',
    stderr: "error: unknown option '--no-such-option'\n",
  });
  expect(run(name, 'stray')).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/^error: .*\n$/),
  });
});

it.each(['0', '-1', 'many', ''])('takes no "%s" for a number', (text) => {
  expect(run('gateway', '--rounds', text)).toEqual({
    status: 1,
    stdout: '',
    stderr: `error: option '--rounds <number>' argument '${text}' is invalid. Expected a number above 0, got "${text}".\n`,
  });
});

it('says in one line what it cannot measure', () => {
  expect(run('gateway', '--cells', 'plain 32,nonsense 1')).toEqual({
    status: 1,
    stdout: '',
    stderr: 'bench:gateway: expected cells such as "plain 32", got nonsense 1\n',
  });
});
