import { analyzeUsage, type WindowChoice } from '../../src/assess/usage/analyze-usage';
import type { UsageAnalysis, UsageCell } from '../../src/assess/usage/usage-analysis';
import { UsageDatabase } from '../../src/assess/usage/usage-database';
import { type LoadOptions, loadUsage } from '../../src/assess/usage/usage-loader';

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
