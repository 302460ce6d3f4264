import fc from 'fast-check';

/** What parsers of HTTP/1.1 are known to disagree about. */
const CHARACTERS = [
  ...[
    '\r',
    '\n',
    '\0',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '0',
    '5',
    'a',
    'f',
    '-',
    '+',
    'x',
    '"',
    '\x0b',
    '\x7f',
    '\xff',
  ],
  ...['\r\n', '\r\n\r\n', 'chunked', 'content-length: 5\r\n', 'Content-Length: 3\r\n'],
  ...['transfer-encoding: chunked\r\n', 'Transfer-Encoding: gzip, chunked\r\n'],
];

/** Well-formed messages with up to three places cut or filled; `inserts` are what belongs to their kind. */
export function brokenMessages(
  wellFormed: readonly string[],
  inserts: readonly string[],
): fc.Arbitrary<string> {
  const mutation = fc.record({
    at: fc.nat(200),
    deletes: fc.constantFrom(0, 0, 1, 2),
    insert: fc.constantFrom('', ...CHARACTERS, ...inserts),
  });
  return fc
    .tuple(fc.constantFrom(...wellFormed), fc.array(mutation, { minLength: 1, maxLength: 3 }))
    .map(([base, mutations]) =>
      mutations.reduce((text, { at, deletes, insert }) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + insert + text.slice(place + deletes);
      }, base),
    );
}
