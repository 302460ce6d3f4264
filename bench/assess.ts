import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { analyzeUsage } from '../src/assess/usage/analyze-usage';
import { parseMapping } from '../src/assess/usage/formats/mapping-schema';
import { UsageDatabase } from '../src/assess/usage/usage-database';
import { loadUsage } from '../src/assess/usage/usage-loader';
import { type Engines, findEngines, measured } from './assess-engines';
import { readOptions, runBench } from './bench-program';

/** The answers that every engine must agree on; percentiles within 0.5%. */
interface Answers {
  readonly calls: number;
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly failed: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly peakRequests: number;
  readonly peakTokens: number;
}

interface Measured {
  readonly engine: string;
  readonly file: string;
  readonly seconds: number;
  /** Of all cores: says more than the clock where others use the machine. */
  readonly cpuSeconds: number;
  readonly memoryMb: number;
  readonly answers: Answers;
}

const MAPPING = parseMapping(
  {
    format: 'bench',
    title: 'Benchmark log',
    fields: {
      time: { from: ['time'] },
      model: { from: ['model'] },
      caller: { from: ['api_key'] },
      inputTokens: { from: ['input_tokens'] },
      cachedTokens: { from: ['cached_tokens'] },
      outputTokens: { from: ['output_tokens'] },
      latency: { from: ['latency_ms'], unit: 'ms' },
      firstToken: { from: ['first_token_ms'], unit: 'ms' },
      failed: { from: ['status'], atLeast: 400 },
    },
  },
  'benchmark',
);

const flags = readOptions('bench:assess', 'Times the assessment of generated usage logs.', {
  rows: ['how many each log has', '1000000,10000000'],
  folder: ['where the logs are kept for the next run; else they are deleted', ''],
  duckdb: ["DuckDB's shell; else one is installed into the cache", ''],
  python: ['Python with pandas; else one is installed into the cache', ''],
  repeat: ['runs of each engine', 3],
  child: ['assesses one log and prints what it took as JSON', ''],
});

/** Times the assessment of generated logs, beside DuckDB's shell and pandas where they are given. */
async function main(): Promise<void> {
  if (flags.child !== '') {
    process.stdout.write(`${JSON.stringify(await assess(flags.child))}\n`);
    return;
  }
  const engines = findEngines({
    ...(flags.duckdb === '' ? {} : { duckdb: flags.duckdb }),
    ...(flags.python === '' ? {} : { python: flags.python }),
  });
  const folder = flags.folder === '' ? mkdtempSync(join(tmpdir(), 'bench-assess-')) : flags.folder;
  const ours: { rows: number; format: string; run: Measured }[] = [];
  try {
    for (const rows of flags.rows.split(',').map(Number)) {
      for (const file of await generate(folder, rows)) {
        const rounds = Array.from({ length: flags.repeat }, () => [
          cutover(file),
          ...(engines === null ? [] : [duckdbShell(engines, file, folder), pandas(engines, file, folder)]),
        ]);
        const best = fastest(rounds.flat());
        report(rows, file, best, rounds);
        const [run] = best;
        if (run !== undefined) ours.push({ rows, format: file.endsWith('.csv') ? 'CSV' : 'Parquet', run });
      }
    }
  } finally {
    if (flags.folder === '') rmSync(folder, { recursive: true });
  }
  reportGrowth(ours);
}

/** How time and memory grow with the rows. */
function reportGrowth(ours: readonly { rows: number; format: string; run: Measured }[]): void {
  for (const format of ['CSV', 'Parquet']) {
    const [least, most] = [0, -1].map((at) => ours.filter((each) => each.format === format).at(at));
    if (least === undefined || most === undefined || least.rows === most.rows) continue;
    process.stdout.write(
      `${format}: ${most.rows / least.rows} times the rows take ${(most.run.seconds / least.run.seconds).toFixed(1)} times the time, ` +
        `${least.run.memoryMb.toFixed(0)} MB become ${most.run.memoryMb.toFixed(0)} MB\n`,
    );
  }
}

