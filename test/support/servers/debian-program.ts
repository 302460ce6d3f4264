import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { lock } from 'proper-lockfile';
import { cacheDirectory, environment } from '../../../src/config';

const run = promisify(execFile);
const MINUTES_MS = 60_000;

/** A program that tests run, and the Debian package that brings it. */
export interface DebianProgram {
  readonly program: string;
  readonly package: string;
  /** Where the package puts it, such as `usr/bin/promtool`. */
  readonly path: string;
}

/**
 * The program's path: from PATH, else out of its Debian package, unpacked into this project's cache without being
 * installed, so that no service starts. Throws with what a person can do.
 */
export async function unpackedProgram(wanted: DebianProgram): Promise<string> {
  const found = onPath(wanted.program);
  if (found !== null) return found;
  const folder = join(cacheDirectory(), 'debian', wanted.package);
  const path = join(folder, wanted.path);
  mkdirSync(join(cacheDirectory(), 'debian'), { recursive: true });
  const release = await lock(join(cacheDirectory(), 'debian'), {
    retries: { retries: 120, maxTimeout: 2_000 },
  });
  try {
    if (existsSync(path)) return path;
    await unpack(wanted.package, folder);
    return path;
  } catch (cause) {
    throw new Error(`expected ${wanted.program}: install the Debian package ${wanted.package}`, { cause });
  } finally {
    await release();
  }
}

/** The program's path: from PATH, else after its Debian package was installed. Throws with what a person can do. */
export async function installedProgram({ program, package: name }: DebianProgram): Promise<string> {
  const found = onPath(program);
  if (found !== null) return found;
  mkdirSync(join(cacheDirectory(), 'debian'), { recursive: true });
  const release = await lock(join(cacheDirectory(), 'debian'), {
    retries: { retries: 120, maxTimeout: 2_000 },
  });
  try {
    await installPackage(name);
    const installed = onPath(program);
    if (installed === null) throw new Error(`${name} brought no ${program}`);
    return installed;
  } catch (cause) {
    throw new Error(`expected ${program}: install the Debian package ${name}`, { cause });
  } finally {
    await release();
  }
}

/** Installs a Debian package, as root. */
export async function installPackage(name: string): Promise<void> {
  await aptGet(['install', '--yes', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', name]);
}

function onPath(program: string): string | null {
  const folders = (environment['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path)) ?? null;
}

async function unpack(name: string, folder: string): Promise<void> {
  const fresh = mkdtempSync(`${folder}-`);
  try {
    await aptGet(['download', name], fresh);
    const archive = readdirSync(fresh).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get download ${name} brought no archive`);
    await run('dpkg-deb', ['--extract', join(fresh, archive), join(fresh, 'tree')], { timeout: MINUTES_MS });
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(fresh, 'tree'), folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Where the lists are missing or old, they are read anew and the command is run once more. */
async function aptGet(args: readonly string[], cwd = '/'): Promise<void> {
  const env = { ...environment, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { cwd, env, timeout: 5 * MINUTES_MS, maxBuffer: 16 * 1024 * 1024 };
  const quiet = ['--quiet', '-o', 'APT::Sandbox::User=root'];
  try {
    await run('apt-get', [...quiet, ...args], options);
  } catch {
    await run('apt-get', [...quiet, 'update'], options);
    await run('apt-get', [...quiet, ...args], options);
  }
}
