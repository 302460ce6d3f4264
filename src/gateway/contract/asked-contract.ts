import { isString, type JsonFields } from '../json/json-fields';

/** Fields of a request by which an answer is judged. */
const FIELDS = [
  ...['tools', 'functions', 'tool_choice', 'function_call', 'response_format', 'text'],
  ...['output_config', 'output_format'],
];
/** A longer contract is not copied: answers to its request are left unchecked. */
const MAX_BYTES = 1_048_576;

/** What of a request its answer is judged by, as the JSON of an object of its own; null where it is too long. */
export function askedContract(body: Buffer, fields: JsonFields): Buffer | null {
  const pieces: Buffer[] = [];
  let length = 2;
  for (let at = 0; at < fields.length; at += 4) {
    const [from, to, end] = [fields[at], fields[at + 1], fields[at + 3]] as [number, number, number];
    if (!FIELDS.some((name) => isString(body, from, to, name))) continue;
    length += end - from + 1;
    if (length > MAX_BYTES) return null;
    if (pieces.length > 0) pieces.push(COMMA);
    pieces.push(body.subarray(from, end));
  }
  return Buffer.concat([OPEN, ...pieces, CLOSE]);
}

const OPEN = Buffer.from('{');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from('}');
