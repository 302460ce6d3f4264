import { literal } from '../sql-text';
import { type RawAccess, ValueColumns } from '../value-columns';
import type { DurationField, FlagField, Mapping, NumberField, Source, TimeField } from './mapping-schema';

/** Fields that a source can carry, as the analysis names them. */
export const USAGE_FIELDS = [
  'caller',
  'inputTokens',
  'cachedTokens',
  'outputTokens',
  'latency',
  'firstToken',
  'failed',
  'cost',
  'serviceTier',
  'streamed',
  'tools',
  'jsonSchema',
  'vision',
  'embeddings',
] as const;

export type UsageField = (typeof USAGE_FIELDS)[number];

/** Why a row is not counted; the number is kept beside the row. */
export const REJECT_REASONS: ReadonlyMap<number, string> = new Map([
  [1, 'no time, or one that cannot be read (or the line is not an object)'],
  [2, 'a time outside the years 2015 to 2100: wrong unit?'],
  [3, 'no model'],
  [4, 'a model name that is empty, longer than 200 characters or holds control characters'],
  [5, 'calls or tokens that are not whole numbers from 0 to 10^15'],
  [6, 'more cached than input tokens'],
  [7, 'a cost that is not a number'],
  [8, 'a bucket that ends before it starts'],
]);

/** Rows that are no model calls: neither counted nor rejected. */
export const SKIPPED = 100;

/** Longest duration in milliseconds (a year), and most calls or tokens of one row, that are taken for true. */
const MAX_MS = 31_536_000_000;
const MAX_COUNT = 1_000_000_000_000_000;
const YEAR_2015_MS = Date.UTC(2015, 0, 1);
const YEAR_2100_MS = Date.UTC(2100, 0, 1);

/** A column whose values have to be whole numbers; `integer` where its type says so already. */
interface WholeNumber {
  readonly value: string;
  readonly integer: boolean;
}

/** A SELECT over `relation` that yields the fields of the analysis and `reject`, and which fields it carries. */
export function selectUsage(
  mapping: Mapping,
  access: RawAccess,
  relation: string,
): { sql: string; carried: UsageField[]; countsCalls: boolean } {
  const { fields } = mapping;
  const values = new ValueColumns(access);
  const carried = USAGE_FIELDS.filter((name) => {
    const field = fields[name];
    if (field === undefined) return false;
    const sources = 'between' in field ? field.between.map(({ from }) => from) : [field.from];
    return sources.every((from) => values.there(from).length > 0);
  });
  const has = (name: UsageField) => carried.includes(name);
  const text = (from: readonly Source[]) => values.text(from);
  const number = (field: NumberField | undefined, there: boolean) =>
    field === undefined || !there ? 'NULL::DOUBLE' : scaled(amountOf(field, values), field.scale);
  const flag = (name: UsageField, field: FlagField | undefined) =>
    field === undefined || !has(name) ? 'NULL::BOOLEAN' : flagOf(field, values);
  const duration = (name: UsageField, field: DurationField | undefined) =>
    field === undefined || !has(name) ? 'NULL::DOUBLE' : durationOf(field, values);
  const callsThere = fields.calls !== undefined && values.there(fields.calls.from).length > 0;

  const raw = [
    `${timeOf(fields.time, values)} AS at_ms`,
    `${fields.endTime === undefined ? 'NULL::BIGINT' : timeOf(fields.endTime, values)} AS end_ms`,
    `${callsThere ? number(fields.calls, true) : '1'} AS raw_calls`,
    `${text(fields.model.from)} AS model`,
    `${fields.caller === undefined || !has('caller') ? 'NULL::VARCHAR' : text(fields.caller.from)} AS caller`,
    `${number(fields.inputTokens, has('inputTokens'))} AS raw_input`,
    `${number(fields.cachedTokens, has('cachedTokens'))} AS raw_cached`,
    `${number(fields.outputTokens, has('outputTokens'))} AS raw_output`,
    `${duration('latency', fields.latency)} AS raw_latency`,
    `${duration('firstToken', fields.firstToken)} AS raw_first`,
    `${number(fields.cost, has('cost'))} AS raw_cost`,
    `${fields.serviceTier === undefined || !has('serviceTier') ? 'NULL::VARCHAR' : text(fields.serviceTier.from)} AS service_tier`,
    `${flag('failed', fields.failed)} AS failed`,
    `${flag('streamed', fields.streamed)} AS streamed`,
    `${flag('tools', fields.tools)} AS tools`,
    `${flag('jsonSchema', fields.jsonSchema)} AS json_schema`,
    `${flag('vision', fields.vision)} AS vision`,
    `${flag('embeddings', fields.embeddings)} AS embeddings`,
    `${keepOf(mapping, values)} AS is_call`,
  ];
  const input = mapping.inputIncludesCached ? 'raw_input' : '(raw_input + COALESCE(raw_cached, 0))';
  const wholes = [
    ...(callsThere ? [['raw_calls', fields.calls] as const] : []),
    ...(has('inputTokens') ? [['raw_input', fields.inputTokens] as const] : []),
    ...(has('cachedTokens') ? [['raw_cached', fields.cachedTokens] as const] : []),
    ...(has('outputTokens') ? [['raw_output', fields.outputTokens] as const] : []),
  ].map(([value, field]) => ({ value, integer: field !== undefined && isInteger(field, values) }));
  const there = { cached: has('cachedTokens'), cost: has('cost'), end: fields.endTime !== undefined };
  const sql = `SELECT at_ms, end_ms, TRY_CAST(raw_calls AS BIGINT) AS calls, model, caller,
    TRY_CAST(${input} AS BIGINT) AS input_tokens, TRY_CAST(raw_cached AS BIGINT) AS cached_tokens,
    TRY_CAST(raw_output AS BIGINT) AS output_tokens,
    CASE WHEN raw_latency BETWEEN 0 AND ${MAX_MS} THEN raw_latency END AS latency_ms,
    CASE WHEN raw_first BETWEEN 0 AND ${MAX_MS} THEN raw_first END AS first_token_ms,
    (raw_latency IS NOT NULL AND NOT raw_latency BETWEEN 0 AND ${MAX_MS}) AS latency_ignored,
    raw_cost AS cost, service_tier, failed, streamed, tools, json_schema, vision, embeddings,
    ${rejectOf(input, wholes, there)} AS reject
  FROM (SELECT ${raw.join(',\n    ')} FROM ${values.relation(relation)})`;
  return { sql, carried: [...carried], countsCalls: callsThere };
}

