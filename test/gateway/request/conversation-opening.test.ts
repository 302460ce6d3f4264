import { openingKey } from '../../../src/gateway/request/conversation-opening';
import { readFacts } from '../../../src/gateway/request/request-facts';

const SYSTEM = 'Answer in one word.';
const HELLO = 'What is the capital of France?';

function keyOf(body: object): string | null {
  const raw = Buffer.from(JSON.stringify({ model: 'm', ...body }));
  const facts = readFacts(raw);
  if (facts === null) throw new Error('expected a request that can be read');
  return facts.opening === null ? null : openingKey(raw, facts.opening);
}

const user = (content: unknown) => ({ role: 'user', content });
const system = (content: unknown) => ({ role: 'system', content });
const answer = { role: 'assistant', content: 'Paris' };
const chat = (...messages: unknown[]) => keyOf({ messages });

it('is the same in every turn of a conversation', () => {
  const turns = [system(SYSTEM), user(HELLO), answer, user('And of Spain?'), answer, user('Thanks')];
  const keys = new Set([2, 4, 6].map((length) => chat(...turns.slice(0, length))));
  expect([...keys]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
});

it('is the same for a text alone, in parts, and where it is to be cached', () => {
  const cached = { type: 'text', text: HELLO, cache_control: { type: 'ephemeral', ttl: '1h' } };
  const first = chat(system(SYSTEM), user(HELLO));
  expect(chat(system([{ type: 'text', text: SYSTEM }]), user([{ text: HELLO, type: 'text' }]))).toBe(first);
  expect(chat(system(SYSTEM), user([cached]))).toBe(first);
});

it('differs by what the system says, by what the user says first, and by who of both says it', () => {
  const keys = [
    chat(system(SYSTEM), user(HELLO)),
    chat(system('Answer in two words.'), user(HELLO)),
    chat(system(SYSTEM), user('What is the capital of Spain?')),
    chat(user(HELLO)),
    chat(user(SYSTEM), user(HELLO)),
    chat(system(HELLO), user(SYSTEM)),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

it('differs by a picture', () => {
  const look = (url: string) =>
    chat(
      user([
        { type: 'text', text: 'Look' },
        { type: 'image_url', image_url: { url } },
      ]),
    );
  expect(look('https://a.test/1.png')).not.toBe(look('https://a.test/2.png'));
});

it('is the same in the shapes of chat, responses and messages', () => {
  const key = chat(system(SYSTEM), user(HELLO));
  expect(chat({ role: 'developer', content: SYSTEM }, user(HELLO))).toBe(key);
  expect(keyOf({ instructions: SYSTEM, input: HELLO })).toBe(key);
  expect(keyOf({ instructions: SYSTEM, input: [user([{ type: 'input_text', text: HELLO }]), answer] })).toBe(
    key,
  );
  expect(keyOf({ system: SYSTEM, messages: [user(HELLO), answer, user('And?')] })).toBe(key);
  expect(keyOf({ messages: [user(HELLO)], system: [{ type: 'text', text: SYSTEM }] })).toBe(key);
});

it('takes the first system message and the role wherever it stands in its message', () => {
  const key = chat(system(SYSTEM), user(HELLO));
  expect(chat({ content: SYSTEM, role: 'system' }, system('More.'), { content: HELLO, role: 'user' })).toBe(
    key,
  );
});

it('sees the end of a long text, as where a question stands below documents', () => {
  const documents = 'x'.repeat(100_000);
  expect(chat(user(`${documents}one?`))).not.toBe(chat(user(`${documents}two?`)));
});

it.each([
  ['no messages', {}],
  ['an empty list', { messages: [] }],
  ['no user', { messages: [system(SYSTEM)] }],
  ['a user who says nothing', { messages: [user('')] }],
  ['a content of another form', { messages: [user(7)] }],
  ['a prompt', { prompt: HELLO }],
  ['messages of another form', { messages: HELLO, input: { role: 'user' } }],
])('is none with %s', (_what, body) => {
  expect(keyOf(body)).toBeNull();
});
