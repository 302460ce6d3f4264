import { DuckDBInstance } from '@duckdb/node-api';
import { analyzeUsage, type WindowChoice } from '../../src/assess/usage/analyze-usage';
import type { UsageAnalysis, UsageCell } from '../../src/assess/usage/usage-analysis';
import { UsageDatabase } from '../../src/assess/usage/usage-database';
import { type LoadOptions, loadUsage } from '../../src/assess/usage/usage-loader';

/** A log in Helicone's columns: a call of one token in and out each second. Two million rows take seconds to read. */
export async function writeLongLog(path: string, rows: number): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(
    `COPY (SELECT strftime(TIMESTAMP '2026-09-20' + to_seconds(i), '%Y-%m-%dT%H:%M:%SZ') AS request_created_at,
       900 AS latency, 80 AS time_to_first_token, 200 AS status, 1 AS prompt_tokens, 1 AS completion_tokens,
       'old-model' AS model FROM range(${rows}) t(i)) TO '${path}' (HEADER)`,
  );
  connection.closeSync();
  instance.closeSync();
}

export const LAST_30_DAYS: WindowChoice = { fromMs: null, toMs: null, days: 30 };

/** Reads and analyses usage logs as an assessment does; no row may be rejected unless `load` says so. */
export async function analyzeFiles(
  files: readonly string[],
  asked: {
    readonly load?: Partial<LoadOptions>;
    readonly window?: WindowChoice;
    readonly contextThresholds?: readonly number[];
    readonly memoryMb?: number;
  } = {},
): Promise<{ analysis: UsageAnalysis; cells: UsageCell[] }> {
  const { load = {}, window = LAST_30_DAYS, contextThresholds = [], memoryMb } = asked;
  const db = await UsageDatabase.open(memoryMb === undefined ? {} : { memoryMb });
  try {
    const sources = await loadUsage(db, files, { maxRejectShare: 0, ...load });
    return await analyzeUsage(db, sources, window, contextThresholds);
  } finally {
    await db.close();
  }
}
