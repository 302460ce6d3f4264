import { GAMMA, type Histogram, histogramCount, mergeHistograms, quantile } from '../../core/histogram';
import { USAGE_FIELDS, type UsageField } from './mapping-sql';
import {
  type Distribution,
  FEATURES,
  featureField,
  type ModelUsage,
  type Peak,
  type UsageAnalysis,
  type UsageCell,
  type UsageSums,
} from './usage-analysis';
import type { Row, UsageDatabase } from './usage-database';
import type { UsageSource } from './usage-source';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Prices change on quarter hours at the finest: every time zone's offset is a multiple of that. */
const CELL_MS = 900_000;
const CALLERS_SHOWN = 50;

/** Which time of the usage is looked at. */
export interface WindowChoice {
  readonly fromMs: number | null;
  readonly toMs: number | null;
  /** Days up to the last record, when no start is given. */
  readonly days: number;
}

/** Answers every question about the loaded usage; `contextThresholds` are prompt sizes at which prices change. */
export async function analyzeUsage(
  db: UsageDatabase,
  sources: readonly UsageSource[],
  choice: WindowChoice,
  contextThresholds: readonly number[],
  signal?: AbortSignal,
): Promise<{ analysis: UsageAnalysis; cells: UsageCell[] }> {
  const window = windowOf(sources, choice);
  const inside = `at_ms >= ${window.fromMs} AND at_ms < ${window.toMs}`;
  const whole = sources.every(
    ({ firstMs, lastMs }) =>
      firstMs === null || lastMs === null || (firstMs >= window.fromMs && lastMs < window.toMs),
  );
  await db.run(
    `CREATE OR REPLACE VIEW usage AS SELECT * FROM usage_all ${whole ? '' : `WHERE ${inside}`}`,
    'choosing the window',
  );
  const carriedBy = carriage(sources);
  const has = (field: UsageField) => carriedBy[field] > 0;
  const ask = (what: string, sql: string) => db.rows(sql, what, signal);

  const told = {
    buckets: sources.some(({ granularity }) => granularity === 'aggregate'),
    tiers: has('serviceTier'),
    countsCalls: sources.some(({ countsCalls }) => countsCalls),
  };
  const cells = (await ask('adding up tokens', cellsSql(contextThresholds, told))).map((row) =>
    cellOf(row, has),
  );
  const latency = has('latency') ? await distributions(ask, 'latency_ms', 'latency') : null;
  const firstToken = has('firstToken') ? await distributions(ask, 'first_token_ms', 'first tokens') : null;
  const prompts = has('inputTokens') ? await distributions(ask, 'input_tokens', 'prompt sizes') : null;
  const largest = has('inputTokens') ? await ask('looking for the largest prompts', LARGEST) : [];
  const peaks = await ask(
    'looking for peaks',
    peaksSql(has('inputTokens') || has('outputTokens'), told.countsCalls),
  );
  const callers = has('caller') ? await ask('adding up callers', callersSql(told.countsCalls)) : null;
  const features = await featureCounts(ask, carriedBy);
  const outside = whole
    ? 0
    : Number(
        (
          await ask(
            'counting what is outside',
            `SELECT sum(calls) AS calls FROM usage_all WHERE NOT (${inside})`,
          )
        )[0]?.['calls'] ?? 0,
      );

  const byModel = [...groupBy(cells, ({ model }) => model)]
    .map(([model, own]): ModelUsage => {
      const most = largest.find((row) => row['model'] === model);
      return {
        model,
        ...sumOf(own),
        latencyMs: distribution(latency?.get(model)),
        firstTokenMs: distribution(firstToken?.get(model)),
        promptTokens: distribution(prompts?.get(model)),
        maxInputTokens: most === undefined ? null : Number(most['input']),
        maxContextTokens: most === undefined ? null : Number(most['context']),
        peak: peakOf(peaks.find((row) => row['model'] === model)),
      };
    })
    .sort((a, b) => b.calls - a.calls || (a.model < b.model ? -1 : 1));
  const analysis: UsageAnalysis = {
    sources,
    window,
    callsOutside: outside,
    carriedBy,
    totals: sumOf(cells, has),
    byModel,
    byDay: byDay(cells),
    byHourOfWeek: byHourOfWeek(cells),
    byCaller:
      callers
        ?.filter((row) => row['caller'] !== null)
        .map((row) => ({ caller: String(row['caller']), ...sums(row, has) })) ?? null,
    callers: callers === null ? null : Number(callers[0]?.['distinct_callers'] ?? 0),
    latencyMs: pooled(latency),
    firstTokenMs: pooled(firstToken),
    promptTokens: pooled(prompts),
    peak: peakOf(peaks.find((row) => row['model'] === null)),
    features,
    recordedCosts: recordedCosts(sources, cells, window),
  };
  return { analysis, cells };
}

