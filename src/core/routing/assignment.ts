import { hash } from 'node:crypto';
import type { Arm } from './routing';

/**
 * Where a key falls in [0, 1): the first four bytes of SHA-256(salt + "\n" + key), big endian, over 2^32.
 * Anyone can recompute it: `printf 'SALT\nKEY' | sha256sum | cut -c1-8`.
 */
export function position(salt: string, key: string): number {
  return digestPosition(assignmentDigest(salt, key));
}

/** Candidate when the key's position is below the share, so that raising the share never moves a key back. */
export function assign(salt: string, key: string, share: number): Arm {
  return position(salt, key) < share ? 'candidate' : 'legacy';
}

/**
 * The whole SHA-256 digest of a key in hex; position and bucket read different bytes of it. One call of
 * `hash` to hex takes a quarter of the time of a Hash object and a Buffer (measured on Node 20).
 */
export function assignmentDigest(salt: string, key: string): string {
  return hash('sha256', `${salt}\n${key}`, 'hex');
}

/** The position that `position` gives, from a digest that is already there. */
export function digestPosition(digest: string): number {
  return Number.parseInt(digest.slice(0, 8), 16) / 0x1_0000_0000;
}

/** One of 256 evidence buckets, from the fifth byte, which assignment does not use. */
export function digestBucket(digest: string): number {
  return Number.parseInt(digest.slice(8, 10), 16);
}
