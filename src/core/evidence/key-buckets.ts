import { decodeNumbers, encodeNumbers } from './number-list';

/** Key buckets that a window keeps of the gateways' 256. */
export const KEY_BUCKETS = 64;

/** Key buckets of adjoining windows together. */
export function mergeKeys(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  const later = decodeNumbers(b);
  return encodeNumbers(decodeNumbers(a).map((value, index) => value + (later[index] ?? 0)));
}