/**
 * The first condition is of nearly every row, and spares it the chain of reasons. It is not true where a value is not
 * there, which may be right: the chain decides.
 */
function rejectOf(
  input: string,
  wholes: readonly WholeNumber[],
  there: { readonly cached: boolean; readonly cost: boolean; readonly end: boolean },
): string {
  const time = `at_ms BETWEEN ${YEAR_2015_MS} AND ${YEAR_2100_MS}`;
  const fits = [
    `is_call AND ${time} AND model IS NOT NULL`,
    ...wholes.map(isWhole),
    ...(there.cached ? [`raw_cached <= ${input}`] : []),
    ...(there.cost ? ['isfinite(raw_cost)'] : []),
    ...(there.end ? ['end_ms >= at_ms'] : []),
  ];
  // NaN stands for a value that is there and is no number, and is above every bound.
  const noWhole = wholes.map((each) => `NOT COALESCE(${isWhole(each)}, true)`);
  return `(CASE
    WHEN ${fits.join(' AND ')} THEN 0
    WHEN at_ms IS NULL THEN 1
    WHEN NOT is_call THEN ${SKIPPED}
    WHEN NOT ${time} THEN 2
    WHEN model IS NULL THEN 3
    WHEN ${noWhole.join(' OR ') || 'false'} THEN 5
    WHEN raw_cached > ${input} THEN 6
    WHEN isnan(raw_cost) OR isinf(raw_cost) THEN 7
    WHEN end_ms < at_ms THEN 8
    ELSE 0 END)::UTINYINT`;
}

function isWhole({ value, integer }: WholeNumber): string {
  return `${value} BETWEEN 0 AND ${MAX_COUNT}${integer ? '' : ` AND ${value} = floor(${value})`}`;
}

function isInteger(field: NumberField, values: ValueColumns): boolean {
  return field.scale === 1 && field.plus.length === 0 && values.typed(field.from)?.type === 'integer';
}

function keepOf(mapping: Mapping, values: ValueColumns): string {
  const conditions = [
    ...mapping.keep.map(({ from, is }) => {
      const value = values.text(from);
      return is === undefined ? `${value} IS NOT NULL` : `COALESCE(${oneOf(value, is)}, false)`;
    }),
    ...mapping.skip
      .filter(({ from }) => values.there(from).length > 0)
      .map(({ from, is }) => `NOT COALESCE(${oneOf(values.text(from), is)}, false)`),
  ];
  return conditions.length === 0 ? 'true' : conditions.join(' AND ');
}

