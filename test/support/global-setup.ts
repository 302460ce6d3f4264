import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory, environment } from '../../src/config';
import { findTemporal } from '../../src/temporal-server/temporal-source';

const ROOT = join(__dirname, '..', '..');

/** Builds what the tests run as users do, and finds or builds a Temporal server: nothing is skipped for want of it. */
export default async function setUp(): Promise<void> {
  if (!isBuilt())
    execFileSync('npm', ['run', '-s', 'build'], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  const { TEMPORAL_ADDRESS: _unused, ...env } = environment;
  const source = await findTemporal({
    env,
    cacheDir: cacheDirectory(),
    report: (line) => process.stderr.write(`temporal: ${line}\n`),
  });
  if (source.kind === 'executable') process.env['CUTOVER_TEST_TEMPORAL'] = source.path;
}

function isBuilt(): boolean {
  const bundle = join(ROOT, 'dist', 'workflow-bundle.js');
  if (!existsSync(bundle)) return false;
  const builtMs = statSync(bundle).mtimeMs;
  return ['src', 'scripts', 'tools', 'chaos', 'bench'].every(
    (folder) => newestMs(join(ROOT, folder)) < builtMs,
  );
}

function newestMs(folder: string): number {
  return Math.max(
    0,
    ...readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs),
  );
}
