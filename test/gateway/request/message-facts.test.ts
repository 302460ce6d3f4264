import { assignmentKey, type RequestFacts, readFacts } from '../../../src/gateway/request/request-facts';

const raw = (more: object) =>
  Buffer.from(JSON.stringify({ model: 'm', max_tokens: 1, messages: [], ...more }));

function factsOf(more: object): RequestFacts {
  const facts = readFacts(raw(more), 'anthropic');
  if (facts === null) throw new Error('expected a request that can be read');
  return facts;
}

const FORMAT = { type: 'json_schema', schema: {} };
const TOOL = { name: 'weather', input_schema: { type: 'object' } };

it.each([
  ['a tool', { tools: [TOOL] }, false],
  ['a tool that says so', { tools: [{ ...TOOL, type: 'custom' }] }, false],
  [
    'tools that the client runs',
    {
      tools: [
        { type: 'bash_20250124', name: 'bash' },
        { type: 'text_editor_20250728', name: 'e' },
      ],
    },
    false,
  ],
  ['a search on the web', { tools: [TOOL, { type: 'web_search_20250305', name: 'web_search' }] }, true],
  ['code that the provider runs', { tools: [{ type: 'code_execution_20250825', name: 'code' }] }, true],
  ['a tool that nobody knows yet', { tools: [{ type: 'bash_by_provider_20300101', name: 'bash' }] }, true],
  ['a server of tools', { mcp_servers: [{ type: 'url', url: 'https://a.test' }] }, true],
  ['no server of tools', { mcp_servers: [] }, false],
])('knows which tools a provider runs itself: %s', (_what, more, isHosted) => {
  expect(factsOf(more).usesHostedTools).toBe(isHosted);
});

it.each([
  ['a container', { container: 'container_1' }, true],
  ['a container with skills', { container: { id: 'container_1', skills: [] } }, true],
  ['a new container', { container: { skills: [] } }, false],
  ['none', { container: null }, false],
  [
    'a file',
    { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'file', file_id: 'f' } }] }] },
    true,
  ],
])('knows what a provider keeps: %s', (_what, more, isBound) => {
  expect(factsOf(more).isBoundToState).toBe(isBound);
});

it.each([
  ['any tool', { tools: [TOOL], tool_choice: { type: 'any' } }, { json: false, tools: true, call: true }],
  [
    'one tool',
    { tools: [TOOL], tool_choice: { type: 'tool', name: 'w' } },
    { json: false, tools: true, call: true },
  ],
  [
    'its own choice',
    { tools: [TOOL], tool_choice: { type: 'auto' } },
    { json: false, tools: true, call: false },
  ],
  ['no tool', { tools: [TOOL], tool_choice: { type: 'none' } }, { json: false, tools: true, call: false }],
  ['JSON', { output_config: { format: FORMAT } }, { json: true, tools: false, call: false }],
  ['JSON, as before', { output_format: FORMAT }, { json: true, tools: false, call: false }],
  ['effort alone', { output_config: { effort: 'low' } }, null],
])('knows what is asked of an answer: %s', (_what, more, asks) => {
  expect(factsOf(more).asks).toEqual(asks);
});

it('sees pictures', () => {
  const content = [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'x' } }];
  expect(factsOf({ messages: [{ role: 'user', content }] }).features.vision).toBe(true);
});

it.each([
  ['the user of the metadata', { metadata: { user_id: 'ana' }, user: 'bob' }, 'ana'],
  ['none for a null', { metadata: { user_id: null } }, null],
  ['none for an empty one', { metadata: { user_id: '' } }, null],
  ['none for a long one', { metadata: { user_id: 'x'.repeat(2_000) } }, null],
  ['none for metadata of another form', { metadata: 'ana' }, null],
])('takes for the key %s', (_what, more, key) => {
  const body = raw(more);
  expect(assignmentKey('body', null, body, readFacts(body, 'anthropic') as RequestFacts)).toBe(key);
  const ofOpenAi = readFacts(body) as RequestFacts;
  expect(assignmentKey('body', null, body, ofOpenAi)).toBe('user' in more ? more.user : null);
});
