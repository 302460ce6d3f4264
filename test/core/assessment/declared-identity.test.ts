import { compareIdentity, digestsIn } from '../../../src/core/assessment/declared-identity';

const [A, B] = ['a', 'b'].map((digit) => digit.repeat(64)) as [string, string];

it.each<[string, object, readonly string[]]>([
  ['a field of its own', { id: 'm', digest: `sha256:${A}` }, [`sha256:${A}`]],
  ["the path of vLLM's root", { id: 'm', root: `/models/sha256-${A}` }, [`sha256:${A}`]],
  ['capitals', { digest: `SHA256:${A.toUpperCase()}` }, [`sha256:${A}`]],
  ['the same twice', { digest: `sha256:${A}`, root: `/m/sha256-${A}/` }, [`sha256:${A}`]],
  ['two that differ', { digest: `sha256:${A}`, root: `/m/sha256-${B}` }, [`sha256:${A}`, `sha256:${B}`]],
  ['one that is cut short', { digest: `sha256:${A.slice(1)}` }, []],
  ['one with a digit too many', { digest: `sha256:${A}0` }, []],
  ['nothing', { id: 'm', created: 1, parent: null, permission: [{ id: `sha256:${A}` }] }, []],
])('finds the digests that an entry states: %s', (_, entry, expected) => {
  expect(digestsIn(entry)).toEqual(expected);
});

describe('a declared identity', () => {
  const declared = `sha256:${A}`;
  const stated = (digests: Record<string, readonly string[]>) => ({ ok: true, error: null, digests });

  it('is the same where each model of the route states it', () => {
    const reading = compareIdentity(declared, ['m', 'm'], stated({ m: [declared], n: [`sha256:${B}`] }));
    expect(reading).toEqual({
      outcome: 'same',
      sentence: "the candidate's server states the declared sha256:aaaaaaaaaaaa…",
    });
  });

  it.each<[string, readonly string[] | undefined, string]>([
    ['another one', [`sha256:${B}`], 'its server states sha256:bbbbbbbbbbbb…'],
    ['none', undefined, 'its server states none in /v1/models'],
    ['two', [declared, `sha256:${B}`], `its server states ${declared} and sha256:bbbbbbbbbbbb…`],
    [
      'one that begins alike, which is then shown whole',
      [`sha256:${A.slice(0, 63)}b`],
      `its server states sha256:${A.slice(0, 63)}b`,
    ],
  ])('is another where its server states %s', (_, said, expected) => {
    const digests = { n: [declared], ...(said === undefined ? {} : { m: said }) };
    expect(compareIdentity(declared, ['n', 'm'], stated(digests))).toEqual({
      outcome: 'other',
      sentence: `the candidate is not the declared model: expected sha256:aaaaaaaaaaaa… for "m", ${expected}`,
    });
  });

  it('is not known where there is no list', () => {
    const reading = compareIdentity(declared, ['m'], { ok: false, error: 'timeout', digests: null });
    expect(reading.outcome).toBe('unread');
  });
});
