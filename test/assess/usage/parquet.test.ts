import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { parseMapping } from '../../../src/assess/usage/formats/mapping-schema';
import { analyzeFiles } from '../../support/usage-analysis';

const MAPPING = parseMapping(
  {
    format: 'warehouse',
    title: 'Warehouse table',
    fields: {
      time: { from: ['at'], as: 'auto' },
      model: { from: ['model'] },
      caller: { from: [['labels', 'team'], 'key'] },
      inputTokens: { from: ['input'] },
      cachedTokens: { from: ['cached'] },
      outputTokens: { from: ['output'] },
      latency: { from: ['seconds'], unit: 's' },
      failed: { from: ['status'], is: ['500', '503'] },
      streamed: { from: ['stream'], is: ['true'] },
      cost: { from: ['cost'] },
    },
  },
  'warehouse',
);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'parquet-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it.each([
  [
    'whose values unpack to more than they could say',
    "SELECT TIMESTAMP '2026-01-01' AS at, repeat('a', 100000000) AS model, 1 AS input FROM range(3)",
    'unpacks to over 250 times its size',
  ],
  [
    'with more rows than its bytes could hold',
    "SELECT TIMESTAMP '2026-01-01' AS at, 'm' AS model, 1 AS input FROM range(12000000)",
    'rows in',
  ],
])('refuses a file %s, before it is read', async (_, rows, problem) => {
  await expect(analyze(rows, ', COMPRESSION zstd')).rejects.toThrow(problem);
});

/** Rows as SQL, written to a Parquet file with their own types, and analysed. */
async function analyze(rows: string, options = '') {
  const path = join(folder, 'usage.parquet');
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(`SET TimeZone = 'UTC'; COPY (${rows}) TO '${path}' (FORMAT parquet ${options})`);
  connection.closeSync();
  instance.closeSync();
  const { analysis } = await analyzeFiles([path], { load: { maxRejectShare: 0.9, mappings: [MAPPING] } });
  return { ...analysis, source: analysis.sources[0] };
}

const ROWS = `SELECT TIMESTAMPTZ '2026-10-05 08:00:00+02' AS at, 'm' AS model, {'team': 'search'} AS labels,
    'k' AS key, 1000::UINTEGER AS input, 400::UBIGINT AS cached, 50.00::DECIMAL(9, 2) AS output,
    1.5::FLOAT AS seconds, 200::SMALLINT AS status, true AS stream, 0.25 AS cost
  UNION ALL SELECT TIMESTAMPTZ '2026-10-05 09:00:00+02', 'm', {'team': NULL}, 'k', 2000, 0, 70.00, 2.5, 503, false, 0.5`;

it('reads the types that tables have, nested ones too', async () => {
  const { totals, byCaller, features, latencyMs, recordedCosts, source, window } = await analyze(ROWS);
  expect(totals).toEqual({ calls: 2, inputTokens: 3000, cachedTokens: 400, outputTokens: 120, failed: 1 });
  expect(byCaller?.map(({ caller, calls }) => [caller, calls])).toEqual([
    ['k', 1],
    ['search', 1],
  ]);
  expect(features.find(({ feature }) => feature === 'streaming')?.calls).toBe(1);
  expect(latencyMs?.p50).toBeGreaterThan(2487);
  expect(latencyMs?.p50).toBeLessThan(2513);
  expect(recordedCosts[0]).toMatchObject({ amount: 0.75, currency: 'USD' });
  expect([source?.firstMs, window.toMs]).toEqual([Date.UTC(2026, 9, 5, 6), Date.UTC(2026, 9, 5, 7) + 1]);
});

it('takes numbers for names and for epochs', async () => {
  const { byModel } = await analyze(
    `SELECT 1791187200 AS at, 7 AS model, 90 AS key, 10 AS input, 0 AS cached, 5 AS output, 1.0 AS seconds, 500 AS status`,
  );
  expect(byModel).toMatchObject([
    {
      model: '7',
      calls: 1,
      failed: 1,
      maxInputTokens: 10,
      maxContextTokens: 15,
      peak: { requestsPerMinute: 1 },
    },
  ]);
});

it('rejects what is no count, whatever its type', async () => {
  const { totals, source } = await analyze(
    `SELECT * FROM (${ROWS}) UNION ALL SELECT * REPLACE (-1 AS output) FROM (${ROWS}) UNION ALL
     SELECT * REPLACE (0.5 AS output) FROM (${ROWS}) UNION ALL SELECT * REPLACE (3000 AS cached) FROM (${ROWS})
     UNION ALL SELECT * REPLACE ('nan'::FLOAT AS cost) FROM (${ROWS})`,
  );
  expect(totals.calls).toBe(2);
  expect(source?.rejects.byReason).toEqual([
    ['calls or tokens that are not whole numbers from 0 to 10^15', 4],
    ['more cached than input tokens', 2],
    ['a cost that is not a number', 2],
  ]);
});

it('knows a log of days only by every time of it', async () => {
  const days = ROWS.replace('08:00:00+02', '00:00:00+00').replace('09:00:00+02', '00:00:00+00');
  expect((await analyze(days)).source?.daysOnly).toBe(true);
  expect((await analyze(ROWS.replace('08:00:00+02', '00:00:00+00'))).source?.daysOnly).toBe(false);
});

it('has no sum that is too large to be exact', async () => {
  const large = `SELECT * REPLACE (1000000000000000::UBIGINT AS input) FROM (${ROWS})`;
  await expect(analyze(Array(10).fill(large).join(' UNION ALL '))).rejects.toThrow(
    'the sum "input" is 10000000000000000: too large to be true',
  );
});
