import type { ModelMapping } from '../../core/configuration/configuration-schema';
import { editedPieces, type FieldRules, fieldEdits, type InnerRule } from '../json/json-edit';
import { type JsonFields, readJsonFields } from '../json/json-fields';
import { LONG_BODY_BYTES, LongBody } from './long-body';
import type { RequestFacts } from './request-facts';

/** A body to send; `addsUsage` when the gateway asked for the usage chunk in the caller's place. */
export interface MappedBody {
  readonly body: Buffer | LongBody;
  readonly addsUsage: boolean;
}

/** The body for legacy: as the caller wrote it, but for the usage of a stream. */
export function legacyBody(raw: Buffer, facts: RequestFacts, usage: boolean): MappedBody {
  if (!usage || !facts.stream || facts.wantsUsage || facts.fields === null)
    return { body: raw, addsUsage: false };
  return { body: edited(raw, facts.fields, USAGE_RULES), addsUsage: true };
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
  const addsUsage =
    usage && facts.stream && !facts.wantsUsage && !mapping.parameters.drop.includes('stream_options');
  const renames = mapping.candidate !== facts.model || reshapes(mapping);
  if (renames) return { body: edited(raw, fields, rulesOf(mapping, addsUsage)), addsUsage };
  return { body: addsUsage ? edited(raw, fields, USAGE_RULES) : raw, addsUsage };
}

/** Whether a mapping changes parameters of a request besides its model. */
export function reshapes({ parameters: { rename, drop, set } }: ModelMapping): boolean {
  return drop.length > 0 || hasKeys(rename) || hasKeys(set);
}

const INCLUDE_USAGE: FieldRules = {
  names: ['include_usage'],
  becomes: [0],
  targets: ['include_usage'],
  values: ['true'],
};

/** Asks for the usage of a stream, whatever other options there are. */
const ADDED_USAGE: InnerRule = {
  absent: '{"include_usage":true}',
  edits: (raw, start, end) => {
    const fields = readJsonFields(raw, start);
    if (fields === null || fields.length === 0) return [{ start, end, text: ADDED_USAGE.absent }];
    return fieldEdits(raw, fields, INCLUDE_USAGE);
  },
};

const USAGE_RULES: FieldRules = {
  names: ['stream_options'],
  becomes: [0],
  targets: ['stream_options'],
  values: [ADDED_USAGE],
};

const RULES = new WeakMap<ModelMapping, { plain: FieldRules; withUsage: FieldRules }>();

function rulesOf(mapping: ModelMapping, addsUsage: boolean): FieldRules {
  let rules = RULES.get(mapping);
  if (rules === undefined) {
    rules = { plain: compileRules(mapping, false), withUsage: compileRules(mapping, true) };
    RULES.set(mapping, rules);
  }
  return addsUsage ? rules.withUsage : rules.plain;
}

/** Renames, drops and sets parameters, in this order; the model last of all. */
function compileRules({ candidate, parameters }: ModelMapping, addsUsage: boolean): FieldRules {
  const { rename, drop, set } = parameters;
  const values = new Map<string, string | InnerRule | null>();
  for (const name of Object.values(rename)) values.set(name, null);
  for (const [name, value] of Object.entries(set)) values.set(name, JSON.stringify(value));
  if (addsUsage) {
    const isSet = Object.hasOwn(set, 'stream_options');
    values.set('stream_options', isSet ? ADDED_USAGE.absent : ADDED_USAGE);
  }
  values.set('model', JSON.stringify(candidate));
  const targets = [...values.keys()];
  const names = [...new Set([...Object.keys(rename), ...drop, ...targets])];
  const becomes = names.map((name) => {
    const renamed = Object.hasOwn(rename, name) ? (rename[name] as string) : name;
    return drop.includes(name) || drop.includes(renamed) ? -1 : targets.indexOf(renamed);
  });
  return { names, becomes, targets, values: targets.map((name) => values.get(name) ?? null) };
}

function edited(raw: Buffer, fields: JsonFields, rules: FieldRules): MappedBody['body'] {
  const pieces = editedPieces(raw, fieldEdits(raw, fields, rules));
  return raw.length <= LONG_BODY_BYTES ? Buffer.concat(pieces) : new LongBody(pieces);
}

function hasKeys(record: Readonly<Record<string, unknown>>): boolean {
  for (const _name in record) return true;
  return false;
}