function windowOf(sources: readonly UsageSource[], choice: WindowChoice): UsageAnalysis['window'] {
  const times = sources.flatMap((source) => [
    source.firstMs,
    source.lastMs,
    ...source.costs.flatMap(({ startMs, endMs }) => [startMs, endMs]),
  ]);
  const known = times.filter((time) => time !== null);
  if (known.length === 0) throw new RangeError('the files hold no usage: no call and no cost');
  const first = known.reduce((a, b) => Math.min(a, b));
  const last = known.reduce((a, b) => Math.max(a, b));
  // The last day of a log that knows days only counts as a whole one.
  const daily = sources.every(({ granularity, daysOnly }) => granularity === 'request' && daysOnly);
  const end = daily ? last + DAY_MS : last;
  const toMs = choice.toMs ?? Math.max(end, last + 1);
  const fromMs = choice.fromMs ?? toMs - choice.days * DAY_MS;
  const covered = Math.min(toMs, end) - Math.max(fromMs, first);
  if (covered < 0) {
    throw new RangeError(
      `the window ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()} holds no usage: the files cover ${new Date(first).toISOString()} to ${new Date(last).toISOString()}`,
    );
  }
  return { fromMs, toMs, days: Math.max(covered, 60_000) / DAY_MS };
}

function carriage(sources: readonly UsageSource[]): Record<UsageField, number> {
  const entries = USAGE_FIELDS.map((field) => [
    field,
    sources.filter(({ carried }) => carried.includes(field)).length,
  ]);
  return Object.fromEntries(entries) as Record<UsageField, number>;
}

/** Counting is much cheaper than adding ones up. */
function sumsSql(countsCalls: boolean): string {
  const calls = countsCalls ? 'sum(calls)' : 'count(*)';
  const failed = countsCalls
    ? 'sum(CASE WHEN failed THEN calls WHEN failed IS NOT NULL THEN 0 END)'
    : 'CASE WHEN count(failed) > 0 THEN count_if(failed) END';
  return `${calls} AS calls, sum(input_tokens) AS input, sum(cached_tokens) AS cached,
    sum(output_tokens) AS output, ${failed} AS failed`;
}

/** Groups by no more than the sources tell apart: each key costs time over millions of rows. */
function cellsSql(
  thresholds: readonly number[],
  told: { buckets: boolean; tiers: boolean; countsCalls: boolean },
): string {
  const quarter = `at_ms // ${CELL_MS} * ${CELL_MS}`;
  const classes = thresholds.map((threshold) => `CAST(input_tokens > ${threshold} AS INTEGER)`).join(' + ');
  const keys = {
    model: 'model',
    start_ms: told.buckets ? `CASE WHEN end_ms IS NULL THEN ${quarter} ELSE at_ms END` : quarter,
    ...(told.buckets ? { bucket_ms: 'COALESCE(end_ms - at_ms, 0)' } : {}),
    ...(told.tiers ? { service_tier: 'service_tier' } : {}),
    ...(classes === '' ? {} : { context_class: `CASE WHEN end_ms IS NULL THEN COALESCE(${classes}, 0) END` }),
  };
  const selected = Object.entries(keys).map(([name, sql]) => `${sql} AS ${name}`);
  return `SELECT ${selected.join(', ')}, ${sumsSql(told.countsCalls)}, sum(cost) AS cost FROM usage GROUP BY ${Object.keys(
    keys,
  )
    .map((_, index) => index + 1)
    .join(', ')}`;
}

const LARGEST = `SELECT model, max(input_tokens) AS input, max(input_tokens + COALESCE(output_tokens, 0)) AS context
  FROM usage WHERE end_ms IS NULL AND input_tokens IS NOT NULL GROUP BY model`;

