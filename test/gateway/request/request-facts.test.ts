import fc from 'fast-check';
import { assignmentKey, readFacts } from '../../../src/gateway/request/request-facts';

type Json = Record<string, unknown>;

const inner = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const filled = (value: unknown): value is string => typeof value === 'string' && value !== '';
/** Any key counts, also in a value that a later one replaces. */
const NAMES_FILE = /"(?:f|\\u0066|v|\\u0076)(?:ile|ector_store)_id[^"]*":/;

/** The same facts, from the object that JSON.parse makes. */
function expected(json: Json, text: string) {
  const turns = [...list(json['messages']), ...list(json['input'])];
  const hosted = list(json['tools']).some((tool) => {
    const type = inner(tool, 'type');
    return typeof type === 'string' && type !== 'function' && type !== 'custom' && !Array.isArray(tool);
  });
  const parts = turns.flatMap((turn) => list(inner(turn, 'content')));
  const tools = list(json['tools']).length > 0 || list(json['functions']).length > 0;
  const form = [json['response_format'], inner(json['text'], 'format')]
    .map((format) => inner(format, 'type'))
    .find((type) => type === 'json_schema' || type === 'json_object');
  const search = json['web_search_options'];
  return {
    model: json['model'],
    stream: json['stream'] === true,
    oddStream: !['boolean', 'undefined'].includes(typeof json['stream']) && json['stream'] !== null,
    choices: choicesOf(json),
    wantsUsage: inner(json['stream_options'], 'include_usage') === true,
    isContinued: turns.some((turn) => inner(turn, 'role') === 'assistant'),
    usesHostedTools: (search !== undefined && search !== null) || hosted,
    isBoundToState:
      NAMES_FILE.test(text) ||
      filled(json['previous_response_id']) ||
      json['background'] === true ||
      (json['conversation'] ?? null) !== null ||
      typeof inner(json['prompt'], 'id') === 'string',
    continuesResponse: filled(json['previous_response_id']),
    store: typeof json['store'] === 'boolean' ? json['store'] : null,
    features: {
      tools,
      jsonSchema: form === 'json_schema',
      vision: parts.some((part) => ['image_url', 'input_image'].includes(inner(part, 'type') as string)),
    },
    asks:
      tools || form !== undefined
        ? { json: form !== undefined, tools, call: tools && asksForCall(json) }
        : null,
    key:
      [json['safety_identifier'], json['user'], json['prompt_cache_key']].find((value) => filled(value)) ??
      null,
  };
}

