import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lock } from 'proper-lockfile';

/** A lock that was not refreshed for so long is nobody's. */
const STALE_MS = 10_000;
const RETRY_MS = 250;

/** Thrown at a start when another gateway uses the same state directory. */
export class StateDirectoryTaken extends Error {
  override readonly name = 'StateDirectoryTaken';
  constructor(
    readonly directory: string,
    readonly holder: string,
  ) {
    super(
      `expected the state directory ${directory} for this gateway alone, but ${holder} uses it; give each gateway its own gateway.stateDirectory`,
    );
  }
}

/** A process of a host. */
export interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Start of the process in the kernel's ticks, which tells it from a later one with the same id. */
  readonly start: string | null;
}

/**
 * Takes a state directory for this process; resolves with the function that gives it back. What a crash left
 * behind is taken over: at once where the dead process can be seen to be dead, after 10 s where it belonged
 * to another host or container. A directory that cannot be written is no reason not to serve. Throws
 * `StateDirectoryTaken`.
 */
export async function lockStateDirectory(
  directory: string,
  warn: (message: string) => void,
): Promise<() => Promise<void>> {
  const lockPath = join(directory, 'gateway.lock');
  const ownerPath = join(directory, 'gateway.owner');
  const giveUpAtMs = performance.now() + STALE_MS + 2_000;
  try {
    mkdirSync(directory, { recursive: true });
    for (;;) {
      const release = await tryLock(directory, lockPath, warn);
      if (release !== null) {
        writeFileSync(ownerPath, JSON.stringify(ownerOf(process.pid)));
        return async () => {
          rmSync(ownerPath, { force: true });
          await release().catch(() => undefined);
        };
      }
      const owner = readOwner(ownerPath, lockPath);
      if (owner !== null && isDead(owner)) {
        rmSync(lockPath, { recursive: true, force: true });
        continue;
      }
      const isHere = owner?.host === hostname();
      if (isHere || performance.now() > giveUpAtMs) throw new StateDirectoryTaken(directory, nameOf(owner));
      await sleep(RETRY_MS);
    }
  } catch (error) {
    if (error instanceof StateDirectoryTaken) throw error;
    warn(`The state directory ${directory} cannot be locked: ${(error as Error).message}`);
    return async () => undefined;
  }
}

async function tryLock(
  directory: string,
  lockfilePath: string,
  warn: (message: string) => void,
): Promise<(() => Promise<void>) | null> {
  try {
    return await lock(directory, {
      lockfilePath,
      stale: STALE_MS,
      onCompromised: (error) =>
        warn(`The lock of the state directory ${directory} is lost: ${error.message}`),
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOCKED') return null;
    throw error;
  }
}

/** The owner of the lock as it stands; null when the file is of an earlier one. */
function readOwner(ownerPath: string, lockPath: string): Owner | null {
  try {
    if (statSync(ownerPath).mtimeMs < statSync(lockPath).birthtimeMs) return null;
    return JSON.parse(readFileSync(ownerPath, 'utf8')) as Owner;
  } catch {
    return null;
  }
}

function isDead({ host, pid, start }: Owner): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
  }
  return start !== ownerOf(pid).start;
}

/** A process of this host as it runs now. */
export function ownerOf(pid: number): Owner {
  return { host: hostname(), pid, start: startOf(pid) };
}

/** Field 22 of /proc/PID/stat; null where there is no /proc, and for a process that has ended and was not waited for. */
function startOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function nameOf(owner: Owner | null): string {
  return owner === null ? 'another gateway' : `the gateway with process id ${owner.pid} on ${owner.host}`;
}
