import fc from 'fast-check';
import type { LongBody } from '../../../src/gateway/request/long-body';
import { candidateBody, legacyBody } from '../../../src/gateway/request/model-mapping';
import { type RequestFacts, readFacts } from '../../../src/gateway/request/request-facts';

const PLAIN = { rename: {}, drop: [], set: {} };

function factsOf(text: string): RequestFacts {
  const facts = readFacts(Buffer.from(text));
  if (facts === null) throw new Error(`expected a request, got ${text}`);
  return facts;
}

function mapped(text: string, candidate = 'new "model"', usage = false): string {
  const { body } = candidateBody(Buffer.from(text), factsOf(text), { candidate, parameters: PLAIN }, usage);
  return body.toString();
}

it('changes the model in place and leaves every other byte', () => {
  expect(mapped('{ "messages": [1.0, 12345678901234567890],\n "model" : "old" }')).toBe(
    '{ "messages": [1.0, 12345678901234567890],\n "model" : "new \\"model\\"" }',
  );
});

it.each([
  '{"model":"old","a":"model"}',
  '{"model":"old","model":"older"}',
  '{"a":{"model":"old"},"model":"old"}',
  '{"mod\\u0065l":"old","a":{"model":"old"}}',
  '{"model":"\\u006fld"}',
  '{"a":"\\"model\\":\\"old\\"","model":"old"}',
])('changes only the model that counts in %s', (text) => {
  expect(JSON.parse(mapped(text))).toEqual({ ...JSON.parse(text), model: 'new "model"' });
});

it('means the same whatever else the body holds', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.string(),
      fc.boolean(),
      (more, model, stream) => {
        const text = JSON.stringify({ ...more, model, stream, messages: [] });
        const parsed = JSON.parse(text);
        expect(JSON.parse(mapped(text, 'x'))).toEqual({ ...parsed, model: 'x' });
        const withUsage = JSON.parse(mapped(text, 'x', true));
        if (stream) expect(withUsage.stream_options).toMatchObject({ include_usage: true });
        else expect(withUsage).toEqual({ ...parsed, model: 'x' });
      },
    ),
  );
});

it('keeps the very bytes of a body that is no sound UTF-8', () => {
  const raw = Buffer.from([...Buffer.from('{"model":"old","a":"'), 0xff, ...Buffer.from('"}')]);
  const facts = readFacts(raw) as RequestFacts;
  const { body } = candidateBody(raw, facts, { candidate: 'x', parameters: PLAIN }, false);
  expect(body).toEqual(Buffer.from([...Buffer.from('{"model":"x","a":"'), 0xff, ...Buffer.from('"}')]));
});

it('gives legacy the very bytes of the caller, but for the usage of a stream', () => {
  const plain = Buffer.from('{"model":"a" }');
  expect(legacyBody(plain, factsOf(plain.toString()), null, true).body).toBe(plain);
  const stream = '{"model":"a","stream":true,"n":1.0}\n';
  const { body, addsUsage } = legacyBody(Buffer.from(stream), factsOf(stream), null, true);
  expect(body.toString()).toBe(
    '{"model":"a","stream":true,"n":1.0,"stream_options":{"include_usage":true}}\n',
  );
  expect(addsUsage).toBe(true);
});

it('keeps a parameter named __proto__ a parameter', () => {
  const text = '{"__proto__":{"x":1},"model":"a","old":2}';
  const parameters = { rename: { old: 'new' }, drop: [], set: { top_k: null } };
  const { body } = candidateBody(Buffer.from(text), factsOf(text), { candidate: 'b', parameters }, false);
  expect(body.toString()).toBe('{"__proto__":{"x":1},"model":"b","new":2,"top_k":null}');
});

const ODD =
  '"n":9007199254740993, "m":9223372036854775807,"f":1.0,"g":1e400,"e":"\\u00e9\\/","a":{"model":"old"},"d":1,"d":2';

