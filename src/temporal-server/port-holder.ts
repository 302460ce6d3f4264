import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/** TCP_LISTEN in /proc/net/tcp. */
const LISTENING = '0A';

/**
 * Who listens on a port of this machine, such as `node main.js gateway (pid 4711)`; null where the system does not say: not
 * Linux, or a process of another user.
 */
export function portHolder(port: number): string | null {
  try {
    const sockets = new Set(['tcp', 'tcp6'].flatMap((table) => listeningSockets(table, port)));
    if (sockets.size === 0) return null;
    const pid = readdirSync('/proc').find((entry) => /^\d+$/.test(entry) && holdsOne(entry, sockets));
    return pid === undefined ? null : `${commandOf(pid)} (pid ${pid})`;
  } catch {
    return null;
  }
}

/** `, which PROGRAM holds`, or nothing where that is not known. */
export function heldByText(port: number): string {
  const holder = portHolder(port);
  return holder === null ? '' : `, which ${holder} holds`;
}

/** `socket:[INODE]` of those who listen on a port. */
function listeningSockets(table: string, port: number): string[] {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync(`/proc/net/${table}`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(hex) === true && fields[3] === LISTENING)
    .map((fields) => `socket:[${fields[9]}]`);
}

function holdsOne(pid: string, sockets: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    // Another user's process, or one that is gone.
    return false;
  }
}

/** The first three words without their folders; what follows may hold what nobody else should read. */
function commandOf(pid: string): string {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean);
  const shown = words.slice(0, 3).filter((word) => !/[=\s]/.test(word) && word.length < 100);
  return shown.map((word) => basename(word)).join(' ') || 'another program';
}
