import { join } from 'node:path';
import { executableName, findOnPath } from './executable';
import type { MadeExecutable, MakingOptions } from './executable-cache';
import { type Environment, runProgram } from './program';

/** The newest release that builds as a Go module: later ones replace a dependency by a local folder. */
const RELEASE = '1.5.1';
/** As `go list -deps` counts them on Linux: only for telling how far the build is. */
const PACKAGES = 1297;
const MODULE = 'github.com/temporalio/cli';
const PROGRESS_EVERY_MS = 15_000;

/** The cache's name for what Go builds. */
export const GO_ORIGIN = `go-${RELEASE}`;

/** Go on PATH with its version, or why it cannot be used. */
export async function findGo(
  env: Environment,
  signal: AbortSignal,
): Promise<
  | { readonly ok: true; readonly path: string; readonly version: string }
  | { readonly ok: false; readonly reason: string }
> {
  const path = findOnPath('go', env);
  if (path === undefined) return { ok: false, reason: 'there is no `go` on PATH' };
  const result = await runProgram({ path, args: ['version'], env, signal });
  if (!result.ok) return { ok: false, reason: `${path}: ${result.reason}` };
  return { ok: true, path, version: result.lines[0] ?? 'unknown version' };
}

/** Builds the pinned Temporal command with Go: 3 to 5 minutes on two cores the first time. */
export async function buildByGo(folder: string, options: MakingOptions): Promise<MadeExecutable> {
  const go = await findGo(options.env, options.signal);
  if (!go.ok) return go;
  options.report(
    `building Temporal ${RELEASE} with ${go.version}: 3 to 5 minutes on two cores, the first time only`,
  );
  const startedMs = performance.now();
  let compiled = 0;
  const progress = setInterval(() => {
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    options.report(
      `building Temporal ${RELEASE}: ${seconds} s, ${compiled} of up to ${PACKAGES} packages compiled`,
    );
  }, PROGRESS_EVERY_MS);
  const result = await runProgram({
    path: go.path,
    args: [
      'install',
      '-v',
      '-ldflags',
      `-s -w -X ${MODULE}/temporalcli.Version=${RELEASE}`,
      `${MODULE}/cmd/temporal@v${RELEASE}`,
    ],
    // As the official releases are built: no C compiler is needed.
    env: { ...options.env, GOBIN: folder, CGO_ENABLED: '0' },
    signal: options.signal,
    onLine: (line) => {
      if (!line.startsWith('go: ')) compiled++;
    },
  });
  clearInterval(progress);
  return result.ok ? { ok: true, path: join(folder, executableName('temporal')) } : result;
}
