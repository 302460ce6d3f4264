import type { Source } from './formats/mapping-schema';
import { identifier, literal } from './sql-text';

/** What a raw column holds, as far as it decides how it is converted; `clean` is text without words for null. */
export type RawType =
  | 'clean'
  | 'text'
  | 'integer'
  | 'number'
  | 'timestamp'
  | 'timestamptz'
  | 'boolean'
  | 'nested';

/** How values are reached: from columns of a relation, or by path in the JSON column `row`. */
export type RawAccess =
  | { readonly kind: 'columns'; readonly types: ReadonlyMap<string, RawType> }
  | { readonly kind: 'row' };

const NULL_WORDS = "('', 'null', 'NULL', 'None', 'NaN', 'nan', 'undefined')";

interface Value {
  readonly base: string;
  readonly path: readonly string[];
  readonly type: RawType;
}

/**
 * Gives each source a column of its own, worked out in layers of SELECTs: read, parse as JSON, extract, clean.
 * Without the layers every mention of a value would repeat the whole way to it.
 */
export class ValueColumns {
  private readonly bases = new Map<string, string>();
  private readonly documents = new Set<string>();
  private readonly values: Value[] = [];
  private readonly texts = new Map<string, { alias: string; members: readonly number[] }>();

  constructor(private readonly access: RawAccess) {}

  /** The alternatives that the relation can answer for at all; rows of JSON may hold anything. */
  there(from: readonly Source[]): readonly Source[] {
    const { access } = this;
    if (access.kind === 'row') return from;
    return from.filter((source) =>
      access.types.has(typeof source === 'string' ? source : (source[0] as string)),
    );
  }

  /** The column behind a field that is one typed column and nothing else. */
  typed(from: readonly Source[]): { column: string; type: RawType } | null {
    const present = this.there(from);
    const only = present[0];
    if (this.access.kind === 'row' || present.length !== 1 || typeof only !== 'string') return null;
    const type = this.access.types.get(only) ?? 'text';
    return { column: this.base(only), type };
  }

  /** A column with the first alternative that is there, as text. */
  text(from: readonly Source[]): string {
    const present = this.there(from);
    if (present.length === 0) return 'NULL::VARCHAR';
    const key = JSON.stringify(present);
    const known = this.texts.get(key);
    if (known !== undefined) return known.alias;
    const alias = `text_${this.texts.size}`;
    this.texts.set(key, { alias, members: present.map((source) => this.value(source)) });
    return alias;
  }

  /** A relation with all columns that were asked for. */
  relation(raw: string): string {
    const bases = [...this.bases].map(([key, alias]) => `${this.firstLevel(key)} AS ${alias}`);
    const documents = [...this.documents].map(
      (base) => `(CASE WHEN json_valid(${base}) THEN ${base} END) AS document_${base}`,
    );
    const extracted = this.values.flatMap(({ base, path }, at) =>
      path.length === 0 ? [] : [`${extraction(`document_${base}`, path)} AS extracted_${at}`],
    );
    const cleaned = this.values.map((value, at) => {
      const text = value.path.length === 0 ? value.base : unwrapped(`extracted_${at}`, value.path);
      if (value.type === 'clean') return `${text} AS value_${at}`;
      if (value.type !== 'text') return `CAST(${text} AS VARCHAR) AS value_${at}`;
      return `(CASE WHEN ${text} NOT IN ${NULL_WORDS} THEN ${text} END) AS value_${at}`;
    });
    const texts = [...this.texts.values()].map(({ alias, members }) => {
      const columns = members.map((member) => `value_${member}`);
      return `${columns.length === 1 ? columns[0] : `COALESCE(${columns.join(', ')})`} AS ${alias}`;
    });
    const layers = [documents, extracted, cleaned, texts].filter((layer) => layer.length > 0);
    const read = `(SELECT ${bases.join(', ') || '1'} FROM ${raw})`;
    return layers.reduce((inner, layer) => `(SELECT *, ${layer.join(', ')} FROM ${inner})`, read);
  }

  private base(key: string): string {
    const alias = this.bases.get(key) ?? `base_${this.bases.size}`;
    this.bases.set(key, alias);
    return alias;
  }

  private value(source: Source): number {
    const [first = '', ...path] = typeof source === 'string' ? [source] : source;
    const base = this.base(first);
    if (path.length > 0) this.documents.add(base);
    const type = path.length > 0 || this.access.kind === 'row' ? 'text' : this.access.types.get(first);
    return this.values.push({ base, path, type: type ?? 'text' }) - 1;
  }

  private firstLevel(key: string): string {
    if (this.access.kind === 'row') return `json_extract_string(row, ${literal(`$."${key}"`)})`;
    const column = identifier(key);
    const type = this.access.types.get(key);
    if (type === 'nested') return `CAST(to_json(${column}) AS VARCHAR)`;
    return type === 'boolean' ? `CAST(${column} AS VARCHAR)` : column;
  }
}

/** Text at a path; for `@name` the first entry of a key-value list whose key that is, as OTLP writes attributes. */
function extraction(document: string, path: readonly string[]): string {
  const last = path.at(-1) ?? '';
  if (!last.startsWith('@')) return `json_extract_string(${document}, ${jsonPath(path)})`;
  const list = `CAST(json_extract(${document}, ${jsonPath(path.slice(0, -1))}) AS JSON[])`;
  return `list_filter(${list}, lambda entry: json_extract_string(entry, '$.key') = ${literal(last.slice(1))})[1]`;
}

function unwrapped(column: string, path: readonly string[]): string {
  if (!(path.at(-1) ?? '').startsWith('@')) return column;
  const kinds = ['stringValue', 'intValue', 'doubleValue', 'boolValue'];
  return `COALESCE(${kinds.map((kind) => `json_extract_string(${column}, '$.value.${kind}')`).join(', ')})`;
}

function jsonPath(keys: readonly string[]): string {
  return literal(`$${keys.map((key) => `."${key}"`).join('')}`);
}
