import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { realpath, stat, symlink } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BadInput } from '../../core/configuration/bad-input';
import { type ContentKind, sniffContent, UnreadableUsage } from './files/content-kind';
import { writeDocumentRows } from './files/document-rows';
import { checkGzip } from './files/physical-lines';
import { UnpackingLimit } from './files/unpacking-limit';
import type { UsageSource } from './files/usage-source';
import { NORMALIZED_MAPPING } from './formats/built-in-mappings';
import { convertFile } from './formats/converted-file';
import { CODE_FORMATS, type CodeFormat } from './formats/detection';
import { chooseFormat } from './formats/file-format';
import type { Mapping } from './formats/mapping-schema';
import { csvRelation, jsonRelation, parquetRelation, type RawRelation } from './raw-relation';
import { type FileIdentity, inFile, loadRelation } from './relation-loader';
import { literal } from './sql-text';
import type { UsageDatabase } from './usage-database';

/** How files are to be read. */
export interface LoadOptions {
  /** A format's name, for files whose content does not tell; else each is detected. */
  readonly format?: string;
  /** Mappings of the user, tried before the built-in ones. */
  readonly mappings?: readonly Mapping[];
  /** Part of a file's rows that may be rejected before the run is refused. */
  readonly maxRejectShare: number;
  readonly signal?: AbortSignal;
  /** Told the sources that were read so far, and of how many files. */
  readonly loaded?: (sources: readonly UsageSource[], files: number) => void;
}

/** Thrown when too much of a file had to be rejected; the message shows what and where. */
class TooManyRejects extends BadInput {
  override readonly name = 'TooManyRejects';
  constructor(
    readonly source: UsageSource,
    maxRejectShare: number,
  ) {
    const { rejects } = source;
    super(
      [
        `${source.file}: ${rejects.total} of ${source.rows} rows were rejected, at most ${maxRejectShare * 100}% may be`,
        ...rejects.byReason.map(([reason, rows]) => `  ${rows} x ${reason}`),
        ...rejects.examples.map(({ place, reason }) => `  ${place}: ${reason}`),
      ].join('\n'),
    );
  }
}

/** Reads all files into the view `usage_all`; patterns may be globs, and a file named twice is read once. */
export async function loadUsage(
  db: UsageDatabase,
  patterns: readonly string[],
  options: LoadOptions,
): Promise<UsageSource[]> {
  const sources: UsageSource[] = [];
  const views: string[] = [];
  const paths = await expandPaths(db, patterns);
  options.loaded?.(sources, paths.length);
  for (const [index, path] of paths.entries()) {
    const source = await loadFile(db, path, index, options);
    if (source.rejects.total > options.maxRejectShare * source.rows) {
      throw new TooManyRejects(source, options.maxRejectShare);
    }
    sources.push(source);
    views.push(`SELECT * FROM accepted_${index}`);
    options.loaded?.(sources, paths.length);
  }
  await db.run(`CREATE VIEW usage_all AS ${views.join(' UNION ALL ')}`, 'joining files');
  return sources;
}

async function expandPaths(db: UsageDatabase, patterns: readonly string[]): Promise<string[]> {
  const found = new Map<string, string>();
  for (const pattern of patterns) {
    const there = await stat(pattern).catch(() => null);
    if (there?.isDirectory())
      throw new UnreadableUsage(`${pattern} is a folder; name its files, e.g. ${pattern}/*.csv`);
    // It is read several times over, and a pipe would be waited for.
    if (there !== null && !there.isFile())
      throw new UnreadableUsage(`${pattern} is a pipe or a device; write its output to a file first`);
    const paths = there === null ? await globbed(db, pattern) : [pattern];
    if (paths.length === 0) throw new UnreadableUsage(`there is no file ${pattern}`);
    for (const path of paths) found.set(await realpath(path), path);
  }
  const files = [...found.values()];
  await refuseCopies(files);
  return files;
}

