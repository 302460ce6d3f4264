import { isJsonObject } from '../text/json-object';

/** What a header can carry: printable ASCII without spaces at its ends. */
const USABLE = /^[!-~](?:[ -~]*[!-~])?$/;
const KEYS = ['access_token', 'accessToken', 'token'] as const;

/** A key that a command printed. */
export interface PrintedKey {
  readonly key: string;
  /** From the moment it was printed. */
  readonly validForMs: number;
}

/**
 * The key in what a command printed: the text, or a field of a JSON object, which may also say when the key expires.
 * A text says what is wrong; it never holds anything of what was printed, which may be a key.
 */
export function readPrintedKey(output: string, lifetimeMs: number, nowMs: number): PrintedKey | string {
  const text = output.trim();
  if (text === '') return 'it printed nothing';
  if (!text.startsWith('{')) {
    return USABLE.test(text)
      ? { key: text, validForMs: lifetimeMs }
      : 'it printed characters that no header can carry';
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return 'it printed JSON that cannot be parsed';
  }
  if (!isJsonObject(document)) return 'it printed JSON that is not an object';
  const fields = document;
  const key = KEYS.map((name) => fields[name]).find((value) => typeof value === 'string');
  if (typeof key !== 'string') return `it printed JSON without ${KEYS.join(', ')}`;
  if (!USABLE.test(key)) return 'it printed a key that no header can carry';
  const leftMs = Math.min(lifetimeMs, ...leftBy(fields, nowMs));
  return leftMs > 0 ? { key, validForMs: leftMs } : 'it printed a key that has expired';
}

/** `expires_in` counts seconds from now, `expires_on` from 1970, `expiresAt` is a date; others are not read. */
function leftBy(fields: Readonly<Record<string, unknown>>, nowMs: number): number[] {
  const seconds = (value: unknown) => Number(value) * 1_000;
  const left = [
    fields['expires_in'] === undefined ? Number.NaN : seconds(fields['expires_in']),
    fields['expires_on'] === undefined ? Number.NaN : seconds(fields['expires_on']) - nowMs,
    typeof fields['expiresAt'] === 'string' ? Date.parse(fields['expiresAt']) - nowMs : Number.NaN,
  ];
  return left.filter(Number.isFinite);
}
