import { type JsonVisitor, scanJson, spaceEnd } from './json-scanner';

/** More fields than any request has: an object with more is not read, so that the list of them stays short. */
const MAX_FIELDS = 1_024;

/**
 * Where the fields of a JSON object are, duplicates included, in their order: the start and end of its key and
 * the start and end of its value for each, in one flat list.
 */
export type JsonFields = readonly number[];

/** The fields of the object that begins at `from`; null when it is not an object or has more than `MAX_FIELDS`. */
export function readJsonFields(raw: Buffer, from: number): JsonFields | null {
  if (raw[from] !== OPEN_OBJECT) return null;
  const reader = new FieldsReader();
  return scanJson(raw, from, reader) === 0 || reader.overflows ? null : reader.fields;
}

/** Where the last value of a name is in the object at `from`; null without one. */
export function spanOf(raw: Buffer, from: number, name: string): { start: number; end: number } | null {
  const fields = readJsonFields(raw, from);
  const at = fields === null ? -1 : lastField(raw, fields, name);
  if (fields === null || at < 0) return null;
  return { start: fields[at + 2] as number, end: fields[at + 3] as number };
}

/** The index of the last field of a name in a list of fields; -1 without one. */
function lastField(raw: Buffer, fields: JsonFields, name: string): number {
  for (let at = fields.length - 4; at >= 0; at -= 4) {
    if (isString(raw, fields[at] as number, fields[at + 1] as number, name)) return at;
  }
  return -1;
}

/** The text of a sound JSON string, whose span includes its quotes. */
export function readString(raw: Buffer, start: number, end: number): string {
  // Decoded first, as the whole text would be: what is not UTF-8 is replaced in the same way.
  const text = raw.toString('utf8', start + 1, end - 1);
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text;
}

/** What stands for one unit of a text takes at most this many bytes. */
const BYTES_PER_UNIT = 6;

/** Whether a sound JSON value is a string with this text. */
export function isString(raw: Buffer, start: number, end: number, text: string): boolean {
  if (raw[start] !== QUOTE) return false;
  const length = end - start - 2;
  if (length !== text.length) {
    if (length < text.length || length > BYTES_PER_UNIT * text.length) return false;
    return !isVerbatim(raw, start, end) && readString(raw, start, end) === text;
  }
  for (let index = 0; index < length; index += 1) {
    if (raw[start + 1 + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

/** Whether each byte of a string stands for itself. */
function isVerbatim(raw: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = raw[at] as number;
    if (byte === BACKSLASH || byte > 0x7f) return false;
  }
  return true;
}

/** Whether an array with elements begins here. */
export function hasElements(raw: Buffer, start: number): boolean {
  return raw[start] === OPEN_ARRAY && raw[spaceEnd(raw, start + 1)] !== CLOSE_ARRAY;
}

/** How many elements the array at `start` has. */
export function countElements(raw: Buffer, start: number): number {
  let count = 0;
  const add = (depth: number) => {
    if (depth === 1) count += 1;
  };
  scanJson(raw, start, {
    open: (_isObject, _start, depth) => {
      add(depth);
      return depth === 0;
    },
    scalar: (_start, _end, depth) => add(depth),
    close: () => {},
    key: () => {},
  });
  return count;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** Notes where the fields of the outermost object are. */
export class FieldsReader implements JsonVisitor {
  fields: number[] = [];
  overflows = false;

  open(_isObject: boolean, start: number, depth: number): boolean {
    if (depth === 1 && !this.overflows) this.fields.push(start);
    return depth === 0;
  }

  close(end: number, depth: number): void {
    if (depth === 1 && !this.overflows) this.fields.push(end);
  }

  key(start: number, end: number, depth: number, _escaped: boolean): void {
    if (depth !== 1) return;
    if (this.fields.length === 4 * MAX_FIELDS) this.overflows = true;
    if (!this.overflows) this.fields.push(start, end);
  }

  scalar(start: number, end: number, depth: number): void {
    if (depth === 1 && !this.overflows) this.fields.push(start, end);
  }
}
