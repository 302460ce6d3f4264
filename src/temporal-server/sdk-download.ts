import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { version as sdkVersion } from '@temporalio/client/package.json';
import { installCommand, isMissing } from '../optional-package';
import type { MadeExecutable, MakingOptions } from './executable-cache';
import { runProgram } from './program';

/** The cache's name for what this SDK downloads: the release that its makers chose for it. */
export const DOWNLOAD_ORIGIN = `sdk-${sdkVersion}`;

const STALL_TIMEOUT_MS = 20_000;
const POLL_MS = 1_000;
const PROGRESS_EVERY_MS = 15_000;

/**
 * In a process of its own, because the SDK offers no way to abort a download, and because starting it here
 * would instantiate the SDK's runtime before the worker can configure it.
 */
const DOWNLOAD_PROGRAM = `
const [, testing, downloadDir] = process.argv;
require(testing)
  .TestWorkflowEnvironment.createLocal({ server: { executable: { type: 'cached-download', downloadDir } } })
  .then((environment) => environment.teardown())
  .catch((error) => {
    console.error(error.message.split('): ').at(-1));
    process.exitCode = 1;
  });
`;

/** Downloads the Temporal command by the SDK's own means; gives up when nothing has arrived for 20 s. */
export async function downloadBySdk(folder: string, options: MakingOptions): Promise<MadeExecutable> {
  const downloader = downloaderPath();
  if (downloader === null) {
    const command = installCommand(['@temporalio/testing']);
    return { ok: false, reason: `temporal.download: @temporalio/testing is not installed: ${command}` };
  }
  const stalled = new AbortController();
  const watching = watchGrowth(folder, options.report, stalled);
  const result = await runProgram({
    path: process.execPath,
    args: ['-e', DOWNLOAD_PROGRAM, downloader, folder],
    env: options.env,
    signal: AbortSignal.any([options.signal, stalled.signal]),
  });
  clearInterval(watching);
  if (!result.ok) return { ok: false, reason: `temporal.download: ${result.reason}` };
  const file = (await readdir(folder)).find((name) => name.startsWith('temporal'));
  return file === undefined
    ? { ok: false, reason: 'the SDK downloaded no file' }
    : { ok: true, path: join(folder, file) };
}

function watchGrowth(
  folder: string,
  report: (line: string) => void,
  stalled: AbortController,
): NodeJS.Timeout {
  let seen = { bytes: 0, atMs: performance.now() };
  let reportedMs = performance.now();
  return setInterval(async () => {
    const nowMs = performance.now();
    const bytes = await folderBytes(folder);
    if (bytes > seen.bytes) seen = { bytes, atMs: nowMs };
    else if (nowMs - seen.atMs > STALL_TIMEOUT_MS) {
      stalled.abort(new Error(`nothing arrived for ${STALL_TIMEOUT_MS / 1_000} s`));
    }
    if (bytes > 0 && nowMs - reportedMs > PROGRESS_EVERY_MS) {
      reportedMs = nowMs;
      report(`downloading Temporal: ${Math.round(bytes / 1e6)} MB unpacked`);
    }
  }, POLL_MS);
}

async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        (entry) => entry.size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Null where the package is not installed. */
function downloaderPath(): string | null {
  try {
    return require.resolve('@temporalio/testing');
  } catch (error) {
    if (isMissing('@temporalio/testing', error)) return null;
    throw error;
  }
}
