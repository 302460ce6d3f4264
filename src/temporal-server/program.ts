import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Environment variables as the caller read them; this folder never reads process.env itself. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How a program ended: its lines, or the one line that says best why it failed. */
export type ProgramResult =
  | { readonly ok: true; readonly lines: readonly string[] }
  | { readonly ok: false; readonly reason: string };

const KEPT_LINES = 50;
const LONGEST_REASON = 300;
const KILL_AFTER_MS = 5_000;

/** Runs a program to its end and keeps its last lines; an aborted signal ends it and is the reason given. */
export function runProgram(options: {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly signal: AbortSignal;
  readonly onLine?: (line: string) => void;
}): Promise<ProgramResult> {
  const { signal } = options;
  if (signal.aborted) return Promise.resolve({ ok: false, reason: abortReason(signal) });
  return new Promise((resolve) => {
    const lines: string[] = [];
    const child = spawn(options.path, options.args, { env: options.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let killTimer: NodeJS.Timeout | undefined;

    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (line.trim() === '') return;
        lines.push(line.trim());
        if (lines.length > KEPT_LINES) lines.shift();
        options.onLine?.(line);
      });
    }

    const onAbort = (): void => {
      child.kill('SIGTERM');
      killTimer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    };
    const finish = (result: ProgramResult): void => {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(killTimer);
      resolve(result);
    };
    signal.addEventListener('abort', onAbort, { once: true });

    child.once('error', (error: NodeJS.ErrnoException) =>
      finish({ ok: false, reason: `cannot be run (${error.code ?? error.message})` }),
    );
    // A grandchild may keep the pipes open after an abort, so 'close' would be waited for in vain.
    child.once('exit', () => {
      if (signal.aborted) finish({ ok: false, reason: abortReason(signal) });
    });
    child.once('close', (exitCode, killedBy) => {
      if (exitCode === 0) finish({ ok: true, lines });
      else finish({ ok: false, reason: failureReason(lines, exitCode, killedBy) });
    });
  });
}

function failureReason(lines: readonly string[], exitCode: number | null, killedBy: string | null): string {
  const ending = killedBy === null ? `exit code ${exitCode}` : `killed by ${killedBy}`;
  const lastLine = lines.at(-1);
  return lastLine === undefined ? ending : `${lastLine.slice(0, LONGEST_REASON)} (${ending})`;
}

function abortReason(signal: AbortSignal): string {
  const { reason } = signal;
  if (reason instanceof Error && reason.name === 'TimeoutError') return 'did not answer in time';
  return reason instanceof Error ? reason.message : String(reason);
}
