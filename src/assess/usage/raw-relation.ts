import type { Mapping } from './formats/mapping-schema';
import { sourcesOf } from './formats/mapping-schema';

import { identifier, literal } from './sql-text';
import type { RawAccess, RawType } from './value-columns';

/** The longest object of several, and the longest alone: the engine takes twice that of its memory in any case. */
const OBJECT_BYTES = 16_777_216;
const DOCUMENT_BYTES = 67_108_864;
const JSON_FORMATS = { lines: 'newline_delimited', array: 'array', document: 'unstructured' } as const;

/** SQL that reads a file, and how its values are reached. */
export interface RawRelation {
  /** What has to be done before it can be read. */
  readonly prepare?: ((signal: AbortSignal | undefined) => Promise<void>) | undefined;
  readonly relation: string;
  readonly access: RawAccess;
}

/** Reads CSV with every column named, since a sniffed CSV may silently become one column. */
export function csvRelation(
  path: string,
  gzip: boolean,
  content: { delimiter: string; columns: readonly string[] },
  mapping: Mapping,
): RawRelation {
  const numeric = new Set<string>();
  for (const field of Object.values(mapping.fields)) {
    // Read as numbers at once what is only ever read as a number: it is faster, and the reader knows the line.
    if (field !== undefined && ('scale' in field || 'unit' in field) && field.from.length === 1) {
      const source = field.from[0];
      if (typeof source === 'string') numeric.add(source);
    }
  }
  const types = new Map<string, RawType>();
  const columns = content.columns.map((column) => {
    types.set(column, numeric.has(column) ? 'number' : 'clean');
    return `${literal(column)}: '${numeric.has(column) ? 'DOUBLE' : 'VARCHAR'}'`;
  });
  const options = [
    literal(path),
    'auto_detect = false',
    'header = true',
    `delim = ${literal(content.delimiter)}`,
    `quote = '"'`,
    `escape = '"'`,
    'store_rejects = true',
    `rejects_limit = ${REJECTS_LIMIT}`,
    `nullstr = ['', 'null', 'NULL', 'None', 'NaN', 'nan', 'undefined']`,
    compressionOf(gzip),
    `columns = {${columns.join(', ')}}`,
  ];
  return { relation: `read_csv(${options.join(', ')})`, access: { kind: 'columns', types } };
}

/** The engine would go by the name of the file, and unpack what nobody counted. */
function compressionOf(gzip: boolean): string {
  return `compression = '${gzip ? 'gzip' : 'uncompressed'}'`;
}

/** More rejects than this are not told apart: the run is refused long before. */
export const REJECTS_LIMIT = 200_000;

/** Reads JSON as text columns, or as one column `row` where the mapping says that rows are nested. */
export function jsonRelation(
  path: string,
  gzip: boolean,
  layout: keyof typeof JSON_FORMATS,
  mapping: Mapping,
): RawRelation {
  const read = (columns: readonly string[], type: string) => {
    const options = [
      literal(path),
      `format = '${JSON_FORMATS[layout]}'`,
      ...(layout === 'lines' ? ['ignore_errors = true'] : []),
      `maximum_object_size = ${layout === 'document' ? DOCUMENT_BYTES : OBJECT_BYTES}`,
      compressionOf(gzip),
      `columns = {${columns.map((column) => `${literal(column)}: '${type}'`).join(', ')}}`,
    ];
    return `read_json(${options.join(', ')})`;
  };
  if (mapping.rows !== undefined) {
    const { column, path: place } = mapping.rows;
    const rows = `unnest(json_extract(${identifier(column)}, ${literal(place)}))`;
    return {
      relation: `(SELECT ${rows} AS row FROM ${read([column], 'JSON')})`,
      access: { kind: 'row' },
    };
  }
  const columns = [
    ...new Set(
      sourcesOf(mapping).map((source) => (typeof source === 'string' ? source : (source[0] as string))),
    ),
  ];
  const types = new Map(columns.map((column): [string, RawType] => [column, 'text']));
  return { relation: read(columns, 'VARCHAR'), access: { kind: 'columns', types } };
}

/** Reads Parquet with its own types; `columns` are its names and DuckDB types. */
export function parquetRelation(path: string, columns: ReadonlyMap<string, string>): RawRelation {
  const types = new Map([...columns].map(([name, type]): [string, RawType] => [name, rawType(type)]));
  return {
    relation: `read_parquet(${literal(path)})`,
    access: { kind: 'columns', types },
  };
}

function rawType(type: string): RawType {
  if (/^(?:U?(?:TINY|SMALL)INT|U?INTEGER|BIGINT)$/.test(type)) return 'integer';
  if (/^(?:UBIGINT|U?HUGEINT|FLOAT|DOUBLE|DECIMAL\(.*\))$/.test(type)) return 'number';
  if (type === 'TIMESTAMP WITH TIME ZONE') return 'timestamptz';
  if (type.startsWith('TIMESTAMP') || type === 'DATE') return 'timestamp';
  if (type === 'BOOLEAN') return 'boolean';
  // Parquet has NULLs of its own, so its text is taken as it is.
  return /^STRUCT|^MAP|\[\]$/.test(type) ? 'nested' : 'clean';
}
