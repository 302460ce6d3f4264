import type { UsageField } from './formats/mapping-sql';
import { bucketSql } from './sql-text';

/** The column of each field in the rows of a mapping's SELECT. */
const COLUMN_OF: Readonly<Record<UsageField, string>> = {
  caller: 'caller',
  inputTokens: 'input_tokens',
  cachedTokens: 'cached_tokens',
  outputTokens: 'output_tokens',
  latency: 'latency_ms',
  firstToken: 'first_token_ms',
  failed: 'failed',
  cost: 'cost',
  serviceTier: 'service_tier',
  streamed: 'streamed',
  tools: 'tools',
  jsonSchema: 'json_schema',
  vision: 'vision',
  embeddings: 'embeddings',
};

/** Every column of a source, in one order, with what it holds where a source does not carry it. */
const COLUMNS: readonly (readonly [name: string, absent: string])[] = [
  ['at_ms', 'NULL::BIGINT'],
  ['end_ms', 'NULL::BIGINT'],
  ['calls', '1::BIGINT'],
  ['model', 'NULL::VARCHAR'],
  ['caller', 'NULL::VARCHAR'],
  ['input_tokens', 'NULL::BIGINT'],
  ['cached_tokens', 'NULL::BIGINT'],
  ['output_tokens', 'NULL::BIGINT'],
  ['latency_bucket', 'NULL::INTEGER'],
  ['first_token_bucket', 'NULL::INTEGER'],
  ['latency_ignored', 'false'],
  ['cost', 'NULL::DOUBLE'],
  ['service_tier', 'NULL::VARCHAR'],
  ['failed', 'NULL::BOOLEAN'],
  ['streamed', 'NULL::BOOLEAN'],
  ['tools', 'NULL::BOOLEAN'],
  ['json_schema', 'NULL::BOOLEAN'],
  ['vision', 'NULL::BOOLEAN'],
  ['embeddings', 'NULL::BOOLEAN'],
  ['reject', '0::UTINYINT'],
];

/** What the analysis reads of rows that are accepted. */
export const ACCEPTED_COLUMNS = COLUMNS.map(([name]) => name).filter(
  (name) => name !== 'reject' && name !== 'latency_ignored',
);

/** Durations are only ever asked for by bucket, which takes a fraction of their space. */
const BUCKETS: Readonly<Record<string, string>> = {
  latency_ms: 'latency_bucket',
  first_token_ms: 'first_token_bucket',
};

/** A SELECT of what is worth writing of a source: what it carries, and what every source has. */
export function stagedRows(carried: readonly UsageField[], aggregate: boolean, sql: string): string {
  const columns = stagedColumns(carried, aggregate).map((name) => {
    const bucketed = Object.keys(BUCKETS).find((column) => BUCKETS[column] === name);
    return bucketed === undefined ? name : `${bucketSql(bucketed)} AS ${name}`;
  });
  return `SELECT ${columns.join(', ')} FROM (${sql})`;
}

/** A SELECT that gives staged rows all columns again. */
export function unstagedRows(carried: readonly UsageField[], aggregate: boolean, relation: string): string {
  const staged = stagedColumns(carried, aggregate);
  const columns = COLUMNS.map(([name, absent]) => (staged.includes(name) ? name : `${absent} AS ${name}`));
  return `SELECT ${columns.join(', ')} FROM ${relation}`;
}

/** A SELECT of all columns over rows that are read in place. */
export function rowsInPlace(sql: string): string {
  const buckets = Object.entries(BUCKETS).map(([column, name]) => `${bucketSql(column)} AS ${name}`);
  return `SELECT *, ${buckets.join(', ')} FROM (${sql})`;
}

/** A column that is there where a field has a value: the cheapest one. */
export function presenceColumn(field: UsageField, staged: boolean): string {
  const column = COLUMN_OF[field];
  return staged ? (BUCKETS[column] ?? column) : column;
}

function stagedColumns(carried: readonly UsageField[], aggregate: boolean): string[] {
  return [
    'at_ms',
    'model',
    'reject',
    ...(aggregate ? ['end_ms', 'calls'] : []),
    ...(carried.includes('latency') ? ['latency_ignored'] : []),
    ...carried.map((field) => BUCKETS[COLUMN_OF[field]] ?? COLUMN_OF[field]),
  ];
}
