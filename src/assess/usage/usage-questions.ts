import type { Histogram } from '../../core/statistics/histogram';
import { MINUTE_MS } from '../../core/text/duration';
import { isZeroBucket } from './sql-text';
import { FEATURES, featureField, type UsageAnalysis } from './usage-analysis';
import type { Row, UsageDatabase } from './usage-database';

/** Prices change on quarter hours at the finest: every time zone's offset is a multiple of that. */
const CELL_MS = 900_000;
/** Callers that are shown. */
const CALLERS_SHOWN = 50;

/** What the sources tell apart: each key costs time over millions of rows. */
export interface SourceDistinctions {
  readonly buckets: boolean;
  readonly tiers: boolean;
  readonly countsCalls: boolean;
}

/**
 * Questions about the view `usage`. Rows are added up once, by model and minute, into the table `minutes`; cells,
 * peaks and the largest prompts come from there.
 */
export class UsageQuestions {
  constructor(
    private readonly db: UsageDatabase,
    private readonly told: SourceDistinctions,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async addUp(contextThresholds: readonly number[]): Promise<void> {
    const sql = `CREATE OR REPLACE TEMP TABLE minutes AS ${minutesSql(contextThresholds, this.told)}`;
    await this.db.run(sql, 'adding up tokens', this.signal);
  }

  /** Sums by model and quarter of an hour, or longer bucket. */
  cells(): Promise<Row[]> {
    const quarter = `CASE WHEN bucket_ms IS NULL THEN start_ms // ${CELL_MS} * ${CELL_MS} ELSE start_ms END`;
    const sums = ['calls', 'input', 'cached', 'output', 'failed', 'cost'].map(
      (name) => `sum(${name}::DOUBLE) AS ${name}`,
    );
    return this.ask(
      'adding up by model and hour',
      `SELECT model, ${quarter} AS start_ms, bucket_ms, service_tier, context_class, ${sums.join(', ')}
       FROM minutes GROUP BY 1, 2, 3, 4, 5`,
    );
  }

  /** The busiest minute of each model, and of all as the row without a model. */
  peaks(tokens: boolean): Promise<Row[]> {
    const busiest = (model: string) =>
      `${model} AS model, max(requests) AS requests, arg_max(start_ms, requests) AS requests_at,
       max(tokens) AS tokens, arg_max(start_ms, tokens) AS tokens_at`;
    const sum = tokens ? 'sum(COALESCE(input, 0) + COALESCE(output, 0))' : 'NULL::DOUBLE';
    return this.ask(
      'looking for peaks',
      `WITH by_model AS (SELECT model, start_ms, sum(calls::DOUBLE) AS requests, ${sum} AS tokens
          FROM minutes WHERE bucket_ms IS NULL GROUP BY 1, 2),
        of_all AS (SELECT start_ms, sum(requests) AS requests, sum(tokens) AS tokens FROM by_model GROUP BY 1)
      SELECT ${busiest('model')} FROM by_model GROUP BY model
      UNION ALL SELECT ${busiest('NULL')} FROM of_all`,
    );
  }

  /** The largest prompt, and prompt with answer, of each model. */
  largest(): Promise<Row[]> {
    return this.ask(
      'looking for the largest prompts',
      `SELECT model, max(largest_input) AS input, max(largest_context) AS context
       FROM minutes WHERE bucket_ms IS NULL AND largest_input IS NOT NULL GROUP BY model`,
    );
  }

  /** The callers with most calls; each row has the number of all. */
  callers(): Promise<Row[]> {
    return this.ask(
      'adding up callers',
      `WITH callers AS (SELECT caller, ${sumsSql(this.told.countsCalls)} FROM usage GROUP BY caller)
       SELECT *, count(caller) OVER () AS distinct_callers FROM callers
       ORDER BY calls DESC, caller LIMIT ${CALLERS_SHOWN + 1}`,
    );
  }

  /** Calls outside of a condition on `at_ms`. */
  async callsBut(condition: string): Promise<number> {
    const rows = await this.ask(
      'counting what is outside',
      `SELECT sum(calls) AS calls FROM usage_all WHERE NOT (${condition})`,
    );
    return Number(rows[0]?.['calls'] ?? 0);
  }

  /** How often each feature was used; null where no source tells. */
  async features(carriedBy: UsageAnalysis['carriedBy']): Promise<UsageAnalysis['features']> {
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
    const [row] =
      known.length === 0
        ? []
        : await this.ask('counting features', `SELECT ${counted.join(', ')} FROM usage`);
    return FEATURES.map((feature) => ({
      feature,
      calls: known.includes(feature) ? Number(row?.[feature] ?? 0) : null,
    }));
  }

  /** How often each log bucket of the gates occurs, by model; `bucket` is SQL. */
  async distributions(bucket: string, what: string): Promise<Map<string, Histogram>> {
    const rows = await this.ask(
      `sorting ${what}`,
      `SELECT model, ${bucket} AS bucket, count(*) AS row_count FROM usage
       ${this.told.buckets ? 'WHERE end_ms IS NULL' : ''} GROUP BY 1, 2 ORDER BY model, bucket`,
    );
    const found = new Map<string, { zero: number; buckets: [number, number][] }>();
    for (const row of rows) {
      // Left out here: a condition in SQL would be moved before the grouping, and work every bucket out twice.
      if (row['bucket'] === null) continue;
      const model = String(row['model']);
      const histogram = found.get(model) ?? { zero: 0, buckets: [] };
      found.set(model, histogram);
      if (isZeroBucket(Number(row['bucket']))) histogram.zero += Number(row['row_count']);
      else histogram.buckets.push([Number(row['bucket']), Number(row['row_count'])]);
    }
    return found;
  }

  private ask(what: string, sql: string): Promise<Row[]> {
    return this.db.rows(sql, what, this.signal);
  }
}

/**
 * Counting is much cheaper than adding ones up, and doubles than DuckDB's HUGEINT. Sums of whole numbers are exact in
 * both while they are safe, and refused beyond.
 */
function sumsSql(countsCalls: boolean): string {
  const calls = countsCalls ? 'sum(calls::DOUBLE)' : 'count(*)';
  const failed = countsCalls
    ? 'sum(CASE WHEN failed THEN calls::DOUBLE WHEN failed IS NOT NULL THEN 0 END)'
    : 'CASE WHEN count(failed) > 0 THEN count_if(failed) END';
  return `${calls} AS calls, sum(input_tokens::DOUBLE) AS input, sum(cached_tokens::DOUBLE) AS cached,
    sum(output_tokens::DOUBLE) AS output, ${failed} AS failed`;
}

function minutesSql(thresholds: readonly number[], told: SourceDistinctions): string {
  const minute = `at_ms // ${MINUTE_MS} * ${MINUTE_MS}`;
  const classes = thresholds.map((threshold) => `CAST(input_tokens > ${threshold} AS INTEGER)`).join(' + ');
  const context = classes === '' ? null : `CASE WHEN end_ms IS NULL THEN COALESCE(${classes}, 0) END`;
  const columns = [
    ['model', 'model', true],
    ['start_ms', told.buckets ? `CASE WHEN end_ms IS NULL THEN ${minute} ELSE at_ms END` : minute, true],
    ['bucket_ms', told.buckets ? 'end_ms - at_ms' : 'NULL::BIGINT', told.buckets],
    ['service_tier', told.tiers ? 'service_tier' : 'NULL::VARCHAR', told.tiers],
    ['context_class', context ?? 'NULL::INTEGER', context !== null],
  ] as const;
  const keys = columns.flatMap(([, , isKey], index) => (isKey ? [index + 1] : []));
  return `SELECT ${columns.map(([name, sql]) => `${sql} AS ${name}`).join(', ')}, ${sumsSql(told.countsCalls)},
      sum(cost) AS cost, max(input_tokens) AS largest_input,
      max(input_tokens + COALESCE(output_tokens, 0)) AS largest_context
    FROM usage GROUP BY ${keys.join(', ')}`;
}
