import fc from 'fast-check';
import { isString, readJsonFields, readString, spanOf } from '../../../src/gateway/json/json-fields';
import { type JsonVisitor, MAX_NESTING, scanJson, spaceEnd } from '../../../src/gateway/json/json-scanner';

/** Texts that are nearly JSON: right and wrong tokens in any order. */
const TOKENS = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    ' ',
    '\n',
    '\t',
    '\r',
    '\u00a0',
    '\ufeff',
    'true',
    'false',
    'null',
    'nul',
  ],
  ...[
    '"a"',
    '"b"',
    '"model"',
    '"\\u006dodel"',
    '"\\ud800"',
    '"\\x"',
    '"\\u12g4"',
    '"\\',
    '"',
    '"\u0001"',
    '"é日"',
  ],
  ...[
    '0',
    '-0',
    '01',
    '-',
    '1.',
    '.5',
    '1.0',
    '1e400',
    '1E+5',
    '1e',
    '9007199254740993',
    '+1',
    'NaN',
    '"__proto__"',
  ],
];
const nearlyJson = fc.array(fc.constantFrom(...TOKENS), { maxLength: 12 }).map((tokens) => tokens.join(''));

/** Sound JSON, printed with white space, whose bytes may then be damaged. */
const damaged = fc
  .tuple(fc.jsonValue(), fc.constantFrom(0, 1, '\t', '\r\n'), fc.nat(), fc.nat(255), fc.boolean())
  .map(([value, indent, place, byte, damages]) => {
    const bytes = Buffer.from(JSON.stringify(value, null, indent));
    if (damages && bytes.length > 0) bytes[place % bytes.length] = byte;
    return bytes;
  });

const anyBytes = fc.oneof(
  nearlyJson.map((text) => Buffer.from(text)),
  damaged,
  // Long enough for strings to be read by words, at any alignment.
  fc.tuple(damaged, fc.nat(8), fc.nat(8)).map(([bytes, front, back]) => {
    const long = Buffer.from(`["${'x'.repeat(5_000 + front)}",`);
    const pool = Buffer.concat([Buffer.alloc(back), long, bytes, Buffer.from(']')]);
    return pool.subarray(back);
  }),
);

function parsed(bytes: Buffer): { value: unknown } | null {
  try {
    return { value: JSON.parse(bytes.toString('utf8')) };
  } catch {
    return null;
  }
}

/** Builds again what a scan reports, with everything watched. */
class Builder implements JsonVisitor {
  readonly root: unknown[] = [];
  readonly #open: (unknown[] | Record<string, unknown>)[] = [this.root];
  readonly #keys: string[] = [];

  constructor(readonly raw: Buffer) {}

  key(start: number, end: number, depth: number): void {
    this.#keys[depth] = readString(this.raw, start, end);
  }

  scalar(start: number, end: number, depth: number): void {
    this.#put(JSON.parse(this.raw.toString('utf8', start, end)), depth);
  }

  open(isObject: boolean, _start: number, depth: number): boolean {
    const made = isObject ? {} : [];
    this.#put(made, depth);
    this.#open[depth + 1] = made;
    return true;
  }

  close(): void {}

  #put(value: unknown, depth: number): void {
    const into = this.#open[depth];
    if (Array.isArray(into)) into.push(value);
    else {
      const options = { value, writable: true, enumerable: true, configurable: true };
      Object.defineProperty(into, this.#keys[depth] as string, options);
    }
  }
}

function scan(bytes: Buffer): { value: unknown } | null {
  const builder = new Builder(bytes);
  const end = scanJson(bytes, spaceEnd(bytes, 0), builder);
  return end !== 0 && spaceEnd(bytes, end) === bytes.length ? { value: builder.root[0] } : null;
}

it('accepts what JSON.parse accepts, refuses what it refuses, and reports the same values (differential)', () => {
  let accepted = 0;
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const expected = parsed(bytes);
      if (expected !== null) accepted += 1;
      expect(scan(bytes)).toEqual(expected);
    }),
    { numRuns: 20_000 },
  );
  expect(accepted).toBeGreaterThan(5_000);
});

it('finds the fields of an object with the values that JSON.parse gives them (differential)', () => {
  const name = fc.constantFrom('model', 'm\\u006fdel', 'user', '__proto__', 'é', '\\ud83d\\ude00', '');
  const fields = fc.array(fc.tuple(name, fc.json({ maxDepth: 2 })), { maxLength: 8 });
  fc.assert(
    fc.property(fields, fc.constantFrom('', ' ', '\n\t'), (list, space) => {
      const text = `{${space}${list.map(([key, value]) => `"${key}"${space}:${value}${space}`).join()}}`;
      const raw = Buffer.from(text);
      const value = JSON.parse(text) as Record<string, unknown>;
      const read = readJsonFields(raw, 0) ?? [];
      expect(read).toHaveLength(4 * list.length);
      for (const key of Object.keys(value)) {
        const span = spanOf(raw, 0, key);
        expect(JSON.parse(raw.toString('utf8', span?.start, span?.end))).toEqual(value[key]);
      }
    }),
    { numRuns: 2_000 },
  );
});

it('compares strings as their text, however they are written', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('model', 'é', '\ud83d\ude00'));
  const escaped = (value: string) =>
    [...value].map((unit) =>
      unit.length === 1 ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}` : unit,
    );
  fc.assert(
    fc.property(text, text, (one, other) => {
      for (const written of [JSON.stringify(one), `"${escaped(one).join('')}"`]) {
        const raw = Buffer.from(written);
        expect(isString(raw, 0, raw.length, one)).toBe(true);
        expect(isString(raw, 0, raw.length, other)).toBe(one === other);
      }
    }),
  );
});

it('takes nesting up to its bound and nothing deeper, of arrays and of objects', () => {
  const arrays = (depth: number) => Buffer.from('['.repeat(depth) + ']'.repeat(depth));
  const objects = (depth: number) => Buffer.from('{"a":'.repeat(depth) + 1 + '}'.repeat(depth));
  for (const nested of [arrays, objects]) {
    expect(scan(nested(MAX_NESTING))).not.toBeNull();
    expect(scan(nested(MAX_NESTING + 1))).toBeNull();
    expect(scan(nested(1_000_000))).toBeNull();
  }
});
