import { sha256 } from '@noble/hashes/sha2';
import { utf8ToBytes } from '@noble/hashes/utils';
import { isJsonObject } from '../text/json-object';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The form of a tool call's id: a prefix, then letters and digits up to a length. */
export interface ToolCallIds {
  readonly prefix: string;
  readonly length: number;
}

/** An id of this form: itself where it has it, else one that follows from it alone, so that calls and results agree. */
export function fittingId(id: string, { prefix, length }: ToolCallIds): string {
  const digits = length - prefix.length;
  if (id.length === length && id.startsWith(prefix) && /^[A-Za-z0-9]*$/.test(id.slice(prefix.length)))
    return id;
  const hash = sha256(utf8ToBytes(id)).subarray(0, digits);
  return prefix + Array.from(hash, (byte) => DIGITS.charAt(byte % DIGITS.length)).join('');
}

/** A message whose tool calls and results of tools have ids of this form, in either dialect. */
export function withFittingIds(message: Readonly<Record<string, unknown>>, form: ToolCallIds): object {
  const fitted = { ...message };
  fitIn(fitted, 'tool_call_id', form);
  fitAll(fitted, 'tool_calls', () => 'id', form);
  fitAll(fitted, 'content', ({ type }) => idFieldOf(type), form);
  return fitted;
}

/** Which field of a block of content holds the id of a tool call, by the block's type; null for other blocks. */
export function idFieldOf(type: unknown): 'id' | 'tool_use_id' | null {
  if (type === 'tool_use') return 'id';
  return type === 'tool_result' ? 'tool_use_id' : null;
}

function fitAll(
  message: Record<string, unknown>,
  list: string,
  idField: (item: Readonly<Record<string, unknown>>) => string | null,
  form: ToolCallIds,
): void {
  const items = message[list];
  if (!Array.isArray(items)) return;
  message[list] = items.map((item: unknown) => {
    if (!isJsonObject(item)) return item;
    const field = idField(item);
    const fitted = { ...item };
    if (field !== null) fitIn(fitted, field, form);
    return fitted;
  });
}

function fitIn(object: Record<string, unknown>, field: string, form: ToolCallIds): void {
  const id = object[field];
  if (typeof id === 'string') object[field] = fittingId(id, form);
}
