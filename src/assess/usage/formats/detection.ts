import type { ContentKind } from '../files/content-kind';
import type { Mapping, Source } from './mapping-schema';

/** Formats that need code: their files are converted before a mapping reads them. */
export const CODE_FORMATS = {
  'openai-usage': 'OpenAI organization usage',
  'openai-costs': 'OpenAI organization costs',
  deepseek: 'DeepSeek platform export',
} as const;

export type CodeFormat = keyof typeof CODE_FORMATS;

/** Which format a file is in. */
export type Detection =
  | { readonly kind: 'code'; readonly format: CodeFormat }
  | { readonly kind: 'mapping'; readonly mapping: Mapping };

/** Every format that the content fits; the most specific ones only. Empty when none fits. */
export function detectFormats(
  content: ContentKind,
  mappings: readonly Mapping[],
  parquetColumns: ReadonlySet<string>,
): Detection[] {
  const code = detectCode(content);
  if (code !== null) return [{ kind: 'code', format: code }];
  const fitting = mappings.filter(
    ({ detect }) => detect.length > 0 && detect.every((source) => holds(content, source, parquetColumns)),
  );
  const most = Math.max(0, ...fitting.map(({ detect }) => detect.length));
  return fitting
    .filter(({ detect }) => detect.length === most)
    .map((mapping) => ({ kind: 'mapping', mapping }));
}

/** Names that a file offers, for a message to someone who has to write a mapping. */
export function namesIn(content: ContentKind, parquetColumns: ReadonlySet<string>): string[] {
  if (content.kind === 'csv') return [...content.columns];
  if (content.kind === 'json')
    return [...new Set(content.objects.flatMap((object) => Object.keys(object as object)))];
  return [...parquetColumns];
}

function detectCode(content: ContentKind): CodeFormat | null {
  if (content.kind === 'zip') return 'deepseek';
  if (content.kind === 'csv') {
    const has = (column: string) => content.columns.includes(column);
    const dated = has('start_time_iso') || has('utc_date');
    if (dated && has('model') && ((has('type') && has('amount')) || (has('cost') && has('currency'))))
      return 'deepseek';
  }
  if (content.kind !== 'json') return null;
  // Pages hold buckets under `data`, and buckets hold results; a file may also be a list of pages or buckets.
  const text = JSON.stringify(content.objects.slice(0, 50));
  if (text.includes('"object":"organization.usage.')) return 'openai-usage';
  if (text.includes('"object":"organization.costs.result"')) return 'openai-costs';
  // Buckets in which nothing was used.
  if (text.includes('"object":"bucket"')) return 'openai-usage';
  return null;
}

function holds(content: ContentKind, source: Source, parquetColumns: ReadonlySet<string>): boolean {
  const keys = typeof source === 'string' ? [source] : source;
  const column = keys[0] as string;
  if (content.kind === 'csv') return content.columns.includes(column);
  if (content.kind === 'parquet') return parquetColumns.has(column);
  return content.kind === 'json' && content.objects.some((object) => reaches(object, keys));
}

function reaches(value: unknown, keys: readonly string[]): boolean {
  const [key, ...rest] = keys;
  if (key === undefined) return value !== undefined;
  let within = value;
  if (typeof within === 'string') {
    try {
      within = JSON.parse(within);
    } catch {
      return false;
    }
  }
  if (within === null || typeof within !== 'object' || !Object.hasOwn(within, key)) return false;
  return reaches((within as Record<string, unknown>)[key], rest);
}
