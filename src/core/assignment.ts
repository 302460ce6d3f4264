import { createHash } from 'node:crypto';
import type { Side } from './routing';

/**
 * Where a key falls in [0, 1): the first four bytes of SHA-256(salt + "\n" + key), big endian, over 2^32.
 * Anyone can recompute it: `printf 'SALT\nKEY' | sha256sum | cut -c1-8`.
 */
export function position(salt: string, key: string): number {
  return digestPosition(assignmentDigest(salt, key));
}

/** Candidate when the key's position is below the share, so that raising the share never moves a key back. */
export function assign(salt: string, key: string, share: number): Side {
  return position(salt, key) < share ? 'candidate' : 'legacy';
}

/** The whole SHA-256 digest of a key; position and bucket read different bytes of it. */
export function assignmentDigest(salt: string, key: string): Buffer {
  return createHash('sha256').update(`${salt}\n${key}`).digest();
}

/** The position that `position` gives, from a digest that is already there. */
export function digestPosition(digest: Buffer): number {
  return digest.readUInt32BE(0) / 0x1_0000_0000;
}

/** One of 256 evidence buckets, from the fifth byte, which assignment does not use. */
export function digestBucket(digest: Buffer): number {
  return digest[4] as number;
}
