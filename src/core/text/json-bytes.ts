import { utf8ToBytes } from '@noble/hashes/utils';

/** How many bytes a value takes as JSON in UTF-8, as Temporal stores it. */
export function jsonBytes(value: unknown): number {
  return utf8ToBytes(JSON.stringify(value) ?? '').length;
}
