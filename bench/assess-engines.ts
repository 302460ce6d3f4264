import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../src/config';

/** What a program took and printed. */
export interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly memoryMb: number;
  readonly stdout: string;
}

/** The engines that the assessment is compared with. */
export interface Engines {
  readonly duckdb: string;
  readonly python: string;
}

/** The shell in the version of the library that the assessment runs on. */
const PACKAGES = ['duckdb-cli==1.5.6', 'pandas', 'pyarrow'];

/** The engines that were named, else those of a Python environment in the cache, installed when it is not there. */
export function findEngines(given: { readonly duckdb?: string; readonly python?: string }): Engines | null {
  const folder = join(cacheDirectory(), 'bench-assess');
  const own = { duckdb: join(folder, 'bin', 'duckdb'), python: join(folder, 'bin', 'python') };
  const engines = { duckdb: given.duckdb ?? own.duckdb, python: given.python ?? own.python };
  if (existsSync(engines.duckdb) && existsSync(engines.python)) return engines;
  process.stderr.write(`installing ${PACKAGES.join(', ')} into ${folder}\n`);
  mkdirSync(folder, { recursive: true });
  const steps: readonly (readonly [string, readonly string[]])[] = [
    ['python3', ['-m', 'venv', folder]],
    [own.python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES]],
  ];
  for (const [program, args] of steps) {
    const { status, error } = spawnSync(program, args, { stdio: ['ignore', 2, 2] });
    if (status === 0) continue;
    process.stderr.write(
      `${program} ${args.join(' ')} failed (${error?.message ?? `exit code ${status}`}): only Cutover is measured. ` +
        'Install Python 3 with venv and pip, or name the engines with --duckdb and --python.\n',
    );
    return null;
  }
  return engines;
}

/** Waits for a program and adds what it took of time and memory as the last line of standard error. */
const MEASURE = `
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == 'darwin' else 1024
print(json.dumps([time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1048576]), file=sys.stderr)
sys.exit(code)
`;

/** Runs a program to its end and measures it with Python's own means; throws when it fails. */
export function measured(python: string, program: string, args: readonly string[]): Run {
  const run = spawnSync(python, ['-c', MEASURE, program, ...args], {
    encoding: 'utf8',
    maxBuffer: 67_108_864,
  });
  if (run.status !== 0) {
    throw new Error(`${program} failed: ${String(run.stderr).trim().split('\n').slice(-4).join(' ')}`);
  }
  const last = run.stderr.trim().split('\n').at(-1) ?? '[]';
  const [seconds = Number.NaN, cpuSeconds = Number.NaN, memoryMb = Number.NaN] = JSON.parse(last) as number[];
  return { seconds, cpuSeconds, memoryMb, stdout: run.stdout };
}
