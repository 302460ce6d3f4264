import type { Command } from 'commander';
import { workerBuild } from '../../config';
import type { WorkerBuild } from '../../contract';
import { CliError, EXIT } from './cli-error';

export interface BuildFlags {
  readonly deployment?: string;
  readonly buildId?: string;
}

/** Temporal separates the two parts of its own names by dots and colons. */
const DEPLOYMENT = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
/** What the tag of an image may be. */
const BUILD_ID = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** Adds `--deployment` and `--build-id`. */
export function withBuild(command: Command, what: string): Command {
  return command
    .option('--deployment <name>', 'Worker Deployment of Temporal (default: CUTOVER_DEPLOYMENT, else none)')
    .option('--build-id <id>', `${what} (default: CUTOVER_BUILD_ID, else none)`);
}

/** The build that was named; undefined where none was. Throws `CliError` for half of one. */
export function buildOf(flags: BuildFlags): WorkerBuild | undefined {
  const { deployment, buildId } = workerBuild(flags);
  if (deployment === undefined && buildId === undefined) return undefined;
  if (deployment === undefined || buildId === undefined) {
    const [got, missing] =
      buildId === undefined ? ['--deployment', '--build-id'] : ['--build-id', '--deployment'];
    throw new CliError(`expected ${got} and ${missing} together, got ${got} alone`, EXIT.badInput);
  }
  check(
    '--deployment',
    deployment,
    DEPLOYMENT,
    'a name of A-Z, a-z, 0-9, dash and underscore, at most 63 long',
  );
  check(
    '--build-id',
    buildId,
    BUILD_ID,
    'an id of A-Z, a-z, 0-9, dot, dash and underscore, at most 128 long',
  );
  return { deployment, buildId };
}

/** What a worker's first line adds of its build. */
export function asBuild(build: WorkerBuild | undefined): string {
  return build === undefined ? '' : ` as build ${build.buildId} of ${build.deployment}`;
}

function check(option: string, value: string, pattern: RegExp, expected: string): void {
  if (pattern.test(value)) return;
  throw new CliError(`${option}: expected ${expected}, got ${JSON.stringify(value)}`, EXIT.badInput);
}
