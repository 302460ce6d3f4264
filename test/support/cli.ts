import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';

/** The built program: what users run. CUTOVER_TEST_CLI names another build. */
const CLI = process.env['CUTOVER_TEST_CLI'] ?? join(__dirname, '..', '..', 'dist', 'src', 'cli', 'main.js');

/** A file of the build, such as `workflow-bundle.js`. */
export function built(...path: string[]): string {
  return join(dirname(CLI), '..', '..', ...path);
}

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const LONGEST_MS = 50_000;

/** Runs `cutover ARGS` as a user would, with nothing of this machine's Temporal or cutover settings. */
export function runCli(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<CliResult> {
  return runNode(CLI, args, options);
}

const WAITING =
  /^(?:sent to Temporal; waiting for a worker|the migration has not answered yet; still asking|waiting: .* \(\d+ s\))\n/gm;

/** Standard error without what a command says while it waits: whether it has to wait is up to the machine. */
export function withoutWaiting<Result extends CliResult>(result: Result): Result {
  return { ...result, stderr: result.stderr.replace(WAITING, '') };
}

/** What a command is run with: nothing of this machine's Temporal or cutover settings. */
export function cliEnvironment(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env;
  return { PATH, HOME, TEMPORAL_CONFIG_FILE: join(__dirname, 'no-temporal.toml'), ...env };
}

/** Runs a file of the build with node, such as a script. */
export function runNode(
  file: string,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<CliResult> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [file, ...args],
      {
        env: cliEnvironment(options.env),
        timeout: LONGEST_MS,
        maxBuffer: 16 * 1024 * 1024,
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}
