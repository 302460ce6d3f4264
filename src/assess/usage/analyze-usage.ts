import { BadInput } from '../../core/configuration/bad-input';
import { type Histogram, histogramCount, mergeHistograms, quantile } from '../../core/statistics/histogram';
import { DAY_MS, HOUR_MS } from '../../core/text/duration';
import type { UsageSource } from './files/usage-source';
import { USAGE_FIELDS, type UsageField } from './formats/mapping-sql';
import { bucketSql } from './sql-text';
import {
  type Distribution,
  type ModelUsage,
  type Peak,
  sumOf,
  sumOfKnown,
  type UsageAnalysis,
  type UsageCell,
  type UsageSums,
} from './usage-analysis';
import type { Row, UsageDatabase } from './usage-database';
import { UsageQuestions } from './usage-questions';

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
  const told = {
    buckets: sources.some(({ granularity }) => granularity === 'aggregate'),
    tiers: has('serviceTier'),
    countsCalls: sources.some(({ countsCalls }) => countsCalls),
  };
  const questions = new UsageQuestions(db, told, signal);
  await questions.addUp(contextThresholds);
  const cells = (await questions.cells()).map((row) => cellOf(row, has));
  const latency = has('latency') ? await questions.distributions('latency_bucket', 'latency') : null;
  const firstToken = has('firstToken')
    ? await questions.distributions('first_token_bucket', 'first tokens')
    : null;
  const prompts = has('inputTokens')
    ? await questions.distributions(bucketSql('input_tokens'), 'prompt sizes')
    : null;
  const largest = has('inputTokens') ? await questions.largest() : [];
  const peaks = await questions.peaks(has('inputTokens') || has('outputTokens'));
  const callers = has('caller') ? await questions.callers() : null;
  const features = await questions.features(carriedBy);
  const outside = whole ? 0 : await questions.callsBut(inside);

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
    .sort((a, b) => (b.calls ?? 0) - (a.calls ?? 0) || (a.model < b.model ? -1 : 1));
  const analysis: UsageAnalysis = {
    sources,
    window,
    callsOutside: outside,
    carriedBy,
    totals: totalsOf(cells, has),
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
  if (known.length === 0) throw new BadInput('the files hold no usage: no call and no cost');
  const first = known.reduce((a, b) => Math.min(a, b));
  const last = known.reduce((a, b) => Math.max(a, b));
  // The last day of a log that knows days only counts as a whole one.
  const daily = sources.every(({ granularity, daysOnly }) => granularity === 'request' && daysOnly);
  const end = daily ? last + DAY_MS : last;
  const toMs = choice.toMs ?? Math.max(end, last + 1);
  const fromMs = choice.fromMs ?? toMs - choice.days * DAY_MS;
  const covered = Math.min(toMs, end) - Math.max(fromMs, first);
  if (covered < 0) {
    throw new BadInput(
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
    requestsAtMs: Number(row['requests_at']),
    tokensPerMinute: tokens === null ? null : Number(tokens),
    tokensAtMs: tokens === null ? null : Number(row['tokens_at']),
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
    calls: row['calls'] === null ? null : Number(row['calls']),
    inputTokens: sum('inputTokens', 'input'),
    cachedTokens: sum('cachedTokens', 'cached'),
    outputTokens: sum('outputTokens', 'output'),
    failed: sum('failed', 'failed'),
  };
}

/** A field that a source carries and no call has is 0 in the totals. */
function totalsOf(cells: readonly UsageCell[], has: (field: UsageField) => boolean): UsageSums {
  const sums = sumOf(cells);
  const known = (field: UsageField, sum: number | null) => sum ?? (has(field) ? 0 : null);
  return {
    calls: sums.calls,
    inputTokens: known('inputTokens', sums.inputTokens),
    cachedTokens: known('cachedTokens', sums.cachedTokens),
    outputTokens: known('outputTokens', sums.outputTokens),
    failed: known('failed', sums.failed),
  };
}

function byDay(cells: readonly UsageCell[]): UsageAnalysis['byDay'] {
  // By number: a date as text for each cell would take longer than adding up does.
  const days = groupBy(cells, ({ startMs, model }) => `${Math.floor(startMs / DAY_MS)} ${model}`);
  return [...days.values()]
    .map((own) => {
      const { startMs, model } = own[0] as UsageCell;
      return { day: new Date(startMs).toISOString().slice(0, 10), model, ...sumOf(own) };
    })
    .sort((a, b) => (a.day === b.day ? (a.model < b.model ? -1 : 1) : a.day < b.day ? -1 : 1));
}

function byHourOfWeek(cells: readonly UsageCell[]): UsageAnalysis['byHourOfWeek'] {
  if (cells.length === 0 || cells.some(({ bucketMs }) => bucketMs > HOUR_MS)) return null;
  const hours: UsageCell[][] = Array.from({ length: 168 }, () => []);
  for (const cell of cells) {
    const date = new Date(cell.startMs);
    hours[((date.getUTCDay() + 6) % 7) * 24 + date.getUTCHours()]?.push(cell);
  }
  const known = sumOf(cells);
  const tokensKnown = known.inputTokens !== null || known.outputTokens !== null;
  return hours.map((own) => {
    const { calls, inputTokens, outputTokens } = sumOf(own);
    return {
      calls: calls ?? (known.calls === null ? null : 0),
      tokens: sumOfKnown([inputTokens, outputTokens]) ?? (tokensKnown ? 0 : null),
    };
  });
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
