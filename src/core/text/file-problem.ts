const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of its path is a file, not a directory',
  EISDIR: 'it is a folder',
  EACCES: 'this user has no permission for it',
  EPERM: 'this user has no permission for it',
  EROFS: 'it is on a read-only file system',
  ENOSPC: 'the disk is full',
  EEXIST: 'it is there already',
};

/** Whether the system's code says that something is wrong with a file, in one of the ways that have words here. */
export function isFileProblem(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return code !== undefined && code in PROBLEMS && syscall !== undefined && !syscall.startsWith('spawn');
}

/** Why a file cannot be used, in words; the code of the system where it is a rare one. */
export function fileProblem(error: unknown): string {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === 'EEXIST' && syscall === 'mkdir') return 'it is a file, not a folder';
  // Node says so of a folder on a read-only file system where it makes the folders above as well.
  if (code === 'ENOENT' && syscall === 'mkdir') return 'it cannot be made: is its file system read-only?';
  return (code === undefined ? undefined : PROBLEMS[code]) ?? `it failed (${code ?? String(error)})`;
}
