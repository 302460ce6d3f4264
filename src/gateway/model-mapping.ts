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
  return { body: withUsage(facts.text, facts.json), addsUsage: true };
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
    const renamed = mapping.candidate === facts.model ? facts.text : withModel(facts, mapping.candidate);
    if (mayAdd) return { body: withUsage(renamed, facts.json, mapping.candidate), addsUsage: true };
    return { body: renamed === facts.text ? raw : renamed, addsUsage: false };
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

/**
 * Puts another model into a JSON text in place, which keeps every other byte and costs a tenth of writing
 * the object again. Only where the text leaves no doubt which `"model"` is the top-level one.
 */
function withModel(facts: RequestFacts, model: string): string {
  const { text, json } = facts;
  const at = text.indexOf(MODEL_KEY);
  if (at >= 0 && text.indexOf(MODEL_KEY, at + 1) < 0 && !text.includes('\\u')) {
    const start = text.indexOf('"', at + MODEL_KEY.length);
    const quoted = JSON.stringify(facts.model);
    if (start >= 0 && text.startsWith(quoted, start) && isColon(text, at + MODEL_KEY.length, start)) {
      return text.slice(0, start) + JSON.stringify(model) + text.slice(start + quoted.length);
    }
  }
  return JSON.stringify({ ...json, model });
}

function withUsage(text: string, json: Readonly<Record<string, unknown>>, model?: string): string {
  if (json['stream_options'] === undefined) {
    const end = text.lastIndexOf('}');
    return `${text.slice(0, end)},"stream_options":{"include_usage":true}}`;
  }
  const named = model === undefined ? json : { ...json, model };
  return JSON.stringify({ ...named, stream_options: usageOptions(json['stream_options']) });
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
