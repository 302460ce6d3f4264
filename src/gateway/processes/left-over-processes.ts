import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Owner, ownerOf } from '../routing/state-lock';

const LOOK_EVERY_MS = 10;

/** Keeps the ids of the processes that serve, for the next start to find; a disk that refuses is no reason not to serve. */
export function writeProcesses(path: string, pids: readonly number[]): void {
  try {
    writeFileSync(`${path}.tmp`, JSON.stringify(pids.map(ownerOf)));
    renameSync(`${path}.tmp`, path);
  } catch {
    // The state directory has been reported already where it cannot be written.
  }
}

/**
 * Ends what an earlier start has left: a process that was stopped when its primary died would serve by an old
 * lease when it is continued. Resolves when none is left.
 */
export async function endLeftOvers(path: string, warn: (message: string) => void): Promise<void> {
  for (const owner of readOwners(path)) {
    if (!runs(owner)) continue;
    warn(`Process ${owner.pid} is left from an earlier start and is killed`);
    process.kill(owner.pid, 'SIGKILL');
    while (runs(owner)) await sleep(LOOK_EVERY_MS);
  }
}

/** Whether this very process still runs here; one whose start cannot be read may be another with the same id. */
function runs(owner: Owner): boolean {
  const now = ownerOf(owner.pid);
  return now.start !== null && now.start === owner.start && now.host === owner.host;
}

function readOwners(path: string): Owner[] {
  try {
    const owners: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return Array.isArray(owners) ? owners.filter((owner) => typeof owner?.pid === 'number') : [];
  } catch {
    return [];
  }
}
