import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Builds into a folder of its own and puts it in the place of `dist` once it is whole: a worker or gateway that starts
 * meanwhile never loads half a build, and a build that fails changes nothing.
 */

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const DIST = join(ROOT, 'dist');

const run = (...args) => execFileSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });

function build() {
  const fresh = join(ROOT, `.dist-${process.pid}`);
  mkdirSync(fresh);
  try {
    const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    run(compiler, '-p', 'tsconfig.build.json', '--outDir', fresh);
    run(join(fresh, 'tools', 'bundle-workflows.js'));
    run(join(fresh, 'tools', 'build-page.js'));
    const old = `${fresh}.old`;
    if (existsSync(DIST)) renameSync(DIST, old);
    renameSync(fresh, DIST);
    rmSync(old, { recursive: true, force: true });
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

try {
  build();
} catch (error) {
  // The compiler has said what is wrong.
  process.exitCode = typeof error.status === 'number' ? error.status : 1;
  if (typeof error.status !== 'number') process.stderr.write(`${error.message}\n`);
}
