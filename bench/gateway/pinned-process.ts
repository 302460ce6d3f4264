import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { environment } from '../../src/config';

export interface Started {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a program on one core, or several such as `0,1` (taskset replaces itself by it, so the process id is the program's). */
export function startPinned(
  core: number | string,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Started {
  const child = spawn('taskset', ['-c', `${core}`, command, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...environment, ...env },
  });
  return { pid: child.pid ?? 0, stop: () => stopped(child) };
}

/** Throws what to install where one of the programs is not on PATH. */
export function needPrograms(packages: Readonly<Record<string, string>>): void {
  const folders = (environment['PATH'] ?? '').split(delimiter);
  const missing = Object.keys(packages).filter(
    (program) => !folders.some((folder) => existsSync(join(folder, program))),
  );
  if (missing.length === 0) return;
  const from = [...new Set(missing.map((program) => packages[program]))].join(' ');
  throw new Error(`expected ${missing.join(', ')} on PATH: apt-get install ${from}`);
}

/** Runs a program on one core to its end and returns what it printed. */
export async function runPinned(core: number, command: string, args: readonly string[]): Promise<string> {
  const child = spawn('taskset', ['-c', `${core}`, command, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (piece: Buffer) => {
    text += piece.toString('utf8');
  });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0)
    throw new Error(`expected ${command} to end well, got exit code ${code}: ${text.slice(0, 300)}`);
  return text;
}

/** Waits until an address answers anything at all. */
export async function untilAnswers(url: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    try {
      await (await fetch(url)).arrayBuffer();
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error(`expected an answer from ${url} within 10 s, got none`);
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeoutKill(child);
  await ended;
  clearTimeout(timer);
}

function setTimeoutKill(child: ChildProcess): NodeJS.Timeout {
  return setTimeout(() => child.kill('SIGKILL'), 5_000);
}