function peaksSql(tokens: boolean, countsCalls: boolean): string {
  const busiest = (model: string) =>
    `${model} AS model, max(requests) AS requests, arg_max(minute, requests) AS requests_at,
     max(tokens) AS tokens, arg_max(minute, tokens) AS tokens_at`;
  const sum = tokens ? 'sum(COALESCE(input_tokens, 0) + COALESCE(output_tokens, 0))' : 'NULL::BIGINT';
  return `WITH minutes AS MATERIALIZED (
      SELECT model, at_ms // 60000 AS minute, ${countsCalls ? 'sum(calls)' : 'count(*)'} AS requests, ${sum} AS tokens
      FROM usage WHERE end_ms IS NULL GROUP BY ALL)
    SELECT ${busiest('model')} FROM minutes GROUP BY model
    UNION ALL SELECT ${busiest('NULL')} FROM
      (SELECT minute, sum(requests) AS requests, sum(tokens) AS tokens FROM minutes GROUP BY minute)`;
}

function callersSql(countsCalls: boolean): string {
  return `WITH callers AS (SELECT caller, ${sumsSql(countsCalls)} FROM usage GROUP BY caller)
    SELECT *, count(caller) OVER () AS distinct_callers FROM callers ORDER BY calls DESC, caller LIMIT ${CALLERS_SHOWN + 1}`;
}

async function featureCounts(
  ask: (what: string, sql: string) => Promise<Row[]>,
  carriedBy: UsageAnalysis['carriedBy'],
): Promise<UsageAnalysis['features']> {
  const columns = {
    streaming: 'streamed',
    tools: 'tools',
    jsonSchema: 'json_schema',
    vision: 'vision',
    embeddings: 'embeddings',
  };
  const known = FEATURES.filter((feature) => carriedBy[featureField(feature)] > 0);
  const counted = known.map(
    (feature) => `sum(CASE WHEN ${columns[feature]} THEN calls ELSE 0 END) AS ${feature}`,
  );
  const row =
    known.length === 0 ? {} : (await ask('counting features', `SELECT ${counted.join(', ')} FROM usage`))[0];
  return FEATURES.map((feature) => ({
    feature,
    calls: known.includes(feature) ? Number(row?.[feature] ?? 0) : null,
  }));
}

async function distributions(
  ask: (what: string, sql: string) => Promise<Row[]>,
  column: string,
  what: string,
): Promise<Map<string, Histogram>> {
  const rows = await ask(
    `sorting ${what}`,
    `SELECT model, CASE WHEN ${column} > 0 THEN CAST(ceil(ln(${column}) / ${Math.log(GAMMA)}) AS INTEGER) END AS bucket,
       count(*) AS row_count
     FROM usage WHERE ${column} IS NOT NULL AND end_ms IS NULL GROUP BY ALL ORDER BY model, bucket`,
  );
  const found = new Map<string, { zero: number; buckets: [number, number][] }>();
  for (const row of rows) {
    const model = String(row['model']);
    const histogram = found.get(model) ?? { zero: 0, buckets: [] };
    found.set(model, histogram);
    if (row['bucket'] === null) histogram.zero += Number(row['row_count']);
    else histogram.buckets.push([Number(row['bucket']), Number(row['row_count'])]);
  }
  return found;
}

function pooled(histograms: ReadonlyMap<string, Histogram> | null): Distribution | null {
  return histograms === null ? null : distribution(mergeHistograms([...histograms.values()]));
}

function distribution(histogram: Histogram | undefined): Distribution | null {
  if (histogram === undefined || histogramCount(histogram) === 0) return null;
  const at = (p: number) => quantile(histogram, p) as number;
  return { count: histogramCount(histogram), p50: at(0.5), p95: at(0.95), p99: at(0.99), histogram };
}

function peakOf(row: Row | undefined): Peak | null {
  if (row === undefined || row['requests'] === null) return null;
  const tokens = row['tokens'] ?? null;
  return {
    requestsPerMinute: Number(row['requests']),
    requestsAtMs: Number(row['requests_at']) * 60_000,
    tokensPerMinute: tokens === null ? null : Number(tokens),
    tokensAtMs: tokens === null ? null : Number(row['tokens_at']) * 60_000,
  };
}

