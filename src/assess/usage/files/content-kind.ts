import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { BadInput } from '../../../core/configuration/bad-input';

const SAMPLE_BYTES = 1_048_576;
/** RFC 8878, section 3.1.1. */
const ZSTD_MAGIC = 0xfd2fb528;

/** What a file is, told from its content alone. */
export type ContentKind =
  | { readonly kind: 'csv'; readonly delimiter: string; readonly columns: readonly string[] }
  | {
      readonly kind: 'json';
      /** Objects a line, one array of objects, one object alone, or one whose array `key` holds them. */
      readonly layout: 'lines' | 'array' | 'document' | { readonly key: string };
      /** Whole rows of the sample. */
      readonly objects: readonly unknown[];
    }
  | { readonly kind: 'parquet' }
  | { readonly kind: 'zip' };

/** Thrown for a file that holds no usage data that could be read; the message names the file. */
export class UnreadableUsage extends BadInput {
  override readonly name = 'UnreadableUsage';
}

/** Reads the first megabyte and tells what the file is; `gzip` when it is compressed. */
export async function sniffContent(path: string): Promise<{ content: ContentKind; gzip: boolean }> {
  const magic = await firstBytes(path, 4);
  if (magic.length === 0) throw new UnreadableUsage(`${path} is empty`);
  if (magic.toString('latin1') === 'PAR1') return { content: { kind: 'parquet' }, gzip: false };
  if (magic.readUInt32BE(0) === 0x504b0304) return { content: { kind: 'zip' }, gzip: false };
  if (magic.readUInt32LE(0) === ZSTD_MAGIC) {
    throw new UnreadableUsage(`${path} is zstd; unpack it first (zstd -d)`);
  }
  const gzip = magic[0] === 0x1f && magic[1] === 0x8b;
  const sample = gzip ? await firstUnzipped(path) : await firstBytes(path, SAMPLE_BYTES);
  return { content: sniffText(sample, path), gzip };
}

function sniffText(sample: Buffer, path: string): ContentKind {
  if ((sample[0] === 0xff && sample[1] === 0xfe) || (sample[0] === 0xfe && sample[1] === 0xff)) {
    throw new UnreadableUsage(`${path} is UTF-16; expected UTF-8 (convert it: iconv -f utf-16 -t utf-8)`);
  }
  if (sample.includes(0)) throw new UnreadableUsage(`${path} is binary; expected CSV, JSON or Parquet`);
  const whole = sample.length < SAMPLE_BYTES;
  const text = sample.toString('utf8').replace(/^\ufeff/, '');
  const start = text.trimStart()[0];
  if (start === '[' || start === '{') return sniffJson(text.trimStart(), whole, path);
  return sniffCsv(text, whole, path);
}

function sniffJson(text: string, whole: boolean, path: string): ContentKind {
  if (text.startsWith('[')) {
    return { kind: 'json', layout: 'array', objects: leadingObjects(text.slice(1)) };
  }
  const lines = text.split(/\r?\n/);
  if (!whole) lines.pop();
  // A document over several lines may end in a line that is an object of its own; JSON lines start with one.
  const objects = parsed(lines[0] ?? '').length === 0 ? [] : lines.slice(0, 200).flatMap(parsed);
  if (objects.length > 0) {
    const nonEmpty = lines.filter((line) => line.trim() !== '').length;
    const key = nonEmpty === 1 ? rowsKey(objects[0]) : null;
    if (key !== null) {
      return { kind: 'json', layout: { key }, objects: (objects[0] as Record<string, unknown[]>)[key] ?? [] };
    }
    return { kind: 'json', layout: 'lines', objects };
  }
  const document = whole ? parsed(text)[0] : undefined;
  const key =
    rowsKey(document) ??
    (whole ? null : (/^\s*\{[^[{]*"(data|records|results)"\s*:\s*\[/.exec(text)?.[1] ?? null));
  if (key !== null) {
    const rows = text.slice(text.indexOf('[', text.indexOf(`"${key}"`)) + 1);
    return { kind: 'json', layout: { key }, objects: leadingObjects(rows) };
  }
  if (document !== undefined) return { kind: 'json', layout: 'document', objects: [document] };
  throw new UnreadableUsage(`${path} starts like JSON but neither its lines nor its whole can be parsed`);
}

/** The key of a document that wraps its rows: the only array of objects under a usual name. */
function rowsKey(document: unknown): string | null {
  if (document === null || typeof document !== 'object') return null;
  return (
    ['data', 'records', 'results'].find((key) => {
      const rows = (document as Record<string, unknown>)[key];
      return Array.isArray(rows) && rows.every((row) => row !== null && typeof row === 'object');
    }) ?? null
  );
}

/** Objects at the start of an array whose end may be cut off. */
function leadingObjects(text: string): unknown[] {
  const objects: unknown[] = [];
  let depth = 0;
  let start = 0;
  let quoted = false;
  for (let at = 0; at < text.length && objects.length < 200; at += 1) {
    const character = text[at];
    if (quoted) {
      if (character === '\\') at += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === '{') {
      if (depth === 0) start = at;
      depth += 1;
    } else if (character === '}') {
      depth -= 1;
      if (depth === 0) objects.push(...parsed(text.slice(start, at + 1)));
    } else if (character === ']' && depth === 0) break;
  }
  return objects;
}

function parsed(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? [value] : [];
  } catch {
    return [];
  }
}

function sniffCsv(text: string, whole: boolean, path: string): ContentKind {
  const end = text.indexOf('\n');
  if (end < 0 && !whole)
    throw new UnreadableUsage(`${path} has a first line of over a megabyte; expected a header`);
  const header = end < 0 ? text : text.slice(0, end);
  const best = [',', ';', '\t', '|']
    .map((delimiter) => ({ delimiter, columns: splitHeader(header.replace(/\r$/, ''), delimiter) }))
    .reduce((a, b) => (b.columns.length > a.columns.length ? b : a));
  const { columns } = best;
  const twice = columns.find((column, index) => columns.indexOf(column) !== index);
  if (columns.length < 2 || columns.some((column) => column === '')) {
    throw new UnreadableUsage(
      `${path} is neither JSON, Parquet nor CSV with a header: its first line has ${columns.length} column(s)`,
    );
  }
  if (twice !== undefined) throw new UnreadableUsage(`${path} has the column "${twice}" twice in its header`);
  return { kind: 'csv', ...best };
}

/** Splits one CSV line: quotes around a name, doubled quotes within. */
export function splitHeader(line: string, delimiter: string): string[] {
  const names: string[] = [];
  let name = '';
  let quoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at];
    if (quoted && character === '"' && line[at + 1] === '"') {
      name += '"';
      at += 1;
    } else if (character === '"') quoted = !quoted;
    else if (character === delimiter && !quoted) {
      names.push(name);
      name = '';
    } else name += character;
  }
  return [...names, name].map((each) => each.trim());
}

async function firstBytes(path: string, length: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, 0);
    return length === 4 ? buffer.subarray(0, bytesRead === 0 ? 0 : 4) : buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function firstUnzipped(path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const file = createReadStream(path);
  try {
    for await (const chunk of file.pipe(createGunzip())) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length >= SAMPLE_BYTES) break;
    }
  } catch (cause) {
    throw new UnreadableUsage(`${path} is damaged gzip`, { cause });
  } finally {
    file.destroy();
  }
  return Buffer.concat(chunks).subarray(0, SAMPLE_BYTES);
}
