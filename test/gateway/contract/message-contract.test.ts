import { askedContract } from '../../../src/gateway/contract/asked-contract';
import { judgeAnswer } from '../../../src/gateway/contract/judge-answer';
import { readChoices } from '../../../src/gateway/contract/read-choices';
import { readContract } from '../../../src/gateway/contract/read-contract';
import { StreamedMessage } from '../../../src/gateway/contract/streamed-message';
import { readFacts } from '../../../src/gateway/request/request-facts';
import { compileSchema } from '../../../src/schemas/compile-schema';
import { type Block, streamOf } from '../../support/providers/messages-provider';

const WEATHER = {
  name: 'weather',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const TEXT = { type: 'text', text: 'Well.' };
const FORMAT = { type: 'json_schema', schema: { type: 'object', required: ['ok'] } };
const call = (input: unknown, name = 'weather') => ({ type: 'tool_use', id: 'toolu_1', name, input });
const json = (text: string) => ({ type: 'text', text });
const tools = { tools: [WEATHER] };

function contractOf(asked: object) {
  const body = Buffer.from(JSON.stringify({ model: 'm', max_tokens: 1, ...asked }));
  const fields = readFacts(body, 'anthropic')?.fields;
  if (fields == null) throw new Error('expected a request that can be read');
  return readContract(JSON.parse(String(askedContract(body, fields))));
}

function eventsOf(blocks: readonly Block[]): Record<string, unknown>[] {
  return streamOf(blocks, 'end_turn').map((event) => JSON.parse(event.slice(event.indexOf('data: ') + 6)));
}

it.each<[string, object, Block[], string]>([
  ['a good call', tools, [TEXT, call({ city: 'Leipzig' })], 'kept'],
  ['a call with wrong arguments', tools, [call({ town: 'Leipzig' })], 'tool_schema'],
  ['a call of another tool', tools, [call({}, 'clock')], 'tool_unknown'],
  [
    'a call of a client’s tool without a schema',
    { tools: [{ type: 'bash_20250124', name: 'bash' }] },
    [call({ command: 'ls' }, 'bash')],
    'kept',
  ],
  [
    'no call of the one that is required',
    { ...tools, tool_choice: { type: 'tool', name: 'weather' } },
    [TEXT],
    'tool_missing',
  ],
  ['no call of any', { ...tools, tool_choice: { type: 'any' } }, [TEXT], 'tool_missing'],
  [
    'a call of a tool that the provider runs, of any',
    { ...tools, tool_choice: { type: 'any' } },
    [{ type: 'server_tool_use', id: 's', name: 'web_search', input: {} }, TEXT],
    'kept',
  ],
  ['no call where one may be', { ...tools, tool_choice: { type: 'auto' } }, [TEXT], 'kept'],
  ['no call where none may be', { ...tools, tool_choice: { type: 'none' } }, [TEXT], 'kept'],
  ['JSON of the schema', { output_config: { format: FORMAT } }, [json('{"ok":true}')], 'kept'],
  ['JSON of another schema', { output_config: { format: FORMAT } }, [json('{}')], 'json_schema'],
  ['JSON of another schema, asked for as before', { output_format: FORMAT }, [json('{}')], 'json_schema'],
  ['words for JSON', { output_config: { format: FORMAT } }, [TEXT], 'json_unparsed'],
])('judges a message: %s', (_what, asked, blocks, judgement) => {
  const streamed = new StreamedMessage();
  for (const event of eventsOf(blocks)) streamed.add(event);
  for (const said of [streamed.said, readChoices({ content: blocks })]) {
    const found = judgeAnswer(
      contractOf(asked),
      said,
      (schema, value) => compileSchema(schema)(value) === true,
    );
    expect(found).toBe(judgement);
  }
});

it('takes arguments that come at once, and cut ones for what they are', () => {
  const contract = contractOf(tools);
  const keepsTo = () => true;
  const start = { type: 'content_block_start', index: 0 };
  const whole = new StreamedMessage();
  whole.add({ ...start, content_block: call({ city: 'Leipzig' }) });
  expect(whole.said[0]?.calls[0]?.arguments).toBe('{"city":"Leipzig"}');
  const cut = new StreamedMessage();
  cut.add({ ...start, content_block: call({}) });
  cut.add({
    type: 'content_block_delta',
    index: 0,
    delta: { type: 'input_json_delta', partial_json: '{"ci' },
  });
  expect(judgeAnswer(contract, cut.said, keepsTo)).toBe('tool_unparsed');
});

it.each([
  ['nothing', {}],
  ['an event without a block', { type: 'content_block_start', index: 0 }],
  [
    'a piece of no block',
    { type: 'content_block_delta', index: 7, delta: { type: 'text_delta', text: 'x' } },
  ],
  ['a piece of another form', { type: 'content_block_delta', index: 0, delta: 7 }],
])('is not upset by %s', (_what, event) => {
  const streamed = new StreamedMessage();
  expect(streamed.add(event)).toBe(0);
  expect(streamed.said).toEqual([{ text: '', calls: [], callsHosted: false }]);
});
