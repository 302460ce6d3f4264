import fc from 'fast-check';
import { configurationSchema, type ModelMapping } from '../../../src/core/configuration/configuration-schema';
import type { HistoryRules } from '../../../src/core/configuration/history-rules';
import { followRules, requestRulesSchema } from '../../../src/core/configuration/request-rules';
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

const CALL = 'call_8uHq2vXw9PzLk3Tn5RbYd1';
const NINE = { toolCallIds: { prefix: '', length: 9 } };

it('gives calls and their results the same id of the form that a provider takes, and leaves every other byte', () => {
  const conversation = (id: string, other: string) =>
    `{"model":"m", "n": 9007199254740993, "messages": [ {"role":"assistant","tool_calls":[ { "type":"function", "id" : "${id}","function":{"name":"f","arguments":"{\\"id\\":\\"${CALL}\\"}"}} , {"id":"${other}"}]}, {"tool_call_id":"${id}","role":"tool","content":"${CALL} \\u00e9"},{"role":"tool","tool_call_id" : "${other}","content":"1.0"}] }`;
  const body = conversation(CALL, 'a1B2c3D4e');
  const once = sent(body, NINE);
  const [, id = ''] = /"id" : "(.*?)"/.exec(once) ?? [];
  expect(id).toMatch(/^[A-Za-z0-9]{9}$/);
  expect(once).toBe(conversation(id, 'a1B2c3D4e'));
  // What a provider takes already is not replaced again.
  expect(sent(once, NINE)).toBe(once);
  const back = sent(once, { toolCallIds: { prefix: 'call_', length: 29 } });
  expect(back).toMatch(/"id" : "call_[A-Za-z0-9]{24}"/);
});

it("finds them in the blocks of Anthropic's dialect, whatever the order of their fields", () => {
  const blocks = (id: string) =>
    `{"model":"m","messages":[{"role":"assistant","content":[{"type":"text","text":"x","id":"${CALL}"},{"id":"${id}","type":"tool_use","input":{"id":"${CALL}"}}]},{"role":"user","content":[{"type":"tool_result","content":[{"type":"tool_use","id":"${CALL}"}],"tool_use_id":"${id}"}]}]}`;
  const form = { toolCallIds: { prefix: 'toolu_', length: 30 } };
  const [, id = ''] = /"id":"(toolu_.*?)"/.exec(sent(blocks(CALL), form)) ?? [];
  expect(id).toMatch(/^toolu_[A-Za-z0-9]{24}$/);
  expect(sent(blocks(CALL), form)).toBe(blocks(id));
});

it('drops a field of a message whose ids it replaces', () => {
  const message = (id: string, more: string) =>
    `{"model":"m","messages":[{"role":"assistant"${more},"tool_calls":[{"id":"${id}"}]}]}`;
  const ruled = sent(message(CALL, ',"reasoning_content":"r"'), { ...DROP, ...NINE });
  expect(ruled).toMatch(
    /^\{"model":"m","messages":\[\{"role":"assistant","tool_calls":\[\{"id":"[A-Za-z0-9]{9}"\}\]\}\]\}$/,
  );
});

it('makes of bytes what it makes of a parsed body', () => {
  const name = fc.constantFrom('role', 'content', 'a', 'b', 'c', 'd');
  const value = fc.constantFrom<unknown>('assistant', 'user', 1, null, [], { a: 1 });
  const item = fc.dictionary(
    fc.constantFrom('id', 'type', 'tool_use_id', 'x'),
    fc.constantFrom<unknown>('tool_use', 'tool_result', CALL, 'constructor', 7, null, { id: CALL }, [CALL]),
  );
  const list = fc.array(fc.oneof(item, fc.constantFrom<unknown>(CALL, null, [{ id: CALL }])), {
    maxLength: 3,
  });
  const said = fc.record(
    {
      role: fc.constantFrom('assistant', 'tool'),
      tool_calls: list,
      content: list,
      tool_call_id: fc.constantFrom<unknown>(CALL, 7, { id: CALL }),
    },
    { requiredKeys: [] },
  );
  const message = fc.oneof(
    fc.dictionary(name, value),
    said,
    fc.constantFrom<unknown>('assistant', 7, null, []),
  );
  const rules = fc.record({
    drop: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 2 }),
    rename: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('c', 'd', 'e'), { maxKeys: 2 }),
    toolCallIds: fc.constantFrom(undefined, { prefix: '', length: 9 }, { prefix: 'call_', length: 29 }),
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
    'to drop what every message has',
    { drop: ['tool_calls'] },
    'history.drop.0: expected a field that a provider adds to its messages, got "tool_calls"',
  ],
  [
    'a name that every message has',
    { rename: { reasoning: 'content' } },
    'history.rename.reasoning: expected a field that a provider adds',
  ],
  ['an unknown rule', { set: {} }, 'history'],
  [
    'ids that are too short',
    { toolCallIds: { prefix: 'call_', length: 9 } },
    'history.toolCallIds.length: expected 9 to 32 characters after the prefix',
  ],
])('refuses %s, by its place', (_what, history, message) => {
  const parsed = configurationSchema.safeParse({
    providers: { old: { baseUrl: 'http://a.test/v1' }, new: { baseUrl: 'http://b.test/v1' } },
    routes: {
      chat: { legacy: 'old', candidate: 'new', models: { m: { candidate: 'm', parameters: { history } } } },
    },
  });
  const issues = parsed.error?.issues.map(({ path, message: text }) => `${path.join('.')}: ${text}`) ?? [];
  expect(issues.join('\n')).toContain(`routes.chat.models.m.parameters.${message}`);
});
