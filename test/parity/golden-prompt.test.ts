import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidDocument } from '../../src/core/configuration/schema-parts';
import { readGoldenPrompts } from '../../src/parity/golden-prompt';
import { SchemaChecks } from '../../src/parity/schema-checks';

const GOLDEN = join(__dirname, '..', '..', 'examples', 'golden');
const line = (said: object) => JSON.stringify({ id: 'one', stratum: 'chat', messages: [USER], ...said });
const USER = { role: 'user', content: 'hello' };

const schemas = new SchemaChecks();
afterAll(() => schemas.close());

async function problems(text: string): Promise<string[]> {
  try {
    await readGoldenPrompts(text, 'golden.jsonl', schemas);
  } catch (error) {
    if (!(error instanceof InvalidDocument)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

it.each([
  ['an empty file', '', '(file): expected at least one prompt, got none'],
  ['blank lines alone', '\n \n', '(file): expected at least one prompt, got none'],
  ['a line that is cut', `${line({})}\n{"id":"two","stra`, 'line 2: expected a JSON object on one line: '],
  ['a line that is no object', '[1]', 'line 1: expected a JSON object on one line'],
  [
    'an unknown comparison',
    line({ compare: ['vibes'] }),
    'line 1: compare[0]: expected one of finish, tools',
  ],
  ['an unknown field', line({ mesages: [] }), 'line 1: mesages: unknown field'],
  ['no messages', '{"id":"one","stratum":"chat"}', 'line 1: messages: expected a list, got nothing'],
  ['a role that nobody has', line({ messages: [{ role: 'robot' }] }), 'line 1: messages[0].role: '],
  [
    'tools compared where there are none',
    line({ compare: ['tools'] }),
    'line 1: compare: expected no "tools"',
  ],
  ['an id that is there twice', `${line({})}\n${line({})}`, 'line 2: id: expected ids that differ'],
  [
    'a schema of a tool that does not compile',
    line({ tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'thing' } } }] }),
    'line 1: tools: expected a JSON Schema of "f": ',
  ],
  [
    'a response format without a schema',
    line({ responseFormat: { type: 'json_schema', json_schema: { name: 'a' } } }),
    'line 1: responseFormat',
  ],
])('names the line of %s', async (_, text, message) => {
  expect(await problems(text)).toEqual([expect.stringContaining(message)]);
});

it('takes messages as applications keep them, with what a provider added', async () => {
  const [prompt] = await readGoldenPrompts(
    line({ messages: [USER, { role: 'assistant', content: 'hi', reasoning_content: 'short' }, USER] }),
    'golden.jsonl',
    schemas,
  );
  expect(prompt?.question).toMatchObject({ messages: [USER, { reasoning_content: 'short' }, USER] });
});

it('reads the starter prompts: seven strata and a long context among them', async () => {
  const files = ['starter.jsonl', 'embeddings.jsonl'].map((name) =>
    readGoldenPrompts(readFileSync(join(GOLDEN, name), 'utf8'), name, schemas),
  );
  const prompts = (await Promise.all(files)).flat();
  const counts: Record<string, number> = {};
  for (const { stratum } of prompts) counts[stratum] = (counts[stratum] ?? 0) + 1;
  expect(Object.keys(counts).sort()).toEqual([
    'chat',
    'embeddings',
    'json',
    'long context',
    'multilingual',
    'refusal',
    'tools',
    'tools multi-turn',
  ]);
  expect(prompts.length).toBeGreaterThan(80);
  const longest = Math.max(...prompts.map(({ question }) => JSON.stringify(question).length));
  expect(longest).toBeGreaterThan(35_000);
});
