import fc from 'fast-check';
import { SparseJson } from '../../../src/gateway/json/sparse-json';

/** Reads a text that is cut at some places. */
function read(text: string, cuts: readonly number[]): Record<string, unknown> | null {
  const json = new SparseJson();
  const places = [...cuts.map((cut) => cut % (text.length + 1)), text.length].sort((a, b) => a - b);
  let from = 0;
  for (const to of places) {
    json.push(text.slice(from, to));
    from = to;
  }
  return json.end();
}

function parsed(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

const cuts = fc.array(fc.nat(2_000), { maxLength: 20 });

it('accepts what JSON.parse accepts and nothing else, however it is cut', () => {
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '\\', ',', '}', ']', '0', '\u0001', 'e', '-', ':'))
    .map(([text, at, put]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + put + text.slice(place + (at % 2));
    });
  const latin1 = fc.oneof(fc.json(), broken).map((text) => Buffer.from(text).toString('latin1'));
  fc.assert(
    fc.property(latin1, cuts, (text, places) => {
      expect(read(text, places) === null).toBe(parsed(text) === null);
    }),
    { numRuns: 3_000 },
  );
});

it('keeps of an answer what JSON.parse reads, however it is cut', () => {
  const scalar = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(null, true, false),
  );
  const some = fc.record({ role: scalar, content: scalar, reason: fc.constantFrom([], ['x']) });
  const answer = fc.record({
    id: scalar,
    __proto__: fc.constant(null),
    usage: fc.record({ prompt_tokens: scalar, prompt_tokens_details: fc.record({ cached_tokens: scalar }) }),
    choices: fc.array(fc.record({ index: scalar, finish_reason: scalar, delta: some, message: some }), {
      maxLength: 3,
    }),
    error: fc.option(fc.record({ message: scalar })),
    response: fc.record({ id: scalar, status: scalar, output: fc.constant([]) }),
  });
  fc.assert(
    fc.property(answer, cuts, (value, places) => {
      const text = Buffer.from(JSON.stringify(value)).toString('latin1');
      const sparse = JSON.parse(JSON.stringify(read(text, places))) as object;
      // What stands for a list that is not kept is a list with something in it.
      const all = JSON.parse(text.replaceAll('["x"]', '[true]')) as object;
      expect(sparse).toEqual(all);
    }),
    { numRuns: 500 },
  );
});

it('takes no more memory for a longer text', () => {
  const json = new SparseJson();
  json.push('{"a":[');
  const before = process.memoryUsage().heapUsed;
  const piece = '{"b":"cccccccccccccccccccccccccccc"},'.repeat(2_000);
  for (let round = 0; round < 500; round += 1) json.push(piece);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000);
  json.push('1],"id":"x"}');
  expect(json.end()).toEqual({ a: [true], id: 'x' });
});

it('refuses nesting without end', () => {
  expect(read(`{"a":${'['.repeat(100_000)}`, [])).toBeNull();
});
