import { judgeAnswer, type KeepsTo } from '../../../src/gateway/contract/judge-answer';
import { readChoices } from '../../../src/gateway/contract/read-choices';
import { readContract } from '../../../src/gateway/contract/read-contract';
import { StreamedChoices } from '../../../src/gateway/contract/streamed-choices';

/** A schema says by its title what it is: kept, broken, or of no use. */
const keepsTo: KeepsTo = (schema) => {
  const title: unknown = Reflect.get(schema, 'title');
  return title === 'unusable' ? 'unknown' : title !== 'broken';
};
const tool = (name: string, title = 'kept') => ({
  type: 'function',
  function: { name, parameters: { title } },
});
const calls = (...names: string[]) => ({
  choices: [
    {
      message: {
        content: null,
        tool_calls: names.map((name) => ({ type: 'function', function: { name, arguments: '{}' } })),
      },
    },
  ],
});
const output = (...items: object[]) => ({ output: items });
const functionCall = { type: 'function_call', name: 'f', arguments: '{}' };
const says = (text: string) => ({ choices: [{ message: { content: text } }] });

function judged(request: object, answer: object) {
  return judgeAnswer(readContract(request as never), readChoices(answer as never), keepsTo);
}

it.each<[string, object, object, string]>([
  [
    'one tool that has to be called, and is',
    { tools: [tool('f')], tool_choice: named('f') },
    calls('f'),
    'kept',
  ],
  [
    'one tool that has to be called, and another is',
    { tools: [tool('f'), tool('g')], tool_choice: named('f') },
    calls('g'),
    'tool_missing',
  ],
  [
    'one of some tools that has to be called',
    { tools: [tool('f')], tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required' } } },
    says('no'),
    'tool_missing',
  ],
  [
    'some tools that may be called',
    { tools: [tool('f')], tool_choice: { type: 'allowed_tools', mode: 'auto' } },
    says('no'),
    'kept',
  ],
  [
    'functions of the older form',
    { functions: [{ name: 'f', parameters: { title: 'broken' } }], function_call: { name: 'f' } },
    { choices: [{ message: { function_call: { name: 'f', arguments: '{}' } } }] },
    'tool_schema',
  ],
  ['a tool of a response', { tools: [{ type: 'function', name: 'f' }] }, output(functionCall), 'kept'],
  ['a tool of a group', { tools: [{ type: 'namespace', tools: [tool('f')] }] }, output(functionCall), 'kept'],
  [
    'another tool than those of a response',
    { tools: [{ type: 'function', name: 'g' }] },
    output(functionCall),
    'tool_unknown',
  ],
  [
    'a tool of the caller’s own form, whose input is no JSON',
    { tools: [{ type: 'custom', custom: { name: 'f' } }] },
    { choices: [{ message: { tool_calls: [{ type: 'custom', custom: { name: 'f', input: 'ls -l' } }] } }] },
    'kept',
  ],
  [
    'a tool that the provider runs, and has to',
    { tools: [{ type: 'web_search' }], tool_choice: { type: 'web_search' } },
    output({ type: 'web_search_call' }, { type: 'message', content: [{ type: 'output_text', text: 'a' }] }),
    'kept',
  ],
  [
    'arguments that are an object, which no caller can parse',
    { tools: [tool('f')] },
    { choices: [{ message: { tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] } }] },
    'tool_unparsed',
  ],
  [
    'JSON where a tool was called instead',
    { ...{ tools: [tool('f')] }, ...json('broken') },
    calls('f'),
    'kept',
  ],
  ['JSON of a schema that cannot be used', json('unusable'), says('{}'), 'unchecked'],
  ['JSON of a schema that cannot be used, and is none', json('unusable'), says('{'), 'json_unparsed'],
  [
    'a call that cannot be checked and a wrong one',
    { tools: [tool('f', 'unusable'), tool('g', 'broken')] },
    calls('f', 'g'),
    'tool_schema',
  ],
  [
    'a call that cannot be checked and a good one',
    { tools: [tool('f', 'unusable'), tool('g')] },
    calls('f', 'g'),
    'unchecked',
  ],
  [
    'the format of a response',
    { text: { format: { type: 'json_schema', schema: { title: 'broken' } } } },
    output({ type: 'message', content: [{ type: 'output_text', text: '{}' }] }),
    'json_schema',
  ],
  [
    'text in parts',
    json('kept'),
    {
      choices: [
        {
          message: {
            content: [
              { type: 'text', text: '{"a"' },
              { type: 'text', text: ':1}' },
            ],
          },
        },
      ],
    },
    'kept',
  ],
  ['a tool named like what every object has', { tools: [tool('f')] }, calls('constructor'), 'tool_unknown'],
])('judges %s', (_what, request, answer, found) => {
  expect(judged(request, answer)).toBe(found);
});

function named(name: string) {
  return { type: 'function', function: { name } };
}

function json(title: string) {
  return { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { title } } } };
}

describe('pieces of calls', () => {
  const said = (...deltas: object[]) => {
    const choices = new StreamedChoices();
    for (const delta of deltas) choices.add({ choices: [{ index: 0, delta }] });
    return choices.said[0]?.calls.map(({ name, arguments: text }) => `${name}(${text})`);
  };
  const piece = (call: object) => ({ tool_calls: [call] });

  it('belong together by their index', () => {
    expect(
      said(
        piece({ index: 0, id: 'a', function: { name: 'f', arguments: '' } }),
        piece({ index: 1, id: 'b', function: { name: 'g', arguments: '{' } }),
        piece({ index: 0, function: { arguments: '{}' } }),
        piece({ index: 1, function: { arguments: '}' } }),
      ),
    ).toEqual(['f({})', 'g({})']);
  });

  it('belong together by their id where they have no index, or to the last', () => {
    expect(
      said(
        piece({ id: 'a', function: { name: 'f', arguments: '{}' } }),
        piece({ id: 'b', function: { name: 'g', arguments: '{' } }),
        piece({ function: { arguments: '}' } }),
      ),
    ).toEqual(['f({})', 'g({})']);
  });

  it('may repeat the name, which is said once', () => {
    expect(
      said(
        piece({ index: 0, function: { name: 'f', arguments: '{' } }),
        piece({ index: 0, function: { name: 'f', arguments: '}' } }),
      ),
    ).toEqual(['f({})']);
  });

  it('of the older form are one call', () => {
    expect(
      said({ function_call: { name: 'f', arguments: '{' } }, { function_call: { arguments: '}' } }),
    ).toEqual(['f({})']);
  });
});
