import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { lock } from 'proper-lockfile';
import { cacheDirectory } from '../../../src/config';
import { installPackage } from './debian-program';

const run = promisify(execFile);
const MINUTES_MS = 60_000;
/** The Python package of this checkout. */
const PACKAGE = join(__dirname, '..', '..', '..', 'training');
const NAMES = ['python3', 'python3.13', 'python3.12', 'python3.11'];
const IS_NEW_ENOUGH = 'import sys; sys.exit(sys.version_info < (3, 11))';

/** What runs the training package of this checkout: a Python, and the variables that it needs. */
export interface TrainingPython {
  readonly python: string;
  readonly env: { readonly PYTHONPATH: string; readonly PYTHONDONTWRITEBYTECODE: '1' };
}

/**
 * A virtual environment with what `training/` needs, made once into this project's cache; the package itself comes from
 * this checkout. Throws with what a person can do.
 */
export async function trainingPython(): Promise<TrainingPython> {
  const wanted = readFileSync(join(PACKAGE, 'pyproject.toml'));
  const folder = join(
    cacheDirectory(),
    'training',
    createHash('sha256').update(wanted).digest('hex').slice(0, 12),
  );
  mkdirSync(join(cacheDirectory(), 'training'), { recursive: true });
  const release = await lock(join(cacheDirectory(), 'training'), {
    stale: 10 * MINUTES_MS,
    retries: { retries: 300, maxTimeout: 2_000 },
  });
  try {
    if (!existsSync(join(folder, 'whole'))) await install(folder);
    const env = { PYTHONPATH: PACKAGE, PYTHONDONTWRITEBYTECODE: '1' } as const;
    return { python: join(folder, 'bin', 'python'), env };
  } catch (cause) {
    throw new Error('expected Python 3.11 or later with venv and pip: install python3 and python3-venv', {
      cause,
    });
  } finally {
    await release();
  }
}

/** A virtual environment knows its own path, so it is made in place and marked when it is whole. */
async function install(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const python = await newEnough();
  const options = { timeout: 10 * MINUTES_MS, maxBuffer: 16 * 1024 * 1024 };
  try {
    await run(python, ['-m', 'venv', folder], options);
  } catch {
    // Debian keeps a part of venv in a package of its own.
    await installPackage('python3-venv');
    rmSync(folder, { recursive: true, force: true });
    await run(python, ['-m', 'venv', folder], options);
  }
  const own = join(folder, 'bin', 'python');
  // A copy: pip builds in the folder that it is given, and this one is a checkout.
  const copy = mkdtempSync(join(cacheDirectory(), 'training', 'build-'));
  try {
    mkdirSync(join(copy, 'cutover_training'));
    writeFileSync(join(copy, 'cutover_training', '__init__.py'), '');
    writeFileSync(join(copy, 'pyproject.toml'), readFileSync(join(PACKAGE, 'pyproject.toml')));
    await run(
      own,
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `${copy}[test]`],
      options,
    );
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  // What is tested is the checkout, never an installed copy.
  await run(own, ['-m', 'pip', 'uninstall', '--quiet', '--yes', 'cutover-training'], options);
  writeFileSync(join(folder, 'marking'), '');
  renameSync(join(folder, 'marking'), join(folder, 'whole'));
}

async function newEnough(): Promise<string> {
  for (const name of NAMES) {
    try {
      await run(name, ['-c', IS_NEW_ENOUGH]);
      return name;
    } catch {
      // Not there, or older: the next one.
    }
  }
  throw new Error(`none of ${NAMES.join(', ')} is Python 3.11 or later`);
}
