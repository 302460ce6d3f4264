import { createHash, randomBytes } from 'node:crypto';
import { realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BadInput } from '../../core/configuration/bad-input';
import { type ContentKind, UnreadableUsage } from './files/content-kind';
import { checkGzip } from './files/physical-lines';
import type { UsageSource } from './files/usage-source';
import { type ReadFile, recallFile, rememberFile } from './files/work-folder';
import type { Mapping } from './formats/mapping-schema';
import { selectUsage, type UsageField } from './formats/mapping-sql';
import type { RawRelation } from './raw-relation';
import { type Inspection, inspectRows, rejectedRows } from './row-check';
import { literal } from './sql-text';
import { ACCEPTED_COLUMNS, presenceColumn, rowsInPlace, stagedRows, unstagedRows } from './staged-rows';
import type { UsageDatabase } from './usage-database';

/** Where rows come from, for reading and for messages. */
export interface FileIdentity {
  readonly file: string;
  readonly index: number;
  readonly chosen: UsageSource['chosen'];
  readonly gzip: boolean;
  readonly kind: ContentKind['kind'];
}

/** Reads the rows of one file into the view `accepted_INDEX`, or takes them from an earlier attempt that did. */
export async function loadRelation(
  db: UsageDatabase,
  raw: RawRelation,
  mapping: Mapping,
  identity: FileIdentity,
  signal: AbortSignal | undefined,
): Promise<UsageSource> {
  const { file, index } = identity;
  const { sql, carried, countsCalls } = selectUsage(mapping, raw.access, raw.relation);
  const aggregate = mapping.granularity === 'aggregate' || countsCalls;
  const what = `reading ${basename(file)}`;
  const name = `source_${index}`;
  const rows = (staged: string | null) =>
    staged === null
      ? rowsInPlace(sql)
      : unstagedRows(carried, aggregate, `read_parquet(${literal(join(db.folder, staged))})`);
  try {
    const key = await keyOf(identity, mapping);
    const known = await recallFile(db.folder, key);
    const staged =
      known === null
        ? await stage(
            db,
            { ...identity, prepare: raw.prepare },
            stagedRows(carried, aggregate, sql),
            what,
            signal,
          )
        : known.staged;
    await db.run(`CREATE VIEW ${name} AS ${rows(staged)}`, what);
    const read =
      known ?? (await inspect(db, name, mapping, { carried, countsCalls, staged }, identity, signal));
    await db.run(
      `CREATE VIEW accepted_${index} AS SELECT ${ACCEPTED_COLUMNS.join(', ')} FROM ${name} ${read.accepted === null ? '' : `WHERE ${read.accepted}`}`,
      what,
    );
    if (known === null) await rememberFile(db.folder, key, read);
    return read.source;
  } catch (error) {
    throw inFile(error, file, signal);
  }
}

/** Stands for a file as it is now and how it is read. */
async function keyOf({ file, chosen }: FileIdentity, mapping: Mapping): Promise<string> {
  const { size, mtimeMs, ino } = await stat(file);
  const identity = [await realpath(file), size, mtimeMs, ino, chosen, mapping];
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 32);
}

/**
 * Text is parsed once and kept as Parquet on disk: memory stays flat, and each question reads its columns only.
 * Parquet is read in place: null.
 */
async function stage(
  db: UsageDatabase,
  { file, kind, gzip, prepare }: FileIdentity & Pick<RawRelation, 'prepare'>,
  rows: string,
  what: string,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  if (kind === 'parquet') return null;
  if (gzip) {
    db.tell(`checking ${basename(file)}`);
    await checkGzip(file, signal);
  }
  await prepare?.(signal);
  await db.run('DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans', what);
  const staged = `staged-${randomBytes(8).toString('hex')}.parquet`;
  await db.run(
    `COPY (${rows}) TO ${literal(join(db.folder, staged))} (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION lz4)`,
    what,
    signal,
  );
  return staged;
}

async function inspect(
  db: UsageDatabase,
  name: string,
  mapping: Mapping,
  rows: { carried: readonly UsageField[]; countsCalls: boolean; staged: string | null },
  identity: FileIdentity,
  signal: AbortSignal | undefined,
): Promise<ReadFile> {
  const what = `reading ${basename(identity.file)}`;
  const mapped = new Map(rows.carried.map((field) => [field, presenceColumn(field, rows.staged !== null)]));
  const inspected = await inspectRows(db, name, mapped, what, signal);
  const { rejects, unread } = await rejectedRows(db, name, inspected, identity);
  return {
    staged: rows.staged,
    accepted: acceptedOf(inspected),
    source: {
      file: identity.file,
      format: mapping.format,
      title: mapping.title,
      chosen: identity.chosen,
      granularity: mapping.granularity,
      countsCalls: rows.countsCalls,
      currency: mapping.currency,
      carried: inspected.carried,
      rows: inspected.rows + unread,
      skipped: inspected.skipped,
      rejects,
      ignoredLatencies: inspected.ignoredLatencies,
      untold: inspected.untold,
      firstMs: inspected.firstMs,
      lastMs: inspected.lastMs,
      daysOnly: inspected.daysOnly,
      costs: [],
    },
  };
}

function acceptedOf({ badModels, byReject }: Inspection): string | null {
  const excluded = badModels.map(literal).join(', ');
  if (excluded !== '') return `reject = 0 AND model NOT IN (${excluded})`;
  return byReject.every(([reject]) => reject === 0) ? null : 'reject = 0';
}

/** An error of the engine as one of the file. */
export function inFile(error: unknown, file: string, signal: AbortSignal | undefined): unknown {
  if (error instanceof BadInput || signal?.aborted === true) return error;
  const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return new UnreadableUsage(`${file} cannot be read: ${reason}`, { cause: error });
}
