import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** A file of the page, held in memory as it is sent. */
export interface PageFile {
  readonly type: string;
  readonly etag: string;
  readonly bytes: Buffer;
  readonly gzipped: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Thrown when the page was not built. */
class PageMissing extends Error {
  override readonly name = 'PageMissing';
  constructor(readonly folder: string) {
    super(`expected the built page in ${folder}, but it is not there: run \`npm run build\``);
  }
}

/**
 * Every file of the page by its path: the build's own folder, whose texts name commands, and the chart library; throws
 * `PageMissing`.
 */
export function loadPageFiles(
  folder: string,
  asTyped: (text: string) => string = (text) => text,
): ReadonlyMap<string, PageFile> {
  if (!existsSync(join(folder, 'index.html'))) throw new PageMissing(folder);
  const own = readdirSync(folder)
    .filter((name) => TYPES[extname(name)] !== undefined)
    .map((name): [string, string] => [name === 'index.html' ? '/' : `/${name}`, join(folder, name)]);
  const charts = ['uPlot.iife.min.js', 'uPlot.min.css'].map((name): [string, string] => [
    `/${name}`,
    require.resolve(`uplot/dist/${name}`),
  ]);
  const typed = (file: string) => Buffer.from(asTyped(readFileSync(file, 'utf8')));
  return new Map([
    ...own.map(([path, file]): [string, PageFile] => [path, pageFile(file, typed(file))]),
    ...charts.map(([path, file]): [string, PageFile] => [path, pageFile(file, readFileSync(file))]),
  ]);
}

function pageFile(file: string, bytes: Buffer): PageFile {
  return {
    type: TYPES[extname(file)] ?? 'application/octet-stream',
    etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
    bytes,
    gzipped: gzipSync(bytes, { level: 9 }),
  };
}
