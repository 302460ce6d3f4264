import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDirectory, environment } from '../src/config';
import { SEARCH_ATTRIBUTES } from '../src/contract';
import { type RunningTemporal, startTemporalServer } from '../src/temporal-server/dev-server';
import { findTemporal } from '../src/temporal-server/temporal-source';

/** A Temporal server of the benchmark's own, on a database file in the folder. */
async function startOwnTemporal(folder: string, report: (line: string) => void): Promise<RunningTemporal> {
  const source = await findTemporal({ env: environment, cacheDir: cacheDirectory(), report });
  if (source.kind !== 'executable') {
    throw new Error('expected no TEMPORAL_ADDRESS: the benchmark starts its own');
  }
  return startTemporalServer({
    executable: source.path,
    searchAttributes: SEARCH_ATTRIBUTES,
    dbFilename: join(folder, 'temporal.db'),
    uiPort: 'off',
  });
}

/** The same in a folder of its own; `stops` will stop the server and remove the folder, the last one first. */
export async function startTemporalInFolder(
  stops: (() => Promise<unknown> | unknown)[],
  report: (line: string) => void,
): Promise<{ readonly folder: string; readonly temporal: RunningTemporal }> {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-bench-'));
  stops.push(() => rmSync(folder, { recursive: true, force: true }));
  const temporal = await startOwnTemporal(folder, report);
  stops.push(temporal.stop);
  return { folder, temporal };
}
