import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { DemoResult } from '../../src/demo/run-demo';
import { built } from './cli';

const LONGEST_MS = 290_000;

/** Runs `cutover demo --json` as a user would; what it narrates and its one closing line. */
export async function runDemoProgram(
  args: readonly string[],
  extra: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; result: DemoResult; narration: string }> {
  const { TEMPORAL_ADDRESS: _unset, ...env } = process.env;
  const child = spawn(process.execPath, [built('src', 'cli', 'main.js'), 'demo', '--json', ...args], {
    env: { ...env, ...extra, TEMPORAL_CLI_PATH: process.env['CUTOVER_TEST_TEMPORAL'] },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  });
  const [stdout, narration, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`the demo ended (code ${code}) without a result:\n${narration}`);
  return { code, result: JSON.parse(line) as DemoResult, narration };
}