/** Throws UnreadableUsage for two files of the same bytes: the calls of a log and of its copy would count twice. */
async function refuseCopies(files: readonly string[]): Promise<void> {
  const bySize = new Map<number, string[]>();
  for (const file of files) {
    const { size } = await stat(file);
    bySize.set(size, [...(bySize.get(size) ?? []), file]);
  }
  const first = new Map<string, string>();
  for (const [size, alike] of bySize) {
    if (size === 0 || alike.length === 1) continue;
    for (const file of alike) {
      const digest = await sha256Of(file);
      const twin = first.get(digest);
      if (twin !== undefined)
        throw new UnreadableUsage(`${file} holds the same bytes as ${twin}: name only one of them`);
      first.set(digest, file);
    }
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

async function globbed(db: UsageDatabase, pattern: string): Promise<string[]> {
  // Anything with a scheme would be fetched; usage is read from files only.
  if (/^[a-z0-9+.-]+:\/\//i.test(pattern))
    throw new UnreadableUsage(`${pattern} is not a file; download it first`);
  return /[*?[]/.test(pattern) ? db.glob(pattern) : [];
}

async function loadFile(
  db: UsageDatabase,
  file: string,
  index: number,
  options: LoadOptions,
): Promise<UsageSource> {
  // The engine takes a path for a pattern, so a name with pattern characters is read through a link.
  const path = /[*?[\]{}]/.test(file) ? join(db.folder, `file-${index}${extname(file)}`) : file;
  if (path !== file) await symlink(resolve(file), path);
  const { content, gzip } = await sniffContent(file);
  const parquetColumns =
    content.kind === 'parquet' ? await describeParquet(db, path) : new Map<string, string>();
  const detection = chooseFormat(content, file, parquetColumns, options);
  const identity: FileIdentity = {
    file,
    index,
    chosen: options.format === undefined ? 'detected' : 'given',
    gzip,
    kind: content.kind,
  };
  if (detection.kind === 'code') {
    return loadConverted(db, identity, content, detection.format, options.signal);
  }
  const { mapping } = detection;
  const raw =
    content.kind === 'csv'
      ? csvRelation(path, gzip, content, mapping)
      : content.kind === 'json'
        ? jsonRows(db, { path, gzip, layout: content.layout, mapping, index })
        : parquetRelation(path, parquetColumns);
  return loadRelation(db, raw, mapping, identity, options.signal);
}

interface JsonFile {
  readonly path: string;
  readonly gzip: boolean;
  readonly layout: Extract<ContentKind, { kind: 'json' }>['layout'];
  readonly mapping: Mapping;
  readonly index: number;
}

/** The engine would hold a whole document in memory, many times over: its rows are written one a line first. */
function jsonRows(db: UsageDatabase, { path, gzip, layout, mapping, index }: JsonFile): RawRelation {
  if (typeof layout !== 'object') return jsonRelation(path, gzip, layout, mapping);
  // The mapping says itself where in the document its rows are.
  if (mapping.rows !== undefined) return jsonRelation(path, gzip, 'document', mapping);
  const rows = join(db.folder, `rows-${index}.jsonl`);
  return {
    ...jsonRelation(rows, false, 'lines', mapping),
    prepare: async (signal) => {
      db.tell(`taking ${basename(path)} apart`);
      await writeDocumentRows({ path, gzip, key: layout.key }, rows, signal);
    },
  };
}

async function loadConverted(
  db: UsageDatabase,
  identity: FileIdentity,
  content: ContentKind,
  format: CodeFormat,
  signal: AbortSignal | undefined,
): Promise<UsageSource> {
  const { file, index, gzip } = identity;
  if (gzip) {
    db.tell(`checking ${basename(file)}`);
    await checkGzip(file, signal, 'held');
  }
  const converted = await convertFile(file, format, { gzip, content });
  const path = join(db.folder, `converted-${index}.jsonl`);
  await pipeline(
    Readable.from(
      (function* lines() {
        for (const bucket of converted.buckets) yield `${JSON.stringify(bucket)}\n`;
      })(),
    ),
    createWriteStream(path),
  );
  const source = await loadRelation(
    db,
    jsonRelation(path, false, 'lines', NORMALIZED_MAPPING),
    NORMALIZED_MAPPING,
    { ...identity, file: path, gzip: false, kind: 'json' },
    signal,
  ).catch((error: unknown) => {
    throw inFile(error, file, signal);
  });
  const { rejects } = source;
  const reasons = new Map(rejects.byReason);
  for (const { reason } of converted.rejects) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  return {
    ...source,
    file,
    format,
    title: CODE_FORMATS[format],
    carried: source.carried.filter((field) => field !== 'cachedTokens' || converted.cached),
    rows: Math.max(converted.rows, source.rows + converted.rejects.length),
    rejects: {
      total: rejects.total + converted.rejects.length,
      byReason: [...reasons],
      examples: [...converted.rejects, ...rejects.examples].slice(0, 5),
    },
    costs: converted.costs,
  };
}

/** Values of more rows than this for each byte are no log: a time alone takes more. */
const ROWS_PER_BYTE = 50;
const ROWS_GRACE = 10_000_000;

/** Throws `BadInput` for a Parquet file that says itself that it unpacks to too much. */
async function checkParquet(db: UsageDatabase, path: string): Promise<void> {
  const { size } = await stat(path);
  const [found] = await db.rows(
    `SELECT (SELECT sum(total_uncompressed_size) FROM parquet_metadata(${literal(path)})) AS bytes, (SELECT num_rows FROM parquet_file_metadata(${literal(path)})) AS rows`,
    'reading the schema',
  );
  new UnpackingLimit(path, 'streamed').count(Number(found?.['bytes'] ?? 0), size);
  const rows = Number(found?.['rows'] ?? 0);
  if (rows > ROWS_GRACE && rows > ROWS_PER_BYTE * size) {
    throw new BadInput(
      `${path} holds ${rows} rows in ${size} bytes, over ${ROWS_PER_BYTE} per byte: it is not a log, and is refused`,
    );
  }
}

async function describeParquet(db: UsageDatabase, path: string): Promise<Map<string, string>> {
  try {
    await checkParquet(db, path);
    const rows = await db.rows(`DESCRIBE SELECT * FROM read_parquet(${literal(path)})`, 'reading the schema');
    return new Map(rows.map((row) => [String(row['column_name']), String(row['column_type'])]));
  } catch (error) {
    throw inFile(error, path, undefined);
  }
}
