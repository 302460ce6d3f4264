import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { BadInput } from '../../core/configuration/bad-input';
import { loadOptional } from '../../optional-package';
import { openWorkFolder } from './files/work-folder';
import { literal } from './sql-text';

/** Told now and then while something long runs; `fraction` is 0 to 1, or null when it is not known. */
export type QueryProgress = (what: string, fraction: number | null) => void;

/** A row of a query; counts and sums arrive as numbers. */
export type Row = Readonly<Record<string, Value>>;

type Value = string | number | boolean | null;

const PROGRESS_EVERY_MS = 500;

const DUCKDB = '@duckdb/node-api';

/** Only those who read usage logs need its 70 MB: it is no part of an installation, and asked for by name. */
function loadDuckDb(): Promise<typeof import('@duckdb/node-api')> {
  return loadOptional(() => import('@duckdb/node-api'), `reading usage logs needs ${DUCKDB} (70 MB)`, [
    DUCKDB,
  ]);
}

/** A DuckDB of its own in a temporary folder, which bounds its memory and is gone after `close`. */
export class UsageDatabase {
  private constructor(
    /** For files that are converted before they are read. */
    readonly folder: string,
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
    private readonly progress: QueryProgress,
  ) {}

  /**
   * Opens a database that uses up to `memoryMb` beside what the process itself takes; `earlier` is the folder of an
   * attempt that did not end, whose files need not be read again.
   */
  static async open(
    options: { memoryMb?: number; threads?: number; progress?: QueryProgress; earlier?: string | null } = {},
  ): Promise<UsageDatabase> {
    // Before a folder is made that nobody would remove.
    const { DuckDBInstance: Instance } = await loadDuckDb();
    const folder = await openWorkFolder(options.earlier ?? null);
    const path = join(folder, `usage-${randomBytes(4).toString('hex')}.duckdb`);
    const instance = await Instance.create(path, {
      memory_limit: `${options.memoryMb ?? 600}MB`,
      threads: String(options.threads ?? Math.max(1, cpus().length)),
      temp_directory: join(folder, 'spill'),
      // Files are read from disk only: nothing is downloaded, whatever a path looks like.
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const connection = await instance.connect();
    for (const setting of [
      "TimeZone = 'UTC'",
      'enable_progress_bar = true',
      'enable_progress_bar_print = false',
    ]) {
      await connection.run(`SET ${setting}`);
    }
    await connection.run('SET lock_configuration = true');
    return new UsageDatabase(folder, instance, connection, options.progress ?? (() => {}));
  }

  /** Runs a statement; `what` names it in progress. */
  async run(sql: string, what: string, signal?: AbortSignal): Promise<void> {
    await this.watched(what, signal, () => this.connection.run(sql));
  }

  /** All rows of a query; throws `BadInput` when a sum is beyond exact numbers. */
  async rows(sql: string, what: string, signal?: AbortSignal): Promise<Row[]> {
    const reader = await this.watched(what, signal, () => this.connection.runAndReadAll(sql));
    // By column: several times faster than the reader's own rows, and some answers have tens of thousands.
    const rows = Array.from({ length: reader.currentRowCount }, (): Record<string, Value> => ({}));
    const names = reader.deduplicatedColumnNames();
    for (const [at, values] of reader.getColumnsJS().entries()) {
      const name = names[at] ?? '';
      for (const [row, value] of values.entries())
        (rows[row] as Record<string, Value>)[name] = plain(value, name);
    }
    return rows;
  }

  /** Which files a path or glob names. */
  async glob(pattern: string): Promise<string[]> {
    const rows = await this.rows(`SELECT file FROM glob(${literal(pattern)}) ORDER BY file`, 'listing files');
    return rows.map(({ file }) => String(file));
  }

  /** Says what goes on outside the database. */
  tell(what: string): void {
    this.progress(what, null);
  }

  /** Closes it; its folder is kept only where a later attempt is to go on from it. */
  async close(options: { keepFolder?: boolean } = {}): Promise<void> {
    this.connection.closeSync();
    this.instance.closeSync();
    if (options.keepFolder === true) return;
    await rm(this.folder, { recursive: true, force: true });
  }

  private async watched<T>(
    what: string,
    signal: AbortSignal | undefined,
    query: () => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const interrupt = () => this.connection.interrupt();
    signal?.addEventListener('abort', interrupt, { once: true });
    const ticker = setInterval(() => {
      const { percentage } = this.connection.progress;
      // For some readers it stays at zero until all is read.
      this.progress(what, percentage > 0 ? percentage / 100 : null);
    }, PROGRESS_EVERY_MS);
    try {
      return await query();
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      clearInterval(ticker);
      signal?.removeEventListener('abort', interrupt);
    }
  }
}

function plain(value: unknown, name: string): Value {
  if (typeof value === 'bigint' || typeof value === 'number') {
    const number = Number(value);
    // Whole numbers are exact up to here, whether they were added up as such or as doubles.
    if (Math.abs(number) > Number.MAX_SAFE_INTEGER)
      throw new BadInput(`the sum "${name}" is ${value}: too large to be true`);
    return number;
  }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  return String(value);
}
