import { DAY_MS } from '../../core/text/duration';
import { UnreadableUsage } from './files/content-kind';
import { linesOfRecords, measureLines } from './files/physical-lines';
import type { RejectExample, Rejects } from './files/usage-source';
import { REJECT_REASONS, SKIPPED, type UsageField } from './formats/mapping-sql';
import { REJECTS_LIMIT } from './raw-relation';
import { literal } from './sql-text';
import type { UsageDatabase } from './usage-database';

/** Distinct models beyond which a column is surely not the model. */
const MAX_MODELS = 2000;
const EXAMPLES = 5;
/** DuckDB's own limit on a line of CSV. */
const MAX_LINE_BYTES = 2_000_000;

/** What one pass over a source's rows tells. */
export interface Inspection {
  readonly rows: number;
  readonly skipped: number;
  /** Rows by reject code; 0 is accepted. */
  readonly byReject: readonly (readonly [code: number, rows: number])[];
  readonly badModels: readonly string[];
  readonly badModelRows: number;
  readonly ignoredLatencies: number;
  readonly untold: number;
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  /** Whether every accepted time is a midnight: the log knows days only. */
  readonly daysOnly: boolean;
  /** Fields that hold at least one value. */
  readonly carried: readonly UsageField[];
}

/** Looks at every row once, at most twice; throws when the model column cannot be one. */
export async function inspectRows(
  db: UsageDatabase,
  relation: string,
  /** Fields, with a column that is there where they have a value. */
  mapped: ReadonlyMap<UsageField, string>,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Inspection> {
  const facts = [
    'count(*) AS row_count',
    'min(at_ms) AS first_ms',
    'max(COALESCE(end_ms, at_ms)) AS last_ms',
    'count_if(latency_ignored) AS ignored',
    ...[...mapped].map(([field, column]) => `count(${column}) AS has_${field}`),
  ].join(', ');
  const ask = (keys: string) =>
    db.rows(`SELECT ${keys}, ${facts} FROM ${relation} GROUP BY ALL LIMIT ${MAX_MODELS + 200}`, what, signal);
  // Grouping by the model alone is faster, and nearly always enough: rows are rarely rejected.
  const byModel = await ask('model, max(reject) AS reject');
  const clean = byModel.every(({ reject }) => reject === 0);
  const groups = clean ? byModel : await ask('reject, CASE WHEN reject = 0 THEN model END AS model');
  if (groups.length > MAX_MODELS) {
    throw new UnreadableUsage(
      `over ${MAX_MODELS} different models in one file: the column mapped as model is not one`,
    );
  }
  const byReject = new Map<number, number>();
  for (const { reject, row_count: rows } of groups) {
    byReject.set(Number(reject), (byReject.get(Number(reject)) ?? 0) + Number(rows));
  }
  const calls = groups.filter(({ reject }) => reject === 0);
  const bad = calls.filter(({ model }) => !isModelName(String(model)));
  const good = calls.filter((group) => !bad.includes(group));
  const sum = (rows: typeof groups, name: string) =>
    rows.reduce((total, row) => total + Number(row[name] ?? 0), 0);
  // Two things are seldom so; only then is every call asked for them.
  const midnight = good.every(({ first_ms: first }) => Number(first) % DAY_MS === 0);
  const countOf = (condition: string) => countCalls(db, relation, condition, what, signal);
  const carried = [...mapped.keys()].filter((field) => sum(good, `has_${field}`) > 0);
  return {
    rows: sum(groups, 'row_count'),
    skipped: byReject.get(SKIPPED) ?? 0,
    byReject: [...byReject].sort(([a], [b]) => a - b),
    badModels: bad.map(({ model }) => String(model)),
    badModelRows: sum(bad, 'row_count'),
    ignoredLatencies: sum(good, 'ignored'),
    untold:
      carried.includes('inputTokens') && sum(good, 'has_inputTokens') < sum(good, 'row_count')
        ? await countOf('input_tokens IS NULL AND failed IS NOT TRUE')
        : 0,
    firstMs:
      good.length === 0
        ? null
        : good.reduce((least, row) => Math.min(least, Number(row['first_ms'])), Infinity),
    lastMs:
      good.length === 0
        ? null
        : good.reduce((most, row) => Math.max(most, Number(row['last_ms'])), -Infinity),
    daysOnly: midnight && (await countOf(`at_ms % ${DAY_MS} <> 0`)) === 0,
    carried,
  };
}

/** How many of the calls, whose models have names, a condition holds for. */
async function countCalls(
  db: UsageDatabase,
  relation: string,
  condition: string,
  what: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const byModel = await db.rows(
    `SELECT model, count(*) AS calls FROM ${relation} WHERE reject = 0 AND ${condition} GROUP BY model`,
    what,
    signal,
  );
  return byModel.reduce((sum, { model, calls }) => sum + (isModelName(String(model)) ? Number(calls) : 0), 0);
}

function isModelName(model: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return model !== '' && model.length <= 200 && !/[\u0000-\u001f\u007f-\u009f]/.test(model);
}

/** Counts and shows what was rejected; throws when broken quoting makes the number of rows unknowable. */
export async function rejectedRows(
  db: UsageDatabase,
  relation: string,
  inspected: Inspection,
  file: {
    readonly file: string;
    readonly gzip: boolean;
    readonly kind: string;
  },
): Promise<{ rejects: Rejects; unread: number }> {
  const unread = file.kind === 'csv' ? await unreadLines(db, file, inspected.rows) : NOTHING_UNREAD;
  const byReason = new Map<string, number>(unread.byReason);
  for (const [code, rows] of inspected.byReject) {
    if (code !== 0 && code !== SKIPPED) byReason.set(REJECT_REASONS.get(code) ?? `reason ${code}`, rows);
  }
  if (inspected.badModelRows > 0) byReason.set(REJECT_REASONS.get(4) ?? '', inspected.badModelRows);
  const total = [...byReason.values()].reduce((sum, rows) => sum + rows, 0);
  const examples: RejectExample[] = [...unread.examples];
  if (total > unread.rows && examples.length < EXAMPLES) {
    const found = await rejectedRecords(db, relation, inspected, EXAMPLES - examples.length);
    const lines =
      file.kind === 'csv' && unread.lines !== null
        ? await linesOfRecords(file.file, file.gzip, new Set(found.map(({ record }) => record)), unread.lines)
        : new Map<number, number>();
    examples.push(
      ...found.map(({ record, reason }) => {
        const line = lines.get(record);
        return { place: line === undefined ? `record ${record}` : `line ${line}`, reason };
      }),
    );
  }
  return { rejects: { total, byReason: [...byReason], examples }, unread: unread.rows };
}

interface Unread {
  readonly rows: number;
  /** The lines of these rows, from 1; null where broken quoting makes lines unsure. */
  readonly lines: ReadonlySet<number> | null;
  readonly byReason: readonly (readonly [string, number])[];
  readonly examples: readonly RejectExample[];
}

const NOTHING_UNREAD: Unread = { rows: 0, lines: null, byReason: [], examples: [] };

async function unreadLines(
  db: UsageDatabase,
  file: { file: string; gzip: boolean },
  accepted: number,
): Promise<Unread> {
  const errors = await db.rows(
    `SELECT line, min(error_type::VARCHAR) AS type, min(column_name) AS column_name, min(error_message) AS message
     FROM reject_errors GROUP BY line ORDER BY line`,
    'counting rejects',
  );
  if (errors.length >= REJECTS_LIMIT) {
    throw new UnreadableUsage(`${file.file} has at least ${REJECTS_LIMIT} lines that do not fit its header`);
  }
  const broken = errors.find(({ type }) => type === 'UNQUOTED VALUE' || type === 'LINE SIZE OVER MAXIMUM');
  if (broken !== undefined) {
    // The reader may lose or repeat rows while it looks for the end of such a value. Where each line is one row
    // and none outgrows its buffer, counting lines shows that it did not; otherwise no total can be trusted.
    const { lines, longest } = await measureLines(file.file, file.gzip);
    if (longest > MAX_LINE_BYTES || lines !== 1 + accepted + errors.length) {
      throw new UnreadableUsage(
        `${file.file} has a quote that is not closed, or a line of over 2 MB, near line ${broken['line']}: ` +
          'it is unclear which rows follow, so nothing of it is counted; fix the line',
      );
    }
  }
  const byReason = new Map<string, number>();
  for (const error of errors) byReason.set(reasonOf(error), (byReason.get(reasonOf(error)) ?? 0) + 1);
  return {
    rows: errors.length,
    lines: broken === undefined ? new Set(errors.map(({ line }) => Number(line))) : null,
    byReason: [...byReason],
    examples: errors.slice(0, EXAMPLES).map((error) => ({
      place: `line ${error['line']}`,
      reason: `${reasonOf(error)}: ${String(error['message']).split('\n')[0]?.slice(0, 200)}`,
    })),
  };
}

function reasonOf(error: Readonly<Record<string, unknown>>): string {
  const type = String(error['type']).toLowerCase();
  return type === 'cast' ? `a value of ${error['column_name']} that is not a number` : type;
}

/** The first rows that were rejected after they were read; records count from 1. */
async function rejectedRecords(
  db: UsageDatabase,
  relation: string,
  inspected: Inspection,
  limit: number,
): Promise<{ record: number; reason: string }[]> {
  const bad = inspected.badModels.slice(0, 100).map(literal).join(', ');
  const wanted = `reject NOT IN (0, ${SKIPPED}) ${bad === '' ? '' : `OR (reject = 0 AND model IN (${bad}))`}`;
  const rows = await db.rows(
    `SELECT record, reject FROM (SELECT row_number() OVER () AS record, reject, model FROM ${relation}) WHERE ${wanted} ORDER BY record LIMIT ${limit}`,
    'finding rejected rows',
  );
  return rows.map(({ record, reject }) => ({
    record: Number(record),
    reason: REJECT_REASONS.get(reject === 0 ? 4 : Number(reject)) ?? '',
  }));
}