/** The fastest of an engine's runs, which alternate: others on the machine only ever slow one down. */
function fastest(measured: readonly Measured[]): Measured[] {
  const best = new Map<string, Measured>();
  for (const each of measured) {
    if (each.seconds < (best.get(each.engine)?.seconds ?? Number.POSITIVE_INFINITY))
      best.set(each.engine, each);
  }
  return [...best.values()];
}

async function generate(folder: string, rows: number): Promise<string[]> {
  const files = ['csv', 'parquet'].map((format) => join(folder, `usage-${rows}.${format}`));
  if (files.every((file) => existsSync(file))) return files;
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  // Deterministic: every value follows from the row's number.
  const normal = (a: number, b: number) =>
    `sqrt(-2 * ln((1 + hash(i * ${a}) % 1000000) / 1000001.0)) * cos(2 * pi() * (hash(i * ${b}) % 1000000) / 1000000.0)`;
  const select = (time: string) => `SELECT ${time} AS time,
      ['deepseek-chat', 'gpt-4o', 'gpt-4o-mini', 'deepseek-reasoner', 'gpt-4.1'][1 + (hash(i) % 5)::INTEGER] AS model,
      'key-' || (hash(i * 3) % 40)::VARCHAR AS api_key,
      (200 + hash(i * 7) % 8000)::BIGINT AS input_tokens, (hash(i * 7) % 200)::BIGINT AS cached_tokens,
      (10 + hash(i * 11) % 1500)::BIGINT AS output_tokens,
      round(exp(6 + 1.2 * ${normal(13, 17)}), 3) AS latency_ms,
      round(exp(5 + 0.8 * ${normal(19, 23)}), 3) AS first_token_ms,
      CASE WHEN hash(i * 29) % 100 = 0 THEN 500 ELSE 200 END AS status
    FROM range(${rows}) t(i)`;
  const instant = `TIMESTAMP '2026-10-01' + to_milliseconds(i * ${Math.floor((30 * 86_400_000) / rows)})`;
  const [csv, parquet] = files;
  await connection.run(
    `COPY (${select(`strftime(${instant}, '%Y-%m-%dT%H:%M:%S.%gZ')`)}) TO '${csv}' (HEADER)`,
  );
  await connection.run(`COPY (${select(instant)}) TO '${parquet}'`);
  return files;
}

async function assess(file: string): Promise<Measured> {
  const started = performance.now();
  const cpuBefore = process.cpuUsage();
  const db = await UsageDatabase.open({ threads: 2 });
  try {
    const sources = await loadUsage(db, [file], { mappings: [MAPPING], maxRejectShare: 0.01 });
    const { analysis } = await analyzeUsage(db, sources, { fromMs: null, toMs: null, days: 31 }, []);
    const { totals, latencyMs, peak } = analysis;
    const cpu = process.cpuUsage(cpuBefore);
    return {
      engine: 'cutover',
      file,
      seconds: (performance.now() - started) / 1000,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      memoryMb: process.resourceUsage().maxRSS / 1024,
      answers: {
        calls: totals.calls ?? 0,
        input: totals.inputTokens ?? 0,
        cached: totals.cachedTokens ?? 0,
        output: totals.outputTokens ?? 0,
        failed: totals.failed ?? 0,
        p50: latencyMs?.p50 ?? 0,
        p95: latencyMs?.p95 ?? 0,
        p99: latencyMs?.p99 ?? 0,
        peakRequests: peak?.requestsPerMinute ?? 0,
        peakTokens: peak?.tokensPerMinute ?? 0,
      },
    };
  } finally {
    await db.close();
  }
}

