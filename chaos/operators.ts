import { execFile } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLI } from './stack-programs';

export interface OperatorsOptions {
  readonly folder: string;
  /** Path of the Temporal command. */
  readonly temporal: string;
  readonly temporalAddress: string;
  readonly secrets: Readonly<Record<string, string>>;
}

/** What an operator asked, and the answer. */
export interface OperatorLine {
  readonly by: string;
  readonly args: readonly string[];
  readonly atMs: number;
  readonly untilMs: number;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const LONGEST_MS = 90_000;
const LOGGED_CHARACTERS = 20_000;

/** People with a direct way to everything; what they ask and are answered is logged. */
export class Operators {
  constructor(private readonly options: OperatorsOptions) {}

  /** Runs `cutover ARGS`. */
  cutover(by: string, args: readonly string[]): Promise<OperatorLine> {
    const { folder, secrets, temporalAddress } = this.options;
    return this.#logged(by, args, process.execPath, [CLI, ...args], {
      ...secrets,
      CUTOVER_CONFIG: join(folder, 'operators.json'),
      TEMPORAL_ADDRESS: temporalAddress,
      TEMPORAL_CONFIG_FILE: join(folder, 'no-temporal.toml'),
    });
  }

  /** Runs Temporal's own command, as somebody at its UI. */
  temporal(args: readonly string[]): Promise<OperatorLine> {
    const { temporal, temporalAddress } = this.options;
    return this.#logged('temporal', args, temporal, [...args, '--address', temporalAddress], {});
  }

  async #logged(
    by: string,
    args: readonly string[],
    command: string,
    all: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<OperatorLine> {
    const { folder } = this.options;
    const atMs = Date.now();
    const { code, stdout, stderr } = await execute(command, all, env, folder);
    const [out, err] = [stdout, stderr].map((text) => text.slice(0, LOGGED_CHARACTERS)) as [string, string];
    const line = { by, args, atMs, untilMs: Date.now(), code, stdout: out, stderr: err };
    appendFileSync(join(folder, 'operators.jsonl'), `${JSON.stringify(line)}\n`);
    return line;
  }
}

function execute(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { PATH = '', HOME = '' } = process.env;
  const options = { cwd, env: { PATH, HOME, ...env }, timeout: LONGEST_MS, maxBuffer: 16 * 1024 * 1024 };
  return new Promise((resolve) => {
    execFile(command, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}