function asksForCall({ tool_choice: choice, function_call: functionCall }: Json): boolean {
  if (isObject(functionCall) || choice === 'required' || choice === 'any') return true;
  if (!isObject(choice)) return false;
  if (choice['type'] !== 'allowed_tools') return true;
  const allowed = choice['allowed_tools'];
  return (allowed === undefined ? choice['mode'] : inner(allowed, 'mode')) === 'required';
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function choicesOf({ n, prompt }: Json): number {
  const each = typeof n === 'number' && Number.isInteger(n) && n > 1 ? n : 1;
  const isList = Array.isArray(prompt) && (typeof prompt[0] === 'string' || Array.isArray(prompt[0]));
  return isList ? each * prompt.length : each;
}

function found(raw: Buffer) {
  const facts = readFacts(raw);
  if (facts === null) return null;
  const { userStart, userEnd, opening, fields, ...rest } = facts;
  return { ...rest, key: assignmentKey('body', null, raw, facts) };
}

const KEYS = [
  ...['model', 'stream', 'stream_options', 'safety_identifier', 'user', 'prompt_cache_key', 'messages'],
  ...['input', 'tools', 'functions', 'response_format', 'text', 'web_search_options', 'background'],
  ...['previous_response_id', 'conversation', 'prompt', 'store', 'role', 'content', 'type', 'id', 'format'],
  ...['tool_choice', 'function_call', 'allowed_tools', 'mode'],
  ...['include_usage', 'file_id', 'file_ids', 'vector_store_ids', 'image_url', 'n', 'x', '__proto__'],
];
const VALUES = [
  ...[
    'true',
    'false',
    'null',
    '""',
    '"u"',
    '"assistant"',
    '"user"',
    '"image_url"',
    '"input_image"',
    '1',
    '3',
    '2.5',
  ],
  ...[
    '"function"',
    '"required"',
    '"allowed_tools"',
    '"json_object"',
    '"custom"',
    '"web_search"',
    '"json_schema"',
    '"file_id"',
    '{}',
    '[]',
    '"as\\u0073istant"',
  ],
];

const escapedKey = (key: string) => `"\\u${key.charCodeAt(0).toString(16).padStart(4, '0')}${key.slice(1)}"`;
const key = fc
  .tuple(fc.constantFrom(...KEYS), fc.nat(9))
  .map(([name, odd]) => (odd === 0 ? escapedKey(name) : `"${name}"`));
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.constantFrom(...VALUES),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(' ,')}]`),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map(objectText),
  ),
}));
const turns = fc
  .array(
    fc
      .array(
        fc.tuple(
          fc.constantFrom('"role"', '"content"', '"type"', '"x"'),
          fc.oneof(
            fc.constantFrom(...VALUES),
            fc
              .array(fc.array(fc.tuple(fc.constantFrom('"type"', '"x"'), fc.constantFrom(...VALUES))), {
                maxLength: 3,
              })
              .map((parts) => `[${parts.map(objectText).join()}]`),
          ),
        ),
        { maxLength: 4 },
      )
      .map(objectText),
    { maxLength: 3 },
  )
  .map((items) => `[${items.join()}]`);

function objectText(fields: (readonly [string, string])[]): string {
  return `{${fields.map(([name, held]) => `${name}: ${held}`).join()}}`;
}

it('reads of a request what JSON.parse would have said, duplicates and escapes included (differential)', () => {
  const field = fc.oneof(
    fc.tuple(key, value),
    fc.tuple(fc.constantFrom('"messages"', '"input"', '"tools"'), turns),
  );
  fc.assert(
    fc.property(fc.array(field, { maxLength: 10 }), fc.nat(10), (fields, at) => {
      const all: (readonly [string, string])[] = [...fields];
      all.splice(at, 0, ['"model"', '"gpt-4o"']);
      const text = objectText(all);
      const json = JSON.parse(text) as Json;
      const facts = found(Buffer.from(text));
      if (typeof json['model'] === 'string') expect(facts).toEqual(expected(json, text));
      else expect(facts).toBeNull();
    }),
    { numRuns: 5_000 },
  );
});

it.each([
  ['an array', '[]'],
  ['a text', '"model"'],
  ['no model', '{"messages":[]}'],
  ['a model that is not a text', '{"model":1}'],
  ['a model that is a text at first and nothing in the end', '{"model":"a","model":null}'],
  ['a name that no model has', `{"model":"${'m'.repeat(2_000)}"}`],
  ['something behind the object', '{"model":"a"} 1'],
  ['more fields than any request has', `{"model":"a",${'"x":1,'.repeat(1_024)}"y":2}`],
  ['nesting deeper than 512', `{"model":"a","x":${'['.repeat(512)}${']'.repeat(512)}}`],
  ['a byte order mark', '\ufeff{"model":"a"}'],
])('cannot read a body with %s', (_what, text) => {
  expect(readFacts(Buffer.from(text))).toBeNull();
});

it('reads as many fields and levels as are allowed', () => {
  expect(readFacts(Buffer.from(`{"model":"a",${'"x":1,'.repeat(1_022)}"y":2}`))?.model).toBe('a');
  expect(readFacts(Buffer.from(`{"model":"a","x":${'['.repeat(511)}${']'.repeat(511)}}`))?.model).toBe('a');
});

it('takes no user from a value of more than a kilobyte, which would be hashed in every other caller’s time', () => {
  const raw = Buffer.from(JSON.stringify({ model: 'a', user: 'u'.repeat(1_030), prompt_cache_key: 'cache' }));
  expect(found(raw)?.key).toBe('cache');
});

it('keeps nothing of a body but its model', () => {
  const raw = Buffer.from(
    JSON.stringify({ model: 'a', user: 'u'.repeat(1_000), messages: ['m'.repeat(1_000)] }),
  );
  expect(JSON.stringify(readFacts(raw)).length).toBeLessThan(600);
});