function cutover(file: string): Measured {
  const child = spawnSync(process.execPath, [__filename, '--child', file], { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`the assessment of ${file} failed: ${child.stderr}`);
  return JSON.parse(child.stdout) as Measured;
}

const BUCKET = 'ceil(ln(%) / ln(1.005 / 0.995))::INTEGER';

function duckdbShell({ duckdb, python }: Engines, file: string, folder: string): Measured {
  const types =
    "{'time': 'TIMESTAMP', 'model': 'VARCHAR', 'api_key': 'VARCHAR', 'input_tokens': 'BIGINT', 'cached_tokens': 'BIGINT', 'output_tokens': 'BIGINT', 'latency_ms': 'DOUBLE', 'first_token_ms': 'DOUBLE', 'status': 'INTEGER'}";
  const source = file.endsWith('.csv')
    ? `CREATE TABLE t AS SELECT * FROM read_csv('${file}', header = true, auto_detect = false, delim = ',', columns = ${types})`
    : `CREATE VIEW t AS SELECT * FROM '${file}'`;
  const bucketed = (column: string) =>
    `SELECT model, ${BUCKET.replace('%', column)} AS bucket, count(*) FROM t WHERE ${column} > 0 GROUP BY ALL`;
  const sums = 'count(*), sum(input_tokens), sum(cached_tokens), sum(output_tokens), count_if(status >= 400)';
  // The same questions as the analysis asks; what is not compared is written away.
  const script = `SET threads = 2;
${source};
CREATE TABLE valid AS SELECT model, count(*) AS n, min(time), max(time), count_if(input_tokens < 0 OR cached_tokens > input_tokens OR output_tokens < 0), count(latency_ms), count(first_token_ms), count(api_key) FROM t GROUP BY model;
CREATE TABLE cells AS SELECT model, epoch_ms(time) // 900000 AS quarter, ${sums} FROM t GROUP BY ALL;
CREATE TABLE latency AS ${bucketed('latency_ms')};
CREATE TABLE first_token AS ${bucketed('first_token_ms')};
CREATE TABLE prompt AS ${bucketed('input_tokens')};
CREATE TABLE largest AS SELECT model, max(input_tokens), max(input_tokens + output_tokens) FROM t GROUP BY model;
CREATE TABLE minutes AS SELECT model, epoch_ms(time) // 60000 AS minute, count(*) AS requests, sum(input_tokens + output_tokens) AS tokens FROM t GROUP BY ALL;
CREATE TABLE callers AS SELECT api_key, ${sums} FROM t GROUP BY api_key;
COPY (WITH totals AS (SELECT sum(COLUMNS(* EXCLUDE (model, quarter))) FROM cells),
  ranked AS (SELECT bucket, sum(sum(n)) OVER (ORDER BY bucket) AS seen, sum(sum(n)) OVER () AS total FROM (SELECT bucket, "count_star()" AS n FROM latency) GROUP BY bucket),
  peak AS (SELECT max(requests) AS r, max(tokens) AS k FROM (SELECT sum(requests) AS requests, sum(tokens) AS tokens FROM minutes GROUP BY minute)),
  value AS (SELECT p, 2 * (1.005 / 0.995) ** min(bucket) / (1.005 / 0.995 + 1) AS v FROM ranked, (VALUES (0.5), (0.95), (0.99)) q(p) WHERE seen > floor(p * total) GROUP BY p)
  SELECT totals.*, (SELECT list(v ORDER BY p) FROM value) AS quantiles, peak.r AS r, peak.k AS k FROM totals, peak) TO '${join(folder, 'duckdb.json')}' (FORMAT json, ARRAY false);`;
  const path = join(folder, 'questions.sql');
  writeFileSync(path, script);
  const run = measured(python, duckdb, ['-batch', '-f', path]);
  const [row] = jsonLines(join(folder, 'duckdb.json'));
  const values = Object.values(row as Record<string, unknown>);
  const [calls, input, cached, output, failed, quantiles, peakRequests, peakTokens] = values;
  const [p50 = 0, p95 = 0, p99 = 0] = quantiles as number[];
  const answers = { calls, input, cached, output, failed, p50, p95, p99, peakRequests, peakTokens };
  return { engine: 'duckdb shell', file, ...run, answers: numbers(answers) };
}

function pandas({ python }: Engines, file: string, folder: string): Measured {
  const reads = file.endsWith('.csv')
    ? `pd.read_csv(${JSON.stringify(file)}, parse_dates=['time'])`
    : `pd.read_parquet(${JSON.stringify(file)})`;
  const path = join(folder, 'questions.py');
  writeFileSync(
    path,
    `import json, math, sys
import pandas as pd, numpy as np
t = ${reads}
t['failed'] = t.status >= 400
valid = t.groupby('model').agg(n=('time', 'size'), first=('time', 'min'), last=('time', 'max'))
bad = int(((t.input_tokens < 0) | (t.cached_tokens > t.input_tokens) | (t.output_tokens < 0)).sum())
sums = dict(calls=('time', 'size'), input=('input_tokens', 'sum'), cached=('cached_tokens', 'sum'), output=('output_tokens', 'sum'), failed=('failed', 'sum'))
cells = t.groupby(['model', t.time.dt.floor('15min')]).agg(**sums)
gamma = math.log(1.005 / 0.995)
for column in ('latency_ms', 'first_token_ms', 'input_tokens'):
    t.groupby(['model', np.ceil(np.log(t[column]) / gamma)]).size()
largest = t.assign(context=t.input_tokens + t.output_tokens).groupby('model')[['input_tokens', 'context']].max()
t['tokens'] = t.input_tokens + t.output_tokens
minutes = t.groupby(['model', t.time.dt.floor('min')]).agg(requests=('time', 'size'), tokens=('tokens', 'sum'))
total = minutes.groupby(level=1).sum()
callers = t.groupby('api_key').agg(**sums)
q = t.latency_ms.quantile([.5, .95, .99])
print(json.dumps(dict(cells.sum().astype(int).to_dict(), p50=q[.5], p95=q[.95], p99=q[.99], peakRequests=int(total.requests.max()), peakTokens=int(total.tokens.max()))))
`,
  );
  const run = measured(python, python, [path]);
  return {
    engine: 'pandas',
    file,
    ...run,
    answers: numbers(JSON.parse(run.stdout) as Record<string, unknown>),
  };
}

function jsonLines(path: string): unknown[] {
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function numbers(values: Readonly<Record<string, unknown>>): Answers {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, Number(value)]),
  ) as unknown as Answers;
}

