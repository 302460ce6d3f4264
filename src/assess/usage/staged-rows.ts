import type { UsageField } from './mapping-sql';

/** The column of each field in the rows that the analysis reads. */
export const COLUMN_OF: Readonly<Record<UsageField, string>> = {
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
  ['latency_ms', 'NULL::DOUBLE'],
  ['first_token_ms', 'NULL::DOUBLE'],
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

/** The columns that are worth writing for a source: those it carries, and those that every source has. */
export function stagedColumns(carried: readonly UsageField[], aggregate: boolean): string[] {
  return [
    'at_ms',
    'model',
    'reject',
    ...(aggregate ? ['end_ms', 'calls'] : []),
    ...(carried.includes('latency') ? ['latency_ignored'] : []),
    ...carried.map((field) => COLUMN_OF[field]),
  ];
}

/** A SELECT that gives staged rows all columns again. */
export function allColumns(staged: readonly string[], relation: string): string {
  const columns = COLUMNS.map(([name, absent]) => (staged.includes(name) ? name : `${absent} AS ${name}`));
  return `SELECT ${columns.join(', ')} FROM ${relation}`;
}