function cellOf(row: Row, has: (field: UsageField) => boolean): UsageCell {
  const bucketMs = Number(row['bucket_ms'] ?? 0);
  const tier = row['service_tier'] ?? null;
  return {
    model: String(row['model']),
    startMs: Number(row['start_ms']),
    bucketMs,
    serviceTier: tier === null ? null : String(tier),
    contextClass: bucketMs > 0 ? null : Number(row['context_class'] ?? 0),
    recordedCost: has('cost') && row['cost'] !== null ? Number(row['cost']) : null,
    ...sums(row, has),
  };
}

function sums(row: Row, has: (field: UsageField) => boolean): UsageSums {
  const sum = (field: UsageField, name: string) => {
    const value = row[name] ?? null;
    return has(field) && value !== null ? Number(value) : null;
  };
  return {
    calls: Number(row['calls']),
    inputTokens: sum('inputTokens', 'input'),
    cachedTokens: sum('cachedTokens', 'cached'),
    outputTokens: sum('outputTokens', 'output'),
    failed: sum('failed', 'failed'),
  };
}

function sumOf(parts: readonly UsageSums[], has: (field: UsageField) => boolean = () => false): UsageSums {
  const sum = (read: (part: UsageSums) => number | null, field: UsageField) => {
    const values = parts.map(read).filter((value) => value !== null);
    return values.length === 0 ? (has(field) ? 0 : null) : values.reduce((a, b) => a + b, 0);
  };
  return {
    calls: parts.reduce((total, { calls }) => total + calls, 0),
    inputTokens: sum((part) => part.inputTokens, 'inputTokens'),
    cachedTokens: sum((part) => part.cachedTokens, 'cachedTokens'),
    outputTokens: sum((part) => part.outputTokens, 'outputTokens'),
    failed: sum((part) => part.failed, 'failed'),
  };
}

function byDay(cells: readonly UsageCell[]): UsageAnalysis['byDay'] {
  const dayOf = ({ startMs }: UsageCell) => new Date(startMs).toISOString().slice(0, 10);
  return [...groupBy(cells, (cell) => JSON.stringify([dayOf(cell), cell.model]))]
    .map(([, own]) => ({
      day: dayOf(own[0] as UsageCell),
      model: (own[0] as UsageCell).model,
      ...sumOf(own),
    }))
    .sort((a, b) => (a.day === b.day ? (a.model < b.model ? -1 : 1) : a.day < b.day ? -1 : 1));
}

function byHourOfWeek(cells: readonly UsageCell[]): UsageAnalysis['byHourOfWeek'] {
  if (cells.length === 0 || cells.some(({ bucketMs }) => bucketMs > HOUR_MS)) return null;
  const hours = Array.from({ length: 168 }, () => ({ calls: 0, tokens: 0 as number | null }));
  for (const cell of cells) {
    const date = new Date(cell.startMs);
    const hour = hours[((date.getUTCDay() + 6) % 7) * 24 + date.getUTCHours()];
    if (hour === undefined) continue;
    hour.calls += cell.calls;
    const tokens =
      cell.inputTokens === null && cell.outputTokens === null
        ? null
        : (cell.inputTokens ?? 0) + (cell.outputTokens ?? 0);
    hour.tokens = tokens === null || hour.tokens === null ? null : hour.tokens + tokens;
  }
  return hours;
}

function recordedCosts(
  sources: readonly UsageSource[],
  cells: readonly UsageCell[],
  window: { fromMs: number; toMs: number },
): UsageAnalysis['recordedCosts'] {
  const found: { currency: string; amount: number; where: string }[] = [];
  const inRows = cells.map(({ recordedCost }) => recordedCost).filter((cost) => cost !== null);
  if (inRows.length > 0) {
    const currencies = [
      ...new Set(sources.filter(({ carried }) => carried.includes('cost')).map(({ currency }) => currency)),
    ];
    // Sums of several currencies mean nothing, so they are left out.
    if (currencies.length === 1) {
      found.push({
        currency: currencies[0] as string,
        amount: inRows.reduce((a, b) => a + b, 0),
        where: 'the rows of the log',
      });
    }
  }
  for (const source of sources) {
    const own = source.costs.filter(({ startMs }) => startMs >= window.fromMs && startMs < window.toMs);
    for (const [currency, some] of groupBy(own, (cost) => cost.currency)) {
      found.push({
        currency,
        amount: some.reduce((sum, { amount }) => sum + amount, 0),
        where: `${source.title} (${source.file})`,
      });
    }
  }
  return found;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
