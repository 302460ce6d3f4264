import { spawn } from 'node:child_process';
import { type PrintedKey, readPrintedKey } from '../../core/access/credential-answer';
import type { CredentialConfiguration } from '../../core/configuration/credential-schema';
import { formatDuration } from '../../core/text/duration';

/** Bytes: far above any key. */
const OUTPUT_MOST = 65_536;

/**
 * Runs a command that prints a key; without a shell, and killed with all that it has started when it takes too long.
 * Resolves with a text that says what went wrong, and never with anything that it printed but the key.
 */
export function runCredentialCommand(
  { command, lifetime, timeout }: CredentialConfiguration,
  signal: AbortSignal,
): Promise<PrintedKey | string> {
  const [program = '', ...args] = command;
  return new Promise((resolve) => {
    // A group of its own: what is killed is often a script that waits for another program.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (result: PrintedKey | string) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve(result);
    };
    const kill = (why: string) => {
      killGroup(child.pid);
      child.stdout.destroy();
      end(why);
    };
    const stop = () => kill('it was stopped');
    const timer = setTimeout(() => kill(`it printed no key within ${formatDuration(timeout)}`), timeout);
    signal.addEventListener('abort', stop);
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > OUTPUT_MOST) kill(`it printed more than ${OUTPUT_MOST} bytes`);
      else chunks.push(chunk);
    });
    child.once('error', (error: NodeJS.ErrnoException) =>
      end(`it cannot be started: ${error.code ?? 'unknown'}`),
    );
    child.once('close', (code, by) => {
      if (code !== 0) return end(`it ended with ${by ?? `exit code ${code}`}`);
      end(readPrintedKey(Buffer.concat(chunks).toString('utf8'), lifetime, Date.now()));
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
