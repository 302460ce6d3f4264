import { createWriteStream } from 'node:fs';
import { readFile, realpath, stat, symlink } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BUILT_IN_MAPPINGS, NORMALIZED_MAPPING } from './built-in-mappings';
import { type ContentKind, sniffContent, UnreadableUsage } from './content-kind';
import { readDeepSeekExport } from './deepseek-export';
import { CODE_FORMATS, type CodeFormat, type Detection, detectFormats, namesIn } from './detection';
import type { Mapping } from './mapping-schema';
import { selectUsage } from './mapping-sql';
import type { NormalizedBucket } from './normalized-bucket';
import { readOpenAiUsage } from './openai-usage';
import { checkGzip } from './physical-lines';
import { csvRelation, jsonRelation, parquetRelation, type RawRelation } from './raw-relation';
import { inspectRows, rejectedRows } from './row-check';
import { literal } from './sql-text';
import { allColumns, stagedColumns } from './staged-rows';
import type { Progress, UsageDatabase } from './usage-database';
import type { RecordedCost, RejectExample, UsageSource } from './usage-source';
import { readZip } from './zip-archive';

const MAX_CONVERTED_BYTES = 536_870_912;

/** How files are to be read. */
export interface LoadOptions {
  /** A format's name, for files whose content does not tell; else each is detected. */
  readonly format?: string;
  /** Mappings of the user, tried before the built-in ones. */
  readonly mappings?: readonly Mapping[];
  /** Part of a file's rows that may be rejected before the run is refused. */
  readonly maxRejectShare: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** Thrown when too much of a file had to be rejected; the message shows what and where. */
export class TooManyRejects extends Error {
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
  for (const [index, path] of (await expandPaths(db, patterns)).entries()) {
    const source = await loadFile(db, path, index, options);
    if (source.rejects.total > options.maxRejectShare * source.rows) {
      throw new TooManyRejects(source, options.maxRejectShare);
    }
    sources.push(source);
    views.push(`SELECT * FROM accepted_${index}`);
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
    const paths = there === null ? await globbed(db, pattern) : [pattern];
    if (paths.length === 0) throw new UnreadableUsage(`there is no file ${pattern}`);
    for (const path of paths) found.set(await realpath(path), path);
  }
  return [...found.values()];
}

async function globbed(db: UsageDatabase, pattern: string): Promise<string[]> {
  // Anything with a scheme would be fetched; usage is read from files only.
  if (/^[a-z0-9+.-]+:\/\//i.test(pattern))
    throw new UnreadableUsage(`${pattern} is no file; download it first`);
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
  if (gzip) {
    options.progress?.(`checking ${basename(file)}`, null);
    await checkGzip(file, options.signal);
  }
  const parquetColumns =
    content.kind === 'parquet' ? await describeParquet(db, path) : new Map<string, string>();
  const detection = chooseFormat(content, file, parquetColumns, options);
  const chosen = options.format === undefined ? 'detected' : 'given';
  if (detection.kind === 'code') {
    return loadConverted(db, { file, index, chosen, gzip, content }, detection.format, options);
  }
  const { mapping } = detection;
  const raw =
    content.kind === 'csv'
      ? csvRelation(path, gzip, content, mapping)
      : content.kind === 'json'
        ? jsonRelation(path, gzip, content.layout, mapping)
        : parquetRelation(path, parquetColumns);
  return loadRelation(db, raw, mapping, { file, path, index, chosen, gzip, kind: content.kind }, options);
}

/** Where rows come from, for reading and for messages. */
interface FileIdentity {
  readonly file: string;
  readonly path: string;
  readonly index: number;
  readonly chosen: UsageSource['chosen'];
  readonly gzip: boolean;
  readonly kind: ContentKind['kind'];
}

async function loadRelation(
  db: UsageDatabase,
  raw: RawRelation,
  mapping: Mapping,
  identity: FileIdentity,
  options: LoadOptions,
): Promise<UsageSource> {
  const { file, index } = identity;
  const { sql, carried, countsCalls } = selectUsage(mapping, raw.access, raw.relation);
  const name = `source_${index}`;
  const what = `reading ${basename(file)}`;
  await db.run('DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans', what);
  try {
    if (identity.kind === 'parquet') {
      await db.run(`CREATE VIEW ${name} AS ${sql}`, what, options.signal);
    } else {
      // Text is parsed once and kept as Parquet on disk: memory stays flat, and each question reads its columns only.
      const staged = literal(join(db.folder, `staged-${index}.parquet`));
      const columns = stagedColumns(carried, mapping.granularity === 'aggregate' || countsCalls);
      await db.run(
        `COPY (SELECT ${columns.join(', ')} FROM (${sql})) TO ${staged} (FORMAT parquet, COMPRESSION lz4)`,
        what,
        options.signal,
      );
      await db.run(`CREATE VIEW ${name} AS ${allColumns(columns, `read_parquet(${staged})`)}`, what);
    }
    const inspected = await inspectRows(db, name, carried, what, options.signal);
    const rejects = await rejectedRows(db, name, inspected, identity);
    const excluded = inspected.badModels.map(literal).join(', ');
    const clean = inspected.byReject.every(([reject]) => reject === 0) && excluded === '';
    const accepted = excluded === '' ? 'reject = 0' : `reject = 0 AND model NOT IN (${excluded})`;
    await db.run(
      `CREATE VIEW accepted_${index} AS SELECT * EXCLUDE (reject, latency_ignored) FROM ${name} ${clean ? '' : `WHERE ${accepted}`}`,
      what,
    );
    return {
      file,
      format: mapping.format,
      title: mapping.title,
      chosen: identity.chosen,
      granularity: mapping.granularity,
      countsCalls,
      currency: mapping.currency,
      carried: inspected.carried,
      rows: inspected.rows + rejects.unread,
      skipped: inspected.skipped,
      rejects: rejects.rejects,
      ignoredLatencies: inspected.ignoredLatencies,
      firstMs: inspected.firstMs,
      lastMs: inspected.lastMs,
      daysOnly: inspected.daysOnly,
      costs: [],
    };
  } catch (error) {
    throw inFile(error, file, options.signal);
  }
}

async function loadConverted(
  db: UsageDatabase,
  identity: {
    file: string;
    index: number;
    chosen: UsageSource['chosen'];
    gzip: boolean;
    content: ContentKind;
  },
  format: CodeFormat,
  options: LoadOptions,
): Promise<UsageSource> {
  const { file, index } = identity;
  const { size } = await stat(file);
  if (size > MAX_CONVERTED_BYTES) {
    throw new UnreadableUsage(`${file} has ${size} bytes, far more than a ${CODE_FORMATS[format]} has`);
  }
  const converted = await convert(file, format, identity);
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
    { file, path, index, chosen: identity.chosen, gzip: false, kind: 'json' },
    options,
  );
  const { rejects } = source;
  const reasons = new Map(rejects.byReason);
  for (const { reason } of converted.rejects) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  return {
    ...source,
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

interface Converted {
  readonly buckets: readonly NormalizedBucket[];
  readonly costs: readonly RecordedCost[];
  readonly rejects: readonly RejectExample[];
  readonly rows: number;
  readonly cached: boolean;
}

async function convert(
  file: string,
  format: CodeFormat,
  identity: { gzip: boolean; content: ContentKind },
): Promise<Converted> {
  try {
    if (format === 'deepseek') {
      const files =
        identity.content.kind === 'zip'
          ? (await readZip(file)).map(({ name, bytes }) => ({ name, text: bytes.toString('utf8') }))
          : [{ name: basename(file), text: await textOf(file, identity.gzip) }];
      return readDeepSeekExport(files);
    }
    const text = await textOf(file, identity.gzip);
    const read = readOpenAiUsage(parseDocuments(text, file), file);
    return { ...read, rejects: [], rows: read.buckets.length + read.costs.length };
  } catch (error) {
    if (error instanceof RangeError) throw new UnreadableUsage(error.message, { cause: error });
    throw error;
  }
}

function parseDocuments(text: string, file: string): unknown {
  const whole = text.replace(/^\ufeff/, '');
  try {
    return JSON.parse(whole);
  } catch {
    return whole
      .split('\n')
      .map((line, at) => ({ line, at: at + 1 }))
      .filter(({ line }) => line.trim() !== '')
      .map(({ line, at }) => {
        try {
          return JSON.parse(line);
        } catch (cause) {
          throw new RangeError(
            `${file} is neither a JSON document nor one a line: line ${at} does not parse`,
            { cause },
          );
        }
      });
  }
}

async function textOf(file: string, gzip: boolean): Promise<string> {
  const bytes = await readFile(file);
  if (!gzip) return bytes.toString('utf8');
  const { gunzipSync } = await import('node:zlib');
  return gunzipSync(bytes, { maxOutputLength: MAX_CONVERTED_BYTES }).toString('utf8');
}

function chooseFormat(
  content: ContentKind,
  file: string,
  parquetColumns: ReadonlyMap<string, string>,
  options: LoadOptions,
): Detection {
  const own = options.mappings ?? [];
  const columns = new Set(parquetColumns.keys());
  if (options.format !== undefined) {
    const mapping = [...own, ...BUILT_IN_MAPPINGS].find(({ format }) => format === options.format);
    if (mapping !== undefined && content.kind !== 'zip') return { kind: 'mapping', mapping };
    if (options.format in CODE_FORMATS) return { kind: 'code', format: options.format as CodeFormat };
    throw new UnreadableUsage(`expected one of the formats ${formatNames(own)}, got "${options.format}"`);
  }
  const fitting = [
    detectFormats(content, own, columns),
    detectFormats(content, BUILT_IN_MAPPINGS, columns),
  ].find((found) => found.length > 0);
  if (fitting?.length === 1) return fitting[0] as Detection;
  // A mapping that names no columns to be known by is meant for whatever nothing else fits.
  const only = own.length === 1 ? own[0] : undefined;
  if (fitting === undefined && only?.detect.length === 0) return { kind: 'mapping', mapping: only };
  const names = namesIn(content, columns).slice(0, 30).join(', ');
  throw new UnreadableUsage(
    fitting === undefined
      ? `${file} fits no known format (it has: ${names}); give --format (${formatNames(own)}) or a mapping of your own with --mapping-file`
      : `${file} fits several formats; choose one with --format (${fitting.map((each) => (each.kind === 'mapping' ? each.mapping.format : each.format)).join(', ')})`,
  );
}

function formatNames(own: readonly Mapping[]): string {
  return [...own, ...BUILT_IN_MAPPINGS]
    .map(({ format }) => format)
    .concat(Object.keys(CODE_FORMATS))
    .join(', ');
}

async function describeParquet(db: UsageDatabase, path: string): Promise<Map<string, string>> {
  try {
    const rows = await db.rows(`DESCRIBE SELECT * FROM read_parquet(${literal(path)})`, 'reading the schema');
    return new Map(rows.map((row) => [String(row['column_name']), String(row['column_type'])]));
  } catch (error) {
    throw inFile(error, path, undefined);
  }
}

function inFile(error: unknown, file: string, signal: AbortSignal | undefined): unknown {
  if (error instanceof UnreadableUsage || error instanceof RangeError || signal?.aborted === true)
    return error;
  const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return new UnreadableUsage(`${file} cannot be read: ${reason}`, { cause: error });
}