it.each(
  [
    ['a model', `{"model":"old", ${ODD} }`, `{"model":"new", ${ODD} }`, {}],
    ['a model behind all', `{${ODD},\n"model" : "old"}`, `{${ODD},\n"model" : "new"}`, {}],
    ['an escaped model', `{"mod\\u0065l":"\\u006fld",${ODD}}`, `{"mod\\u0065l":"new",${ODD}}`, {}],
    ['two models', `{"model":"older",${ODD}, "model":"old"}`, `{${ODD}, "model":"new"}`, {}],
    [
      'a renamed parameter',
      `{${ODD},"max" :1.0,"model":"old"}`,
      `{${ODD},"most" :1.0,"model":"new"}`,
      { rename: { max: 'most' } },
    ],
    [
      'a parameter renamed to one that is there',
      `{"most":1,${ODD},"max":2,"model":"old"}`,
      `{${ODD},"most":2,"model":"new"}`,
      { rename: { max: 'most' } },
    ],
    [
      'dropped parameters',
      `{"x":1 ,\n"x":2,"model":"old" , "x":3,${ODD},"y":4 }`,
      `{"model":"new",${ODD} }`,
      { drop: ['x', 'y'] },
    ],
    ['all parameters dropped', '{"model":"old"}', '{"model":"new"}', { drop: ['model'] }],
    [
      'set parameters',
      `{"t":1.0,"model":"old",${ODD}}`,
      `{"t":0.5,"model":"new",${ODD},"k":null}`,
      { set: { t: 0.5, k: null } },
    ],
    [
      'an object that is merged into one that is there',
      `{"o" : { "n":9007199254740993 ,"e":"\\u00e9","deep":{"a":1e400,"b" :2},"t":0},${ODD},"model":"old"}`,
      `{"o" : { "n":9007199254740993 ,"e":"\\u00e9","deep":{"a":1e400,"b" :{"c":[1]},"d":null},"t":1,"new":{"x":{}}},${ODD},"model":"new"}`,
      { set: { o: { t: 1, deep: { b: { c: [1] }, d: null }, new: { x: {} } } } },
    ],
    [
      'an object that takes the place of a list, a text and null, and comes where nothing is',
      `{"p":[{"x":1}],"q":"q","r":null,${ODD},"model":"old","s":{ }}`,
      `{"p":{"x":2},"q":{"y":{"z":3}},"r":{},${ODD},"model":"new","s":{"w":4},"t":{"v":[]}}`,
      { set: { p: { x: 2 }, q: { y: { z: 3 } }, r: {}, s: { w: 4 }, t: { v: [] } } },
    ],
    [
      'nothing with an empty object, and a list as a whole',
      `{"p":{ "x" : 1.0 },${ODD},"l":[1, 2],"model":"old"}`,
      `{"p":{ "x" : 1.0 },${ODD},"l":[3],"model":"new"}`,
      { set: { p: {}, l: [3] } },
    ],
    [
      'an object that is renamed before another is merged into it',
      `{"old" : { "x" : 1.0 },${ODD},"model":"old"}`,
      `{"young" : { "x" : 1.0,"y":2 },${ODD},"model":"new"}`,
      { rename: { old: 'young' }, set: { young: { y: 2 } } },
    ],
    [
      'rename, drop and set in this order',
      `{"p":1,"q":2,"r":3,"model":"old",${ODD}}`,
      `{"model":"new",${ODD},"q":"x"}`,
      { rename: { p: 'q', q: 'r' }, drop: ['r', 'q'], set: { q: 'x' } },
    ],
  ].map(([what, text, out, rules]) => [what, text, out, rules] as [string, string, string, object]),
)('changes %s and no other byte', (_what, text, out, rules) => {
  const parameters = { ...PLAIN, ...rules };
  const raw = Buffer.from(text);
  const before = raw.toString('latin1');
  const { body } = candidateBody(raw, factsOf(text), { candidate: 'new', parameters }, false);
  expect(body.toString()).toBe(out);
  expect(raw.toString('latin1')).toBe(before);
});

