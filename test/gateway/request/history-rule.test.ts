import fc from 'fast-check';
import { configurationSchema, type ModelMapping } from '../../../src/core/configuration/configuration-schema';
import {
  followRules,
  type HistoryRules,
  requestRulesSchema,
} from '../../../src/core/configuration/request-rules';
import { candidateBody, legacyBody } from '../../../src/gateway/request/model-mapping';
import { type RequestFacts, readFacts } from '../../../src/gateway/request/request-facts';

function rulesOf(history: Partial<HistoryRules>) {
  return requestRulesSchema('the candidate').parse({ history });
}

function sent(text: string, history: Partial<HistoryRules>, candidate = 'm'): string {
  const raw = Buffer.from(text);
  const mapping: ModelMapping = { candidate, parameters: rulesOf(history) };
  return String(candidateBody(raw, readFacts(raw) as RequestFacts, mapping, false).body);
}

const DROP = { drop: ['reasoning_content'] };

it.each([
  [
    'a field at the end',
    '{"role":"assistant","content":"a","reasoning_content":"r"}',
    '{"role":"assistant","content":"a"}',
  ],
  [
    'a field at the beginning',
    '{ "reasoning_content" : [1, {"x": 1.0}] , "role":"assistant","content":"a"}',
    '{ "role":"assistant","content":"a"}',
  ],
  [
    'a field that comes twice',
    '{"reasoning_content":"r","role":"assistant","reasoning_content":"s","content":"a"}',
    '{"role":"assistant","content":"a"}',
  ],
  ['a name in escapes', '{"role":"assistant","\\u0072easoning_content":"r"}', '{"role":"assistant"}'],
  ['a role in escapes', '{"role":"\\u0061ssistant","reasoning_content":"r"}', '{"role":"\\u0061ssistant"}'],
  ['nothing of a user', '{"role":"user","reasoning_content":"r"}', '{"role":"user","reasoning_content":"r"}'],
  [
    'nothing of the last of two roles',
    '{"role":"assistant","reasoning_content":"r","role":"user"}',
    '{"role":"assistant","reasoning_content":"r","role":"user"}',
  ],
  [
    'nothing within contents',
    '{"role":"assistant","content":[{"reasoning_content":"r"}]}',
    '{"role":"assistant","content":[{"reasoning_content":"r"}]}',
  ],
  ['nothing of what is no message', '"assistant"', '"assistant"'],
])('drops %s, and leaves every other byte', (_what, message, expected) => {
  const body = (inner: string) =>
    `{"model":"m", "n": 9007199254740993, "messages": [ {"role":"user"}, ${inner} ] ,"x":1.0}`;
  expect(sent(body(message), DROP)).toBe(body(expected));
});

it.each([
  '{"model":"m"}',
  '{"model":"m","messages":"text"}',
  '{"model":"m","messages":{"role":"assistant","reasoning_content":"r"}}',
])('adds nothing to and takes nothing from %s', (body) => {
  expect(sent(body, { ...DROP, rename: { reasoning: 'thought' } })).toBe(body);
});

it('goes to legacy by the rules of legacy, and together with a model of another name', () => {
  const raw = Buffer.from('{"model":"m","messages":[{"role":"assistant","reasoning_details":[]}]}');
  const facts = readFacts(raw) as RequestFacts;
  const legacyParameters = rulesOf({ rename: { reasoning_details: 'reasoning' } });
  const mapping = {
    candidate: 'other',
    parameters: rulesOf({ drop: ['reasoning_details'] }),
    legacyParameters,
  };
  expect(String(legacyBody(raw, facts, mapping, false).body)).toBe(
    '{"model":"m","messages":[{"role":"assistant","reasoning":[]}]}',
  );
  expect(String(candidateBody(raw, facts, mapping, false).body)).toBe(
    '{"model":"other","messages":[{"role":"assistant"}]}',
  );
});

it('makes of bytes what it makes of a parsed body', () => {
  const name = fc.constantFrom('role', 'content', 'a', 'b', 'c', 'd');
  const value = fc.constantFrom<unknown>('assistant', 'user', 1, null, [], { a: 1 });
  const message = fc.oneof(fc.dictionary(name, value), fc.constantFrom<unknown>('assistant', 7, null, []));
  const rules = fc.record({
    drop: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 2 }),
    rename: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('c', 'd', 'e'), { maxKeys: 2 }),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), rules, (messages, history) => {
      const body = { model: 'm', messages };
      expect(JSON.parse(sent(JSON.stringify(body), history))).toEqual(followRules(body, rulesOf(history)));
    }),
  );
});

it.each([
  [
    'drop',
    { drop: ['tool_calls'] },
    'history.drop.0: expected a field that a provider adds to its messages, got "tool_calls"',
  ],
  [
    'rename',
    { rename: { reasoning: 'content' } },
    'history.rename.reasoning: expected a field that a provider adds',
  ],
  ['an unknown rule', { set: {} }, 'history'],
])('refuses %s of what every message has, by its place', (_what, history, message) => {
  const parsed = configurationSchema.safeParse({
    providers: { old: { baseUrl: 'http://a.test/v1' }, new: { baseUrl: 'http://b.test/v1' } },
    routes: {
      chat: { legacy: 'old', candidate: 'new', models: { m: { candidate: 'm', parameters: { history } } } },
    },
  });
  const issues = parsed.error?.issues.map(({ path, message: text }) => `${path.join('.')}: ${text}`) ?? [];
  expect(issues.join('\n')).toContain(`routes.chat.models.m.parameters.${message}`);
});
