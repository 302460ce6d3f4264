import { nameSchema } from '../../core/configuration/schema-parts';

/** One outcome as an application sent it. */
export interface SentOutcome {
  /** Where it stands in what was sent, for errors: `[3].`, or nothing for one that came alone. */
  readonly place: string;
  readonly name: string;
  readonly value: boolean | number;
  /** Either the `x-cutover-request` of an answer, or the key of assignment. */
  readonly of: { readonly request: string } | { readonly key: string };
}

/** Thrown for what is not a list of outcomes; the message names the element, what was expected and what arrived. */
export class BadOutcome extends Error {
  override readonly name = 'BadOutcome';
}

/** The most outcomes in one list, and bytes of it. */
export const MOST_OUTCOMES = 1_000;
export const MOST_OUTCOME_BYTES = 1_048_576;
const LONGEST_REQUEST = 256;
/** As of the values by which requests are drawn. */
const LONGEST_KEY = 1_024;
const FIELDS = new Set(['request', 'key', 'name', 'value']);

/** Reads one outcome or a list of them; throws `BadOutcome` for the first that is not one. */
export function readOutcomes(body: Buffer): SentOutcome[] {
  const sent = parse(body.toString('utf8'));
  if (!Array.isArray(sent)) return [readOutcome(sent, '')];
  if (sent.length > MOST_OUTCOMES) {
    throw new BadOutcome(`expected at most ${MOST_OUTCOMES} outcomes in a list, got ${sent.length}`);
  }
  return sent.map((each, index) => readOutcome(each, `[${index}].`));
}

function readOutcome(sent: unknown, place: string): SentOutcome {
  if (typeof sent !== 'object' || sent === null || Array.isArray(sent)) {
    const at = place === '' ? '' : `${place.slice(0, -1)}: `;
    throw new BadOutcome(`${at}expected an object with request or key, name and value, got ${shown(sent)}`);
  }
  const { request, key, name, value } = sent as Record<string, unknown>;
  const other = Object.keys(sent).find((field) => !FIELDS.has(field));
  if (other !== undefined) {
    throw new BadOutcome(
      `${place}${other.slice(0, 40)}: expected request or key, name and value, and nothing else`,
    );
  }
  if (typeof name !== 'string' || !nameSchema.safeParse(name).success) {
    const expected = 'expected a name of a-z, 0-9, dot, dash and underscore, at most 63 long';
    throw new BadOutcome(`${place}name: ${expected}, got ${shown(name)}`);
  }
  if (typeof value !== 'boolean' && !(typeof value === 'number' && value >= 0 && value <= 1)) {
    throw new BadOutcome(`${place}value: expected true, false or a number from 0 to 1, got ${shown(value)}`);
  }
  return { place, name, value, of: readSubject(request, key, place) };
}

function readSubject(request: unknown, key: unknown, place: string): SentOutcome['of'] {
  if ((request === undefined) === (key === undefined)) {
    const got = request === undefined ? 'neither' : 'both';
    throw new BadOutcome(
      `${place}request: expected the x-cutover-request of an answer, or a key in its place, got ${got}`,
    );
  }
  if (request !== undefined) {
    if (typeof request === 'string' && request.length <= LONGEST_REQUEST) return { request };
    throw new BadOutcome(
      `${place}request: expected the x-cutover-request of an answer, got ${shown(request)}`,
    );
  }
  if (typeof key === 'string' && key !== '' && Buffer.byteLength(key) <= LONGEST_KEY) return { key };
  throw new BadOutcome(
    `${place}key: expected the key of assignment, a text of 1 to ${LONGEST_KEY} bytes, got ${shown(key)}`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Some clients write NaN, which JSON does not have: read as a text, it is found where it stands.
    try {
      return JSON.parse(text.replace(/(-?Infinity|NaN)(?=\s*[,}\]])/g, '"$1"'));
    } catch {
      throw new BadOutcome('expected one outcome or a list of them as JSON, got something else');
    }
  }
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return String(typeof value === 'string' ? JSON.stringify(value) : value).slice(0, 60);
}
