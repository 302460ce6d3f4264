import { existsSync } from 'node:fs';
import { type ConfiguredAddress, configuredAddress } from './configured-address';
import { checkVersion, findOnPath } from './executable';
import { cachedPath, installExecutable, type MadeExecutable, withCacheLock } from './executable-cache';
import { buildByGo, GO_ORIGIN } from './go-build';
import type { Environment } from './program';
import { DOWNLOAD_ORIGIN, downloadBySdk } from './sdk-download';

/** Where a Temporal executable was found. */
type ExecutableOrigin = 'TEMPORAL_CLI_PATH' | 'PATH' | 'cache' | 'download' | 'go';

/** A Temporal service to connect to, or an executable that can start a development server. */
export type TemporalSource =
  | ({ readonly kind: 'address' } & ConfiguredAddress)
  | {
      readonly kind: 'executable';
      readonly path: string;
      readonly version: string;
      readonly foundBy: ExecutableOrigin;
    };

/** What one step of the search came to: `absent` when there was nothing to try, `failed` when it did not work. */
export type StepFinding =
  | { readonly outcome: 'found'; readonly source: TemporalSource }
  | { readonly outcome: 'absent' | 'failed'; readonly reason: string };

/** What the search needs to know; nothing is read from elsewhere but the file system. */
export interface SearchOptions {
  readonly env: Environment;
  /** The folder for what can be downloaded or built again, such as ~/.cache/cutover. */
  readonly cacheDir: string;
  readonly signal?: AbortSignal;
}

/** Options of `findTemporal`; `report` gets one line for each failed step and for progress. */
export interface FindTemporalOptions extends SearchOptions {
  readonly report: (line: string) => void;
}

/** Thrown when no step of the search gave a Temporal; `failures` has one line for each. */
class TemporalNotFound extends Error {
  override readonly name = 'TemporalNotFound';
  constructor(readonly failures: readonly string[]) {
    super(
      [
        'expected a Temporal server, found none:',
        ...failures.map((line) => `  - ${line}`),
        'Any one of these helps:',
        '  - install the Temporal command (https://docs.temporal.io/cli#install) so that `temporal` is on PATH',
        '  - set TEMPORAL_CLI_PATH to the Temporal command',
        '  - set TEMPORAL_ADDRESS=host:port (and TEMPORAL_NAMESPACE, TEMPORAL_API_KEY) to a running Temporal',
        '  - let this machine reach https://temporal.download and github.com, or set HTTPS_PROXY',
        '  - install Go (https://go.dev/dl): Cutover then builds the command, which takes a few minutes',
      ].join('\n'),
    );
  }
}

/** The steps that only look, in their order. */
export const LOCAL_STEPS: readonly {
  readonly name: string;
  readonly look: (options: Required<SearchOptions>) => Promise<StepFinding>;
}[] = [
  { name: 'configured address', look: async ({ env }) => lookForAddress(env) },
  { name: 'TEMPORAL_CLI_PATH', look: lookAtCliPath },
  { name: 'PATH', look: lookOnPath },
  { name: 'cache', look: lookInCache },
];

/**
 * Finds Temporal by the first step that works: configured address or profile, TEMPORAL_CLI_PATH, PATH, cache,
 * the SDK's download, a build with Go. Throws `InvalidTemporalConfiguration`, `TemporalNotFound` or, when
 * aborted, the signal's reason.
 */
export async function findTemporal(options: FindTemporalOptions): Promise<TemporalSource> {
  const { report } = options;
  const search = { ...options, signal: options.signal ?? new AbortController().signal };
  const failures: string[] = [];
  const absences: string[] = [];
  for (const step of LOCAL_STEPS) {
    const finding = await step.look(search);
    search.signal.throwIfAborted();
    if (finding.outcome === 'found') return finding.source;
    const line = `${step.name}: ${finding.reason}`;
    failures.push(line);
    // What was never there is worth a line only if nothing else turns up.
    if (finding.outcome === 'failed') report(line);
    else absences.push(line);
  }
  for (const line of absences) report(line);

  return withCacheLock(search, async () => {
    const cached = await lookInCache(search);
    if (cached.outcome === 'found') return cached.source;
    for (const maker of MAKERS) {
      report(`${maker.name}: trying`);
      const installed = await installExecutable({
        ...search,
        origin: maker.origin,
        make: (folder) => maker.make(folder, search),
      });
      search.signal.throwIfAborted();
      if (installed.ok) {
        return { kind: 'executable', path: installed.path, version: installed.version, foundBy: maker.name };
      }
      const line = `${maker.name}: ${installed.reason}`;
      failures.push(line);
      report(line);
    }
    throw new TemporalNotFound(failures);
  });
}

const MAKERS: readonly {
  readonly name: 'download' | 'go';
  readonly origin: string;
  readonly make: (
    folder: string,
    options: Required<SearchOptions> & FindTemporalOptions,
  ) => Promise<MadeExecutable>;
}[] = [
  { name: 'download', origin: DOWNLOAD_ORIGIN, make: downloadBySdk },
  { name: 'go', origin: GO_ORIGIN, make: buildByGo },
];

function lookForAddress(env: Environment): StepFinding {
  const address = configuredAddress(env);
  return address === undefined
    ? { outcome: 'absent', reason: 'TEMPORAL_ADDRESS is not set and no profile names an address' }
    : { outcome: 'found', source: { kind: 'address', ...address } };
}

async function lookAtCliPath({ env, signal }: Required<SearchOptions>): Promise<StepFinding> {
  const path = env.TEMPORAL_CLI_PATH;
  if (path === undefined || path === '') return { outcome: 'absent', reason: 'not set' };
  return tryExecutable(path, 'TEMPORAL_CLI_PATH', env, signal);
}

async function lookOnPath({ env, signal }: Required<SearchOptions>): Promise<StepFinding> {
  const path = findOnPath('temporal', env);
  if (path === undefined) return { outcome: 'absent', reason: 'there is no `temporal` on PATH' };
  return tryExecutable(path, 'PATH', env, signal);
}

async function lookInCache({ env, cacheDir, signal }: Required<SearchOptions>): Promise<StepFinding> {
  const paths = [DOWNLOAD_ORIGIN, GO_ORIGIN]
    .map((origin) => cachedPath(cacheDir, origin))
    .filter((path) => existsSync(path));
  let finding: StepFinding = { outcome: 'absent', reason: `nothing in ${cacheDir} yet` };
  for (const path of paths) {
    finding = await tryExecutable(path, 'cache', env, signal);
    if (finding.outcome === 'found') break;
  }
  return finding;
}

async function tryExecutable(
  path: string,
  foundBy: ExecutableOrigin,
  env: Environment,
  signal: AbortSignal,
): Promise<StepFinding> {
  const check = await checkVersion(path, env, signal);
  return check.ok
    ? { outcome: 'found', source: { kind: 'executable', path, version: check.version, foundBy } }
    : { outcome: 'failed', reason: `${path}: ${check.reason}` };
}
