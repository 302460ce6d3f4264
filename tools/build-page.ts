import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';
import { transformSync } from '@swc/core';

/**
 * Writes the page of `cutover ui` as browser modules into one flat folder: the page's own files and those that
 * they share with the terminal, found by following imports. Types are checked by tsconfig.page.json.
 */

const ROOT = join(__dirname, '..', '..');
const SOURCE = join(ROOT, 'src', 'console', 'page');
const TARGET = join(__dirname, '..', 'page');

const IMPORT = /(\bfrom\s*|\bimport\s*)(["'])(\.[^"']+)\2/g;

function compile(file: string): { readonly code: string; readonly imports: readonly string[] } {
  const imports: string[] = [];
  const { code } = transformSync(readFileSync(file, 'utf8'), {
    filename: file,
    jsc: { target: 'es2022', parser: { syntax: 'typescript' }, minify: { compress: true, mangle: true } },
    minify: true,
    module: { type: 'es6' },
  });
  const flat = code.replace(IMPORT, (_whole, keyword: string, quote: string, path: string) => {
    const imported = `${join(dirname(file), path)}.ts`;
    imports.push(imported);
    return `${keyword}${quote}./${moduleName(imported)}${quote}`;
  });
  return { code: flat, imports };
}

/** Two modules of one name in different folders would overwrite each other. */
function moduleName(file: string): string {
  return `${basename(file, '.ts')}.js`;
}

rmSync(TARGET, { recursive: true, force: true });
mkdirSync(TARGET, { recursive: true });
const written = new Map<string, string>();
const pending = [join(SOURCE, 'main.ts')];
for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
  const name = moduleName(file);
  const before = written.get(name);
  if (before === file) continue;
  if (before !== undefined) {
    throw new Error(`expected one module ${name}, got ${relative(ROOT, before)} and ${relative(ROOT, file)}`);
  }
  written.set(name, file);
  const { code, imports } = compile(file);
  writeFileSync(join(TARGET, name), code);
  pending.push(...imports);
}
for (const name of readdirSync(SOURCE)) {
  if (['.html', '.css', '.svg'].includes(extname(name))) cpSync(join(SOURCE, name), join(TARGET, name));
}
