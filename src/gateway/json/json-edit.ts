import { isString, type JsonFields } from './json-fields';

/** A part of some bytes to be replaced; empty where something is put in between. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What is to become of the fields of an object. */
export interface FieldRules {
  /** Fields that the rules touch. */
  readonly names: readonly string[];
  /** For each of them which of `targets` it becomes; -1 when it is dropped. */
  readonly becomes: readonly number[];
  /** Names under which something is written. */
  readonly targets: readonly string[];
  /** The value of each target as JSON text, or what becomes of its own; null where a field keeps its own. */
  readonly values: readonly (string | InnerRule | null)[];
}

/** Changes a value where it stands. */
export interface InnerRule {
  /** The value, as JSON text, where there is none; null adds nothing. */
  readonly absent: string | null;
  readonly edits: (raw: Buffer, start: number, end: number) => readonly Edit[];
}

/**
 * The edits that carry out the rules on an object with some fields, and leave every other byte. What is written
 * is written once, at the last place of its name, so that readers who take the first of two fields and readers
 * who take the last agree; what was not there comes last.
 */
export function fieldEdits(raw: Buffer, fields: JsonFields, rules: FieldRules): Edit[] {
  const { names, becomes, targets, values } = rules;
  const touched: number[] = [];
  const lastOf: number[] = targets.map(() => -1);
  for (let at = 0; at < fields.length; at += 4) {
    const rule = ruleOf(raw, fields, at, names);
    touched.push(rule);
    const target = rule < 0 ? -1 : (becomes[rule] as number);
    if (target >= 0) lastOf[target] = at;
  }
  const edits: Edit[] = [];
  let stays = false;
  let previousEnd = 0;
  for (let at = 0; at < fields.length; at += 4) {
    const rule = touched[at / 4] as number;
    const valueEnd = fields[at + 3] as number;
    const target = rule < 0 ? -1 : (becomes[rule] as number);
    if (rule < 0) stays = true;
    else if (target < 0 || lastOf[target] !== at) {
      // With the comma before it; with the one behind it where nothing before it stays.
      const start = stays ? previousEnd : (fields[at] as number);
      edits.push({ start, end: stays ? valueEnd : (fields[at + 4] ?? valueEnd), text: '' });
    } else {
      stays = true;
      if (names[rule] !== targets[target]) {
        const text = JSON.stringify(targets[target]);
        edits.push({ start: fields[at] as number, end: fields[at + 1] as number, text });
      }
      const value = values[target] ?? null;
      const start = fields[at + 2] as number;
      if (typeof value === 'string') edits.push({ start, end: valueEnd, text: value });
      else if (value !== null) edits.push(...value.edits(raw, start, valueEnd));
    }
    previousEnd = valueEnd;
  }
  let added = '';
  for (let target = 0; target < targets.length; target += 1) {
    const value = values[target] ?? null;
    if (value === null || lastOf[target] !== -1) continue;
    const text = typeof value === 'string' ? value : value.absent;
    if (text === null) continue;
    added += `${stays || added !== '' ? ',' : ''}${JSON.stringify(targets[target])}:${text}`;
  }
  if (added !== '') edits.push({ start: previousEnd, end: previousEnd, text: added });
  return edits;
}

/** The pieces of some bytes with edits in them, which are in order and do not overlap. */
export function editedPieces(raw: Buffer, edits: readonly Edit[]): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (const { start, end, text } of edits) {
    if (start > from) pieces.push(raw.subarray(from, start));
    if (text !== '') pieces.push(Buffer.from(text));
    from = end;
  }
  pieces.push(raw.subarray(from));
  return pieces;
}

function ruleOf(raw: Buffer, fields: JsonFields, at: number, names: readonly string[]): number {
  for (let rule = 0; rule < names.length; rule += 1) {
    if (isString(raw, fields[at] as number, fields[at + 1] as number, names[rule] as string)) return rule;
  }
  return -1;
}