function timeOf(field: TimeField, values: ValueColumns): string {
  const typed = values.typed(field.from);
  if (typed?.type === 'timestamp' || typed?.type === 'timestamptz') return `epoch_ms(${typed.column})`;
  const text = values.text(field.from);
  const epochs = { epoch_s: 1e3, epoch_ms: 1, epoch_us: 1e-3, epoch_ns: 1e-6 };
  if (field.as === 'timestamp') return parsedTime(text);
  const value = looseNumber(field.from, values);
  if (field.as !== 'auto') return `TRY_CAST(${value} * ${epochs[field.as]} AS BIGINT)`;
  return `(CASE WHEN ${value} IS NULL THEN ${parsedTime(text)}
    WHEN abs(${value}) >= 1e17 THEN TRY_CAST(${value} * 1e-6 AS BIGINT)
    WHEN abs(${value}) >= 1e14 THEN TRY_CAST(${value} * 1e-3 AS BIGINT)
    WHEN abs(${value}) >= 1e11 THEN TRY_CAST(${value} AS BIGINT)
    ELSE TRY_CAST(${value} * 1e3 AS BIGINT) END)`;
}

/**
 * A cast to TIMESTAMP ignores an offset such as +02:00. One to TIMESTAMPTZ honours it, and is far slower where there
 * is none: so text that is too short for an offset takes the other way.
 */
function parsedTime(text: string): string {
  return `(CASE WHEN strlen(${text}) > 19
    THEN epoch_ms(TRY_CAST(${text} AS TIMESTAMPTZ)) ELSE epoch_ms(TRY_CAST(${text} AS TIMESTAMP)) END)`;
}

function durationOf(field: DurationField, values: ValueColumns): string {
  if ('between' in field) {
    const [from, to] = field.between.map((time) => timeOf(time, values));
    const between = `(${to} - ${from})::DOUBLE`;
    if (field.unlessAt === undefined) return between;
    return `(CASE WHEN ${to} IS DISTINCT FROM ${timeOf(field.unlessAt, values)} THEN ${between} END)`;
  }
  const perMs = { ns: 1e-6, us: 1e-3, ms: 1, s: 1e3 };
  return scaled(numberOf(field.from, values), perMs[field.unit]);
}

function flagOf(field: FlagField, values: ValueColumns): string {
  const value = values.text(field.from);
  if (field.present === true) return `(${value} IS NOT NULL)`;
  if (field.atLeast !== undefined) return `(${looseNumber(field.from, values)} >= ${field.atLeast})`;
  if (field.is !== undefined) return oneOf(value, field.is);
  return `(NOT ${oneOf(value, field.isNot ?? [])})`;
}

function oneOf(value: string, words: readonly string[]): string {
  return `(lower(${value}) IN (${words.map((word) => literal(word.toLowerCase())).join(', ') || 'NULL'}))`;
}

function scaled(value: string, scale: number): string {
  return scale === 1 ? value : `(${value} * ${scale})`;
}

/** The value as a number, NULL where it is none: for flags and times, which no number needs to be. */
function looseNumber(from: readonly Source[], values: ValueColumns): string {
  const typed = values.typed(from);
  return typed?.type === 'integer' || typed?.type === 'number'
    ? typed.column
    : `TRY_CAST(${values.text(from)} AS DOUBLE)`;
}

/** A number with what comes on top of it: NULL where there is none, NaN where a part is no number. */
function amountOf({ from, plus }: NumberField, values: ValueColumns): string {
  const further = values.there(plus).map((source) => `COALESCE(${numberOf([source], values)}, 0)`);
  return further.length === 0
    ? numberOf(from, values)
    : `(${[numberOf(from, values), ...further].join(' + ')})`;
}

/** The value as a DOUBLE: NULL where there is none, NaN where it is no number. */
function numberOf(from: readonly Source[], values: ValueColumns): string {
  const typed = values.typed(from);
  if (typed?.type === 'integer') return `CAST(${typed.column} AS BIGINT)`;
  if (typed?.type === 'number') return `CAST(${typed.column} AS DOUBLE)`;
  const text = values.text(from);
  return `COALESCE(TRY_CAST(${text} AS DOUBLE), CASE WHEN ${text} IS NOT NULL THEN 'nan'::DOUBLE END)`;
}
