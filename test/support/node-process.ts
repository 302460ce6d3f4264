import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** A child process of node that a test may kill, stop and continue; what it prints is kept. */
export interface NodeProcess {
  readonly pid: number;
  /** Everything it printed so far, on both streams. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** Null while it runs, and when a signal ended it. */
  exitCode(): number | null;
  /** Resolves when it is gone, however it ended. */
  readonly gone: Promise<void>;
  /** Sends the signal and resolves when the process is gone. */
  end(name?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

const READY_MS = 30_000;
const KILL_AFTER_MS = 15_000;

/** Starts `node ARGS` with nothing of this machine's settings and waits until it has printed `ready`. */
export async function startNode(
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly cwd: string; readonly ready: string },
): Promise<NodeProcess> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    env: { PATH, HOME, TEMPORAL_CONFIG_FILE: `${options.cwd}/no-temporal.toml`, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const killAtExit = () => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  void gone.then(() => process.off('exit', killAtExit));
  const end = (name: 'SIGTERM' | 'SIGKILL' = 'SIGTERM') => endOf(child, gone, name);

  const deadlineMs = performance.now() + READY_MS;
  while (!output.includes(options.ready)) {
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      await end('SIGKILL');
      throw new Error(`expected "${options.ready}" from node ${args.join(' ')}, got:\n${output}`);
    }
    await sleep(20);
  }
  return {
    pid: child.pid as number,
    output: () => output,
    signal: (name) => void child.kill(name),
    exitCode: () => child.exitCode,
    gone,
    end,
  };
}

async function endOf(child: ChildProcess, gone: Promise<void>, name: NodeJS.Signals): Promise<void> {
  child.kill(name);
  // A stopped process takes no other signal until it goes on.
  child.kill('SIGCONT');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await gone;
  clearTimeout(timer);
}
