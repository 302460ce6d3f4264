import type { ModelMapping } from '../core/configuration-schema';
import type { RequestFacts } from './request-facts';

/** A body to send; `addsUsage` when the gateway asked for the usage chunk in the caller's place. */
export interface MappedBody {
  readonly body: string | Buffer;
  readonly addsUsage: boolean;
}

/** The body for legacy: as the caller wrote it, but for the usage of a stream. */
export function legacyBody(raw: Buffer, facts: RequestFacts, usage: boolean): MappedBody {
  if (!usage || !facts.stream || facts.wantsUsage) return { body: raw, addsUsage: false };
  return { body: withUsage(raw, facts), addsUsage: true };
}

/** The body for the candidate: its model name, its parameters, and the usage of a stream. */
export function candidateBody(
  raw: Buffer,
  facts: RequestFacts,
  mapping: ModelMapping,
  usage: boolean,
): MappedBody {
  const { rename, drop, set } = mapping.parameters;
  const reshapes = hasKeys(rename) || drop.length > 0 || hasKeys(set);
  const mayAdd = usage && facts.stream && !facts.wantsUsage && !drop.includes('stream_options');
  if (!reshapes) {
    const edit = mapping.candidate === facts.model ? null : modelEdit(facts, mapping.candidate);
    if (mayAdd) return { body: withUsage(raw, facts, mapping.candidate, edit), addsUsage: true };
    return { body: withModel(raw, facts, mapping.candidate, edit), addsUsage: false };
  }
  const json = reshape(facts.json, mapping);
  if (mayAdd) json['stream_options'] = usageOptions(json['stream_options']);
  return { body: JSON.stringify(json), addsUsage: mayAdd };
}

/** Renames, drops and sets parameters, in this order; the model last of all. */
function reshape(json: Readonly<Record<string, unknown>>, mapping: ModelMapping): Record<string, unknown> {
  const { rename, drop, set } = mapping.parameters;
  const dropped = new Set(drop);
  const entries: [string, unknown][] = [];
  for (const [name, value] of Object.entries(json)) {
    const renamed = Object.hasOwn(rename, name) ? (rename[name] as string) : name;
    if (!dropped.has(name) && !dropped.has(renamed)) entries.push([renamed, value]);
  }
  for (const [name, value] of Object.entries(set)) entries.push([name, value]);
  entries.push(['model', mapping.candidate]);
  // fromEntries defines own properties, so that a parameter named __proto__ stays a parameter.
  return Object.fromEntries(entries);
}

const MODEL_KEY = '"model"';

/** A part of a text to be replaced. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Where another model goes into a JSON text in place, which keeps every other byte and costs a tenth of writing
 * the object again; `unclear` where the text leaves a doubt which `"model"` is the top-level one.
 */
function modelEdit({ text, model: old }: RequestFacts, model: string): Edit | 'unclear' {
  const at = text.indexOf(MODEL_KEY);
  if (at < 0 || text.indexOf(MODEL_KEY, at + 1) >= 0 || text.includes('\\u')) return 'unclear';
  const start = text.indexOf('"', at + MODEL_KEY.length);
  const quoted = JSON.stringify(old);
  if (start < 0 || !text.startsWith(quoted, start) || !isColon(text, at + MODEL_KEY.length, start)) {
    return 'unclear';
  }
  return { start, end: start + quoted.length, text: JSON.stringify(model) };
}

function withModel(
  raw: Buffer,
  facts: RequestFacts,
  model: string,
  edit: Edit | 'unclear' | null,
): MappedBody['body'] {
  if (edit === null) return raw;
  return edit === 'unclear' ? JSON.stringify({ ...facts.json, model }) : edited(raw, facts.text, [edit]);
}

const USAGE = ',"stream_options":{"include_usage":true}}';

function withUsage(
  raw: Buffer,
  { text, json, model: old }: RequestFacts,
  model = old,
  edit: Edit | 'unclear' | null = null,
): MappedBody['body'] {
  if (edit === 'unclear' || json['stream_options'] !== undefined) {
    return JSON.stringify({ ...json, model, stream_options: usageOptions(json['stream_options']) });
  }
  const end = { start: text.lastIndexOf('}'), end: text.length, text: USAGE };
  return edited(raw, text, edit === null ? [end] : [edit, end]);
}

/**
 * A text with some parts replaced, from front to back. Where it has as many bytes as characters each stands
 * for itself, and the bytes are copied: cheaper than to write a string as UTF-8.
 */
function edited(raw: Buffer, text: string, edits: readonly Edit[]): string | Buffer {
  const inBytes = raw.length === text.length;
  const pieces: Buffer[] = [];
  let whole = '';
  let from = 0;
  for (const edit of edits) {
    if (inBytes) pieces.push(raw.subarray(from, edit.start), Buffer.from(edit.text));
    else whole += text.slice(from, edit.start) + edit.text;
    from = edit.end;
  }
  return inBytes ? Buffer.concat([...pieces, raw.subarray(from)]) : whole + text.slice(from);
}

function usageOptions(options: unknown): object {
  return typeof options === 'object' && options !== null
    ? { ...options, include_usage: true }
    : { include_usage: true };
}

function isColon(text: string, from: number, to: number): boolean {
  return text.slice(from, to).trim() === ':';
}

function hasKeys(record: Readonly<Record<string, unknown>>): boolean {
  for (const _name in record) return true;
  return false;
}
