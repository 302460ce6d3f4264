import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../../src/config';

const SOURCES = join(__dirname, '..', '..', '..', 'bench', 'gateway');

/** A program of this folder in Go, built into the cache by the `go` of the PATH; standard library only. */
export function goProgram(name: string): string {
  const source = join(SOURCES, `${name}.go`);
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const folder = join(cacheDirectory(), 'bench-go');
  const program = join(folder, `${name}-${digest}`);
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    execFileSync('go', ['build', '-o', program, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  return program;
}
