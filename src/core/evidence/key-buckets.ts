import { addPacked, decodeNumbers, encodeNumbers } from './number-list';

/** Key buckets that a window keeps of the gateways' 256. */
export const KEY_BUCKETS = 64;

/** A bucket of keys: how many pairs count in it, and how many of those speak against the candidate. */
export type PairBucket = readonly [bucket: number, count: number, against: number];

/** Key buckets of adjoining windows together. */
export function mergeKeys(a: string | null, b: string | null): string | null {
  return a === null || b === null ? (a ?? b) : addPacked(a, b);
}

/** Packs pairs by bucket, two numbers each; null where none has a key (a bucket below 0). */
export function packPairBuckets(rows: readonly PairBucket[]): string | null {
  const keyed = rows.filter(([bucket]) => bucket >= 0);
  if (keyed.length === 0) return null;
  const numbers = new Array<number>(2 * KEY_BUCKETS).fill(0);
  for (const [bucket, count, against] of keyed) {
    const at = 2 * (bucket % KEY_BUCKETS);
    numbers[at] = (numbers[at] ?? 0) + count;
    numbers[at + 1] = (numbers[at + 1] ?? 0) + against;
  }
  return encodeNumbers(numbers);
}

/** The buckets that have pairs which count; empty where nothing is keyed. */
export function pairBucketsIn(packed: string | undefined): readonly PairBucket[] {
  const numbers = decodeNumbers(packed ?? '');
  return Array.from({ length: KEY_BUCKETS }, (_, bucket): PairBucket => {
    return [bucket, numbers[2 * bucket] ?? 0, numbers[2 * bucket + 1] ?? 0];
  }).filter(([, count]) => count > 0);
}
