import { spawn } from 'node:child_process';
import { built, type CliResult, cliEnvironment } from './cli';

/** Runs `cutover ARGS` at a terminal of its own (util-linux's script), and types a line once `prompt` is shown. */
export function runAtTerminal(
  args: readonly string[],
  options: {
    readonly prompt: RegExp;
    readonly types: string;
    /** What is asked next, and answered likewise. */
    readonly next?: { readonly prompt: RegExp; readonly types: string };
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
    const questions = [options, ...(options.next === undefined ? [] : [options.next])];
    child.stdout.on('data', (piece) => {
      shown += piece;
      const [question] = questions;
      if (question === undefined || !question.prompt.test(shown)) return;
      questions.shift();
      child.stdin.write(question.types);
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, shown: shown.replaceAll('\r\n', '\n') }));
  });
}
