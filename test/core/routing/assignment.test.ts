import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { assign, assignmentDigest, digestBucket, position } from '../../../src/core/routing/assignment';

describe('assignment', () => {
  it('gives the position that anyone computes with sha256sum', () => {
    // printf 'salt\nkey' | sha256sum | cut -c1-8
    const first = createHash('sha256').update('salt\nkey').digest().readUInt32BE(0);
    expect(position('salt', 'key')).toBe(first / 2 ** 32);
  });

  it('reads the bucket from a byte that the position does not use', () => {
    const bytes = createHash('sha256').update('salt\nkey').digest();
    expect(digestBucket(assignmentDigest('salt', 'key'))).toBe(bytes[4]);
  });

  it('never moves a key back to legacy when the share rises', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (salt, key, a, b) => {
          const [low, high] = a < b ? [a, b] : [b, a];
          return assign(salt, key, low) === 'legacy' || assign(salt, key, high) === 'candidate';
        },
      ),
    );
  });

  it('assigns nobody at share 0 and everybody at share 1', () => {
    fc.assert(
      fc.property(
        fc.string(),
        (key) => assign('s', key, 0) === 'legacy' && assign('s', key, 1) === 'candidate',
      ),
    );
  });
});
