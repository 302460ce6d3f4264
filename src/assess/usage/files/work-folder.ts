import { lstat, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { UsageSource } from './usage-source';

const PREFIX = 'cutover-assess-';

/** What is kept of a file that was read, so that a later attempt need not read it again. */
export interface ReadFile {
  /** Its rows as Parquet in the work folder; null where the file itself is read in place. */
  readonly staged: string | null;
  /** What SQL adds to leave rejected rows out; null where there are none. */
  readonly accepted: string | null;
  readonly source: UsageSource;
}

/**
 * A temporary folder for one run. With the folder of an earlier attempt on this machine it takes over the files that
 * were read completely. The old name is gone then, so that an attempt that is still alive spoils nothing.
 */
export async function openWorkFolder(earlier: string | null): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), PREFIX));
  if (earlier === null || !(await isWorkFolder(earlier))) return folder;
  try {
    await rename(earlier, folder);
  } catch {
    // It is gone, or this system cannot rename onto a folder: everything is read again.
    return folder;
  }
  const names = await readdir(folder);
  const known = await Promise.all(names.filter(isNote).map((name) => readNote(join(folder, name))));
  const kept = new Set([...names.filter(isNote), ...known.map((file) => file?.staged)]);
  await Promise.all(
    names
      .filter((name) => !kept.has(name))
      .map((name) => rm(join(folder, name), { recursive: true, force: true })),
  );
  return folder;
}

/** Notes that a file was read completely; `key` stands for the file as it is and how it was read. */
export async function rememberFile(folder: string, key: string, file: ReadFile): Promise<void> {
  const path = join(folder, `read-${key}.json`);
  await writeFile(`${path}.part`, JSON.stringify(file));
  await rename(`${path}.part`, path);
}

/** What an earlier attempt noted of a file; null when it did not read it. */
export function recallFile(folder: string, key: string): Promise<ReadFile | null> {
  return readNote(join(folder, `read-${key}.json`));
}

function isNote(name: string): boolean {
  return /^read-[0-9a-f]+\.json$/.test(name);
}

async function readNote(path: string): Promise<ReadFile | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as ReadFile);
}

/** The name comes from outside: only a folder such as this program makes, of this user, is taken over. */
async function isWorkFolder(path: string): Promise<boolean> {
  if (dirname(path) !== tmpdir() || !basename(path).startsWith(PREFIX)) return false;
  const there = await lstat(path).catch(() => null);
  return there?.isDirectory() === true && (process.getuid === undefined || there.uid === process.getuid());
}