it.each([
  ['none', '', ',"stream_options":{"include_usage":true}'],
  ['none that count', ',"stream_options": null ', ',"stream_options": {"include_usage":true} '],
  ['empty ones', ',"stream_options":{ }', ',"stream_options":{"include_usage":true}'],
  ['others', ',"stream_options":{ "a" : 1.0 }', ',"stream_options":{ "a" : 1.0,"include_usage":true }'],
  [
    'the opposite',
    ',"stream_options":{"include_usage" : false,"a":1e400}',
    ',"stream_options":{"include_usage" : true,"a":1e400}',
  ],
  [
    'some twice',
    ',"stream_options":{"include_usage":true},"x":1,"stream_options":{}',
    ',"x":1,"stream_options":{"include_usage":true}',
  ],
])(
  'asks for usage where a stream has %s of its options, and changes no other byte',
  (_what, options, out) => {
    const text = `{"model":"old","stream":true${options} ,${ODD}}`;
    const expected = options === '' ? [`${text.slice(0, -1)}${out}}`] : [text.replace(options, out)];
    const { body, addsUsage } = legacyBody(Buffer.from(text), factsOf(text), null, true);
    expect([body.toString()]).toEqual(expected);
    expect(addsUsage).toBe(true);
  },
);

it('means what the rules say, whatever the body holds (differential)', () => {
  const name: fc.Arbitrary<string> = fc.constantFrom('a', 'b', 'c', 'model', 'stream_options', '__proto__');
  const value = fc.constantFrom<unknown>(1, 'x', null, { include_usage: false, y: 1 }, {}, [], true);
  const rules = fc.record({
    rename: fc.dictionary(name, name, { maxKeys: 2 }),
    drop: fc.array(name, { maxLength: 2 }),
    set: fc.dictionary(name, fc.constantFrom<unknown>(1, null, [2], {}, { y: { z: 2 }, w: null }), {
      maxKeys: 2,
    }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, value), { maxLength: 6 }),
      rules,
      fc.boolean(),
      (more, rule, usage) => {
        const fields: (readonly [string, unknown])[] = [...more, ['model', 'old'], ['stream', true]];
        const text = `{${fields.map(([key, held]) => `"${key}":${JSON.stringify(held)}`).join()}}`;
        const { rename, drop, set } = rule;
        const mapping = { candidate: 'new', parameters: rule };
        const { body, addsUsage } = candidateBody(Buffer.from(text), factsOf(text), mapping, usage);
        const out: Record<string, unknown> = Object.create(null);
        for (const [key, held] of fields) {
          const renamed = Object.hasOwn(rename, key) ? (rename[key] as string) : key;
          if (!drop.includes(key) && !drop.includes(renamed)) out[renamed] = held;
        }
        for (const [key, value] of Object.entries<unknown>({ ...set, model: 'new' })) {
          const held = out[key];
          out[key] = isObject(held) && isObject(value) ? { ...held, ...value } : value;
        }
        const options = out['stream_options'];
        const others = isObject(options) ? options : {};
        if (addsUsage) out['stream_options'] = { ...others, include_usage: true };
        const meant = JSON.parse(body.toString());
        expect(Object.entries(meant).sort()).toEqual(Object.entries(out).sort());
        expect(addsUsage).toBe(usage && !factsOf(text).wantsUsage && !drop.includes('stream_options'));
      },
    ),
    { numRuns: 3_000 },
  );
});

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

it('sends a long body in pieces of the bytes that came', async () => {
  const text = `{"model":"old","messages":["${'é'.repeat(400_000)}"],"stream":true}`;
  const raw = Buffer.from(text);
  const { body } = candidateBody(raw, factsOf(text), { candidate: 'new', parameters: PLAIN }, true);
  const sent: Buffer[] = [];
  for await (const slice of (body as LongBody).stream()) sent.push(slice as Buffer);
  expect(Buffer.concat(sent).toString()).toBe(
    text.replace('"old"', '"new"').replace(/}$/, ',"stream_options":{"include_usage":true}}'),
  );
  expect((body as LongBody).length).toBe(Buffer.concat(sent).length);
  expect(sent.filter(({ buffer }) => buffer === raw.buffer).length).toBeGreaterThan(3);
});
