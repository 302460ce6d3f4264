import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Environment, runProgram } from './program';

const VERSION_TIMEOUT_MS = 15_000;
const EXECUTABLE_SUFFIX = process.platform === 'win32' ? '.exe' : '';

/** The name of a program's file on this system: `temporal`, or `temporal.exe` on Windows. */
export function executableName(program: string): string {
  return `${program}${EXECUTABLE_SUFFIX}`;
}

/** The first executable file of that name on PATH, as a shell would find it. */
export function findOnPath(program: string, env: Environment): string | undefined {
  return (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, executableName(program)))
    .find(isExecutableFile);
}

/** A file's version if it runs as the Temporal command; nothing else makes a file acceptable. */
export type VersionCheck =
  | { readonly ok: true; readonly version: string }
  | { readonly ok: false; readonly reason: string };

/** Runs `PATH --version` and reads the answer, such as `1.5.1 (Server 1.29.1, UI 2.42.1)`. */
export async function checkVersion(
  path: string,
  env: Environment,
  signal: AbortSignal,
): Promise<VersionCheck> {
  const result = await runProgram({
    path,
    args: ['--version'],
    env,
    signal: AbortSignal.any([signal, AbortSignal.timeout(VERSION_TIMEOUT_MS)]),
  });
  if (!result.ok) return result;
  const version = result.lines.map((line) => /^temporal version (\S.*)$/.exec(line)?.[1]).find(Boolean);
  if (version !== undefined) return { ok: true, version };
  const answer = (result.lines[0] ?? 'nothing').slice(0, 100);
  return {
    ok: false,
    reason: `expected it to answer --version with "temporal version ...", got "${answer}"`,
  };
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
