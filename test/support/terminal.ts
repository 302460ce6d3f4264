import { spawn } from 'node:child_process';
import { built, type CliResult, cliEnvironment } from './cli';

/** Runs `cutover ARGS` at a terminal of its own (util-linux's script), and types a line once `prompt` is shown. */
export function runAtTerminal(
  args: readonly string[],
  options: {
    readonly prompt: RegExp;
    readonly types: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
  },
): Promise<Pick<CliResult, 'code'> & { readonly shown: string }> {
  const words = [process.execPath, built('src', 'cli', 'main.js'), ...args];
  const command = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return new Promise((resolve, reject) => {
    const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env: cliEnvironment(options.env),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    let shown = '';
    let hasTyped = false;
    child.stdout.on('data', (piece) => {
      shown += piece;
      if (hasTyped || !options.prompt.test(shown)) return;
      hasTyped = true;
      child.stdin.write(options.types);
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, shown: shown.replaceAll('\r\n', '\n') }));
  });
}
