import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second of /proc (USER_HZ), the same on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;

/** CPU time that a process and its children have used, microseconds. */
export function cpuMicros(pid: number): number {
  let ticks = 0;
  for (const each of withChildren(pid)) {
    const text = readFileSync(`/proc/${each}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return (ticks / TICKS_A_SECOND) * 1_000_000;
}

/** Resident memory of a process and its children, MB. */
export function residentMb(pid: number): number {
  let kilobytes = 0;
  for (const each of withChildren(pid)) {
    kilobytes += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0);
  }
  return kilobytes / 1024;
}

function withChildren(pid: number): number[] {
  const pids = [pid];
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim();
    if (children !== '') pids.push(...children.split(' ').map(Number));
  }
  return pids;
}
