import fc from 'fast-check';
import { candidateBody, legacyBody } from '../../src/gateway/model-mapping';
import { type RequestFacts, readFacts } from '../../src/gateway/request-facts';

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
  expect(legacyBody(plain, factsOf(plain.toString()), true).body).toBe(plain);
  const stream = '{"model":"a","stream":true,"n":1.0}\n';
  const { body, addsUsage } = legacyBody(Buffer.from(stream), factsOf(stream), true);
  expect(body.toString()).toBe('{"model":"a","stream":true,"n":1.0,"stream_options":{"include_usage":true}}');
  expect(addsUsage).toBe(true);
});

it('keeps a parameter named __proto__ a parameter', () => {
  const text = '{"__proto__":{"x":1},"model":"a","old":2}';
  const parameters = { rename: { old: 'new' }, drop: [], set: { top_k: null } };
  const { body } = candidateBody(Buffer.from(text), factsOf(text), { candidate: 'b', parameters }, false);
  expect(body.toString()).toBe('{"__proto__":{"x":1},"model":"b","new":2,"top_k":null}');
});
