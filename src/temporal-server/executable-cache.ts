import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lock } from 'proper-lockfile';
import { checkVersion, executableName } from './executable';
import type { Environment } from './program';

const PARTIAL_PREFIX = 'partial-';
const LOCK_STALE_MS = 15_000;
const LOCK_POLL_MS = 300;

/** Where a finished executable stands in the cache; `origin` names how it was had and its version. */
export function cachedPath(cacheDir: string, origin: string): string {
  return join(cacheDir, 'temporal', executableName(`temporal-${origin}`));
}

/** Runs `work` while holding the cache's lock, so that of several commands one downloads or builds. */
export async function withCacheLock<Result>(
  options: {
    readonly cacheDir: string;
    readonly report: (line: string) => void;
    readonly signal: AbortSignal;
  },
  work: () => Promise<Result>,
): Promise<Result> {
  const folder = join(options.cacheDir, 'temporal');
  await mkdir(folder, { recursive: true });
  const release = await acquire(folder, options.report, options.signal);
  try {
    await removePartials(folder);
    return await work();
  } finally {
    await release();
  }
}

/** What making an executable needs to know. */
export interface MakingOptions {
  readonly env: Environment;
  readonly report: (line: string) => void;
  readonly signal: AbortSignal;
}

/** A new executable on its way into the cache, or why there is none. */
export type MadeExecutable =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly reason: string };

/** An executable that stands in the cache and ran there, or why there is none. */
export type InstalledExecutable =
  | { readonly ok: true; readonly path: string; readonly version: string }
  | { readonly ok: false; readonly reason: string };

/**
 * Lets `make` produce an executable in a folder of its own and moves it to its place only after it ran.
 * The rename is atomic: whatever interrupts this, nothing unfinished bears the name of a finished one.
 */
export async function installExecutable(options: {
  readonly cacheDir: string;
  readonly origin: string;
  readonly env: Environment;
  readonly signal: AbortSignal;
  readonly make: (folder: string) => Promise<MadeExecutable>;
}): Promise<InstalledExecutable> {
  const partial = await mkdtemp(join(options.cacheDir, 'temporal', PARTIAL_PREFIX));
  try {
    const made = await options.make(partial);
    if (!made.ok) return made;
    const check = await checkVersion(made.path, options.env, options.signal);
    if (!check.ok)
      return { ok: false, reason: `the server that was downloaded or built does not run: ${check.reason}` };
    const path = cachedPath(options.cacheDir, options.origin);
    await rename(made.path, path);
    return { ok: true, path, version: check.version };
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function acquire(
  folder: string,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await lock(folder, {
        lockfilePath: join(folder, 'lock'),
        stale: LOCK_STALE_MS,
        // After a suspended laptop two may hold it: both then work in folders of their own, and the last rename wins.
        onCompromised: () => {},
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
      if (attempt === 1) report('another command is downloading or building Temporal: waiting for it');
      await sleep(LOCK_POLL_MS, undefined, { signal });
    }
  }
}

/** Under the lock nobody works in these: an interrupted download or build left them. */
async function removePartials(folder: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (entry.startsWith(PARTIAL_PREFIX)) await rm(join(folder, entry), { recursive: true, force: true });
  }
}
