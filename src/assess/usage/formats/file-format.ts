import { type ContentKind, UnreadableUsage } from '../files/content-kind';
import { BUILT_IN_MAPPINGS } from './built-in-mappings';
import { CODE_FORMATS, type CodeFormat, type Detection, detectFormats, namesIn } from './detection';
import type { Mapping } from './mapping-schema';

/** The format of a file: as the user says, else by its content, else the user's only mapping. Throws UnreadableUsage. */
export function chooseFormat(
  content: ContentKind,
  file: string,
  parquetColumns: ReadonlyMap<string, string>,
  options: { readonly format?: string; readonly mappings?: readonly Mapping[] },
): Detection {
  const own = options.mappings ?? [];
  const columns = new Set(parquetColumns.keys());
  if (options.format !== undefined) {
    const mapping = [...own, ...BUILT_IN_MAPPINGS].find(({ format }) => format === options.format);
    if (mapping !== undefined && content.kind !== 'zip') return { kind: 'mapping', mapping };
    if (Object.hasOwn(CODE_FORMATS, options.format)) {
      return { kind: 'code', format: options.format as CodeFormat };
    }
    throw new UnreadableUsage(`expected one of the formats ${formatNames(own)}, got "${options.format}"`);
  }
  const fitting = [
    detectFormats(content, own, columns),
    detectFormats(content, BUILT_IN_MAPPINGS, columns),
  ].find((found) => found.length > 0);
  if (fitting?.length === 1) return fitting[0] as Detection;
  // A mapping that names no columns to be known by is meant for whatever nothing else fits.
  const only = own.length === 1 ? own[0] : undefined;
  if (fitting === undefined && only?.detect.length === 0) return { kind: 'mapping', mapping: only };
  const names = namesIn(content, columns).slice(0, 30).join(', ');
  if (names === '') throw new UnreadableUsage(`${file} holds no rows`);
  throw new UnreadableUsage(
    fitting === undefined
      ? `${file} fits no known format (it has: ${names}); give --format (${formatNames(own)}) or a mapping of your own with --mapping-file`
      : `${file} fits several formats; choose one with --format (${fitting.map((each) => (each.kind === 'mapping' ? each.mapping.format : each.format)).join(', ')})`,
  );
}

function formatNames(own: readonly Mapping[]): string {
  return [...own, ...BUILT_IN_MAPPINGS]
    .map(({ format }) => format)
    .concat(Object.keys(CODE_FORMATS))
    .join(', ');
}
