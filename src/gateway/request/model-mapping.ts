import type { ModelMapping } from '../../core/configuration/configuration-schema';
import { changesHistory, isEmpty, type RequestRules } from '../../core/configuration/request-rules';
import { isJsonObject } from '../../core/text/json-object';
import { editedPieces, type FieldRules, fieldEdits, type InnerRule } from '../json/json-edit';
import { type JsonFields, readJsonFields } from '../json/json-fields';
import { historyRule } from './history-rule';
import { LONG_BODY_BYTES, LongBody } from './long-body';
import type { RequestFacts } from './request-facts';

/** A body to send; `addsUsage` when the gateway asked for the usage chunk in the caller's place. */
export interface MappedBody {
  readonly body: Buffer | LongBody;
  readonly addsUsage: boolean;
}

/** The body for legacy: as the caller wrote it, but for legacy's own rules and the usage of a stream. */
export function legacyBody(
  raw: Buffer,
  facts: RequestFacts,
  mapping: ModelMapping | null,
  usage: boolean,
): MappedBody {
  const { fields } = facts;
  if (fields === null) return { body: raw, addsUsage: false };
  const rules = mapping?.legacyParameters;
  const addsUsage = usage && asksForUsage(facts, rules);
  if (rules !== undefined && !isEmpty(rules)) {
    return { body: edited(raw, fields, compiled(rules, rules, null, addsUsage)), addsUsage };
  }
  return { body: addsUsage ? edited(raw, fields, USAGE_RULES) : raw, addsUsage };
}

/** The body for the candidate: its model name, its parameters, and the usage of a stream. */
export function candidateBody(
  raw: Buffer,
  facts: RequestFacts,
  mapping: ModelMapping,
  usage: boolean,
): MappedBody {
  const { fields } = facts;
  if (fields === null) return { body: raw, addsUsage: false };
  const { candidate, parameters } = mapping;
  const addsUsage = usage && asksForUsage(facts, parameters);
  if (candidate !== facts.model || !isEmpty(parameters)) {
    return { body: edited(raw, fields, compiled(mapping, parameters, candidate, addsUsage)), addsUsage };
  }
  return { body: addsUsage ? edited(raw, fields, USAGE_RULES) : raw, addsUsage };
}

function asksForUsage(facts: RequestFacts, rules: RequestRules | undefined): boolean {
  return facts.stream && !facts.wantsUsage && rules?.drop.includes('stream_options') !== true;
}

/** Merges an object into the one that is there, at every level; what is not an object is replaced. */
function mergeRule(object: Readonly<Record<string, unknown>>): InnerRule {
  const names = Object.keys(object);
  const rules: FieldRules = {
    names,
    becomes: names.map((_name, index) => index),
    targets: names,
    values: Object.values(object).map(valueRule),
  };
  const absent = JSON.stringify(object);
  return {
    absent,
    edits: (raw, start, end) => {
      const fields = readJsonFields(raw, start);
      if (fields === null) return [{ start, end, text: absent }];
      if (names.length === 0) return [];
      return fields.length === 0 ? [{ start, end, text: absent }] : fieldEdits(raw, fields, rules);
    },
  };
}

function valueRule(value: unknown): string | InnerRule {
  return isJsonObject(value) ? mergeRule(value) : JSON.stringify(value);
}

const INCLUDE_USAGE = { include_usage: true };

/** Asks for the usage of a stream, whatever other options there are. */
const ADDED_USAGE = mergeRule(INCLUDE_USAGE);

const USAGE_RULES: FieldRules = {
  names: ['stream_options'],
  becomes: [0],
  targets: ['stream_options'],
  values: [ADDED_USAGE],
};

const COMPILED = new WeakMap<object, { plain: FieldRules; withUsage: FieldRules }>();

/** Rules are compiled once for their `owner`, the part of the configuration that holds them with their model. */
function compiled(owner: object, rules: RequestRules, model: string | null, addsUsage: boolean): FieldRules {
  let both = COMPILED.get(owner);
  if (both === undefined) {
    both = { plain: compileRules(rules, model, false), withUsage: compileRules(rules, model, true) };
    COMPILED.set(owner, both);
  }
  return addsUsage ? both.withUsage : both.plain;
}

/** Renames, drops and sets parameters, in this order; the model, where it has another name, last of all. */
function compileRules(
  { rename, drop, set, history }: RequestRules,
  model: string | null,
  addsUsage: boolean,
): FieldRules {
  const values = new Map<string, string | InnerRule | null>();
  for (const name of Object.values(rename)) values.set(name, null);
  for (const [name, value] of Object.entries(set)) values.set(name, valueRule(value));
  if (addsUsage) values.set('stream_options', usageRule(set));
  if (model !== null) values.set('model', JSON.stringify(model));
  if (changesHistory(history) && !values.has('messages')) values.set('messages', historyRule(history));
  const targets = [...values.keys()];
  const names = [...new Set([...Object.keys(rename), ...drop, ...targets])];
  const becomes = names.map((name) => {
    const renamed = Object.hasOwn(rename, name) ? (rename[name] as string) : name;
    return drop.includes(name) || drop.includes(renamed) ? -1 : targets.indexOf(renamed);
  });
  return { names, becomes, targets, values: targets.map((name) => values.get(name) ?? null) };
}

/** The gateway's own question comes after what is set. */
function usageRule(set: RequestRules['set']): string | InnerRule {
  if (!Object.hasOwn(set, 'stream_options')) return ADDED_USAGE;
  const options = set['stream_options'];
  return isJsonObject(options) ? mergeRule({ ...options, ...INCLUDE_USAGE }) : JSON.stringify(INCLUDE_USAGE);
}

function edited(raw: Buffer, fields: JsonFields, rules: FieldRules): MappedBody['body'] {
  const pieces = editedPieces(raw, fieldEdits(raw, fields, rules));
  return raw.length <= LONG_BODY_BYTES ? Buffer.concat(pieces) : new LongBody(pieces);
}
