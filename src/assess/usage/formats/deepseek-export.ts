import { BadInput } from '../../../core/configuration/bad-input';
import { DAY_MS } from '../../../core/text/duration';
import { splitHeader } from '../files/content-kind';
import type { RecordedCost, RejectExample } from '../files/usage-source';
import type { NormalizedBucket } from './normalized-bucket';

interface MutableBucket {
  readonly startMs: number;
  readonly endMs: number;
  readonly model: string;
  readonly caller: string | null;
  readonly amounts: Map<string, number>;
}

/** What one or several CSV files of an export hold. */
export interface DeepSeekExport {
  readonly buckets: readonly NormalizedBucket[];
  readonly costs: readonly RecordedCost[];
  readonly rows: number;
  readonly rejects: readonly RejectExample[];
  /** Whether cache hits and misses are told apart; older files give input tokens only. */
  readonly cached: boolean;
}

/**
 * Reads `amount-*.csv` (long form: one row for each type of amount) and `cost-*.csv`, with or without BOM and CRLF.
 * Throws `BadInput` for a file that is neither.
 */
export function readDeepSeekExport(files: readonly { name: string; text: string }[]): DeepSeekExport {
  const buckets = new Map<string, MutableBucket>();
  const costs: RecordedCost[] = [];
  const rejects: RejectExample[] = [];
  let rows = 0;
  for (const file of files) {
    const lines = file.text.replace(/^\ufeff/, '').split(/\r?\n/);
    const header = splitHeader(lines[0] ?? '', ',');
    const isCost = header.includes('cost') && header.includes('currency');
    if (!isCost && !(header.includes('type') && header.includes('amount'))) {
      throw new BadInput(`${file.name} has neither the columns of a DeepSeek amount file nor of a cost file`);
    }
    for (let at = 1; at < lines.length; at += 1) {
      if (lines[at] === '') continue;
      rows += 1;
      const problem = readLine(lines[at] as string, header, isCost, buckets, costs);
      if (problem !== null) rejects.push({ place: `${file.name} line ${at + 1}`, reason: problem });
    }
  }
  return {
    buckets: [...buckets.values()].map(bucketOf),
    costs,
    rows,
    rejects,
    cached: [...buckets.values()].some(({ amounts }) => amounts.has('input_cache_hit_tokens')),
  };
}

function readLine(
  line: string,
  header: readonly string[],
  isCost: boolean,
  buckets: Map<string, MutableBucket>,
  costs: RecordedCost[],
): string | null {
  const cells = splitHeader(line, ',');
  if (cells.length !== header.length) return `expected ${header.length} columns, found ${cells.length}`;
  const cell = (name: string) => cells[header.indexOf(name)] ?? '';
  const period = periodOf(cell);
  if (period === null) return 'no time that can be read';
  if (isCost) {
    const amount = Number(cell('cost'));
    if (cell('cost') === '' || !Number.isFinite(amount)) return `the cost "${cell('cost')}" is not a number`;
    costs.push({ ...period, amount, currency: cell('currency').toUpperCase(), item: cell('model') });
    return null;
  }
  const amount = Number(cell('amount'));
  const type = cell('type').toLowerCase();
  if (cell('amount') === '' || !Number.isSafeInteger(amount) || amount < 0) {
    return `the amount "${cell('amount')}" is not a whole number from 0`;
  }
  if (!AMOUNT_TYPES.has(type)) return `the type "${cell('type')}" is not known`;
  if (cell('model') === '') return 'no model';
  const caller = cell('api_key_name') || cell('user_id') || null;
  const key = JSON.stringify([period.startMs, period.endMs, cell('model'), caller]);
  const bucket = buckets.get(key) ?? { ...period, model: cell('model'), caller, amounts: new Map() };
  bucket.amounts.set(type, (bucket.amounts.get(type) ?? 0) + amount);
  buckets.set(key, bucket);
  return null;
}

const AMOUNT_TYPES: ReadonlySet<string> = new Set([
  'input_cache_hit_tokens',
  'input_cache_miss_tokens',
  'input_tokens',
  'output_tokens',
  'request_count',
]);

function periodOf(cell: (name: string) => string): { startMs: number; endMs: number } | null {
  const day = cell('utc_date');
  if (day !== '') {
    const startMs = Date.parse(/^\d{4}-\d\d-\d\d$/.test(day) ? `${day}T00:00:00Z` : 'no');
    return Number.isNaN(startMs) ? null : { startMs, endMs: startMs + DAY_MS };
  }
  const startMs = Date.parse(cell('start_time_iso'));
  const endMs = Date.parse(cell('end_time_iso'));
  if (Number.isNaN(startMs)) return null;
  return { startMs, endMs: Number.isNaN(endMs) ? startMs + DAY_MS : endMs };
}

function bucketOf({ amounts, ...bucket }: MutableBucket): NormalizedBucket {
  const hit = amounts.get('input_cache_hit_tokens');
  const miss = amounts.get('input_cache_miss_tokens');
  const plain = amounts.get('input_tokens');
  // Older files name the sum of both again as `input_tokens`; it must not be counted twice.
  const parts = [
    hit,
    miss,
    plain === (hit ?? 0) + (miss ?? 0) && plain > 0 && (hit ?? miss) !== undefined ? undefined : plain,
  ];
  return {
    ...bucket,
    calls: amounts.get('request_count') ?? null,
    inputTokens: parts.every((part) => part === undefined)
      ? null
      : parts.reduce<number>((sum, part) => sum + (part ?? 0), 0),
    cachedTokens: hit ?? (miss === undefined ? null : 0),
    outputTokens: amounts.get('output_tokens') ?? 0,
    serviceTier: null,
    embeddings: null,
  };
}