/** How much longer an engine takes than the shell: the median of what it took in the same round, since machines vary. */
function timesShell(engine: string, rounds: readonly (readonly Measured[])[]): number | null {
  const ratios = rounds.flatMap((round) => {
    const own = round.find((each) => each.engine === engine);
    const shell = round.find((each) => each.engine === 'duckdb shell');
    return own === undefined || shell === undefined ? [] : [own.seconds / shell.seconds];
  });
  return ratios.sort((a, b) => a - b)[Math.floor((ratios.length - 1) / 2)] ?? null;
}

function report(
  rows: number,
  file: string,
  best: readonly Measured[],
  rounds: readonly (readonly Measured[])[],
): void {
  const [first] = best;
  const megabytes = (statSync(file).size / 1e6).toFixed(0);
  for (const { engine, seconds, cpuSeconds, memoryMb, answers } of best) {
    const differing = Object.entries(answers).filter(([name, value]) => {
      const expected = first?.answers[name as keyof Answers] ?? Number.NaN;
      // Exact percentiles may be half a percent off those of buckets.
      return name.startsWith('p9') || name === 'p50'
        ? Math.abs(value / expected - 1) > 0.0051
        : value !== expected;
    });
    const verdict = differing.length === 0 ? 'same numbers' : `OTHER NUMBERS: ${JSON.stringify(differing)}`;
    const times = timesShell(engine, rounds);
    const ratio = times === null ? '' : `  ${times.toFixed(2)} x shell`;
    process.stdout.write(
      `${rows} rows  ${file.endsWith('.csv') ? 'CSV    ' : 'Parquet'} ${megabytes} MB  ${engine.padEnd(12)}  ${seconds.toFixed(2)} s  ${cpuSeconds.toFixed(2)} CPU s  ${memoryMb.toFixed(0)} MB${ratio}  ${verdict}\n`,
    );
    if (differing.length > 0) process.exitCode = 1;
  }
}

void runBench('bench:assess', main);
