import { setTimeout as sleep } from 'node:timers/promises';
import type OpenAI from 'openai';
import type { AnswerCounts } from '../../../src/core/evidence/evidence';
import { MODEL, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { type ContractProvider, startContractProvider } from '../../support/providers/contract-provider';

/** Takes years for this text, whoever runs it. */
const ENDLESS = { type: 'string', pattern: '^(a+)+$' };
const HOSTILE = JSON.stringify(`${'a'.repeat(40)}!`);
const MIB = 1_048_576;

let provider: ContractProvider;
let gateway: TestGateway;

beforeEach(async () => {
  provider = await startContractProvider();
  gateway = await startTestGateway({ legacyUrl: provider.url, candidateUrl: provider.url });
  await gateway.route(0);
});

afterEach(async () => {
  await gateway.stop();
  await provider.stop();
});

function ask(rest: object = {}): Promise<OpenAI.ChatCompletion> {
  const body = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hello?' }], ...rest };
  return gateway.client().chat.completions.create(body as never) as never;
}

const withSchema = (schema: object) => ({
  response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
});

function answers(): AnswerCounts {
  const none: AnswerCounts = { checked: 0, unchecked: 0, breaches: {}, ends: {} };
  return gateway.cells()[0]?.answers ?? none;
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 6_000 && !holds(); tries += 1) await sleep(5);
  expect(holds()).toBe(true);
}

async function heldBytes(): Promise<number> {
  const text = await fetch(`${gateway.adminUrl}/metrics`, {
    headers: { authorization: 'Bearer admin-token-of-tests' },
  }).then((answer) => answer.text());
  return Number(/^cutover_buffered_bytes (\d+)$/m.exec(text)?.[1]);
}

it('gives answers while a pattern runs without end, which is unchecked, and goes on judging afterwards', async () => {
  provider.planted = [{ text: HOSTILE }];
  await ask(withSchema(ENDLESS));
  // The thread is busy for as long as it is let; callers are not.
  for (let turn = 0; turn < 20; turn += 1) await ask();
  await ask(withSchema({ type: 'string' }));
  await ask(withSchema({ type: 'object' }));
  expect(answers()).toMatchObject({ checked: 20, unchecked: 0 });
  await until(() => answers().checked + answers().unchecked === 23);
  expect(answers()).toMatchObject({ checked: 22, unchecked: 1, breaches: { json_schema: 1 } });
});

it('does not try a contract again that took too long', async () => {
  provider.planted = [{ text: HOSTILE }];
  await ask(withSchema(ENDLESS));
  await until(() => answers().unchecked === 1);
  await Promise.all(Array.from({ length: 20 }, () => ask(withSchema(ENDLESS))));
  // At once: twenty deadlines would take twenty seconds.
  expect(answers().unchecked).toBe(21);
});

it.each([false, true])('leaves an answer of 5 MB unchecked, streamed: %s', async (stream) => {
  provider.planted = [{ text: JSON.stringify({ a: 'x'.repeat(5 * MIB) }) }];
  const answer: unknown = await ask({ ...withSchema({ type: 'object' }), stream });
  if (stream) for await (const _ of answer as AsyncIterable<unknown>);
  await until(() => answers().unchecked === 1);
  expect(answers()).toMatchObject({ checked: 0, unchecked: 1, breaches: {}, ends: { stop: 1 } });
  expect(await heldBytes()).toBe(0);
});

it('judges what it can of a thousand schemas at once, and leaves the rest unchecked', async () => {
  provider.planted = [{ text: '{"a":1}' }];
  const schemas = Array.from({ length: 1_000 }, (_, index) => ({
    type: 'object',
    properties: Object.fromEntries(
      Array.from({ length: 30 }, (_, field) => [
        `f${index}_${field}`,
        { type: 'string', pattern: '^[a-z]+$' },
      ]),
    ),
    required: index % 2 === 0 ? ['a'] : ['b'],
  }));
  let given = 0;
  let most = 0;
  const next = async (): Promise<void> => {
    for (let schema = schemas.pop(); schema !== undefined; schema = schemas.pop()) {
      await ask(withSchema(schema));
      given += 1;
      if (given % 100 === 0) most = Math.max(most, await heldBytes());
    }
  };
  await Promise.all(Array.from({ length: 16 }, next));
  await until(() => answers().checked + answers().unchecked === 1_000);
  const { checked, breaches } = answers();
  expect(given).toBe(1_000);
  expect(checked).toBeGreaterThan(0);
  expect(breaches.json_schema).toBeGreaterThan(0);
  expect(breaches.json_schema).toBeLessThan(checked);
  // 256 that wait, with what they are judged by.
  expect(most).toBeLessThan(4 * MIB);
  expect(await heldBytes()).toBe(0);
});

it.each([
  ['of no type that there is', { type: 'thing' }],
  ['with half of a pattern', { type: 'object', properties: { a: { pattern: '(' } } }],
  ['elsewhere', { $ref: 'https://example.com/schema.json' }],
])('leaves an answer unchecked whose schema is %s', async (_what, schema) => {
  provider.planted = [{ text: '{"a":"b"}' }];
  await ask(withSchema(schema));
  await until(() => answers().unchecked === 1);
  expect(answers().checked).toBe(0);
});

it('keeps what it found before where a schema of another call cannot be used', async () => {
  provider.planted = [
    {
      calls: [
        { name: 'odd', arguments: '{}' },
        { name: 'even', arguments: '{}' },
      ],
    },
  ];
  const tool = (name: string, parameters: object) => ({ type: 'function', function: { name, parameters } });
  await ask({ tools: [tool('odd', { type: 'thing' }), tool('even', { type: 'object', required: ['a'] })] });
  await until(() => answers().checked === 1);
  expect(answers().breaches).toEqual({ tool_schema: 1 });
});

it('says what waits as unchecked, and writes its line of the log, when the gateway stops', async () => {
  provider.planted = [{ text: HOSTILE }];
  await Promise.all(Array.from({ length: 5 }, () => ask(withSchema(ENDLESS))));
  await gateway.stop();
  expect(answers()).toMatchObject({ checked: 0, unchecked: 5 });
  expect(gateway.log.filter(({ msg }) => msg === 'request')).toHaveLength(5);
});

it('gives no caller what another asked for: a contract is known by all of it', async () => {
  provider.planted = [{ text: '{"a":1}' }];
  await ask(withSchema({ type: 'object', required: ['a'] }));
  await ask(withSchema({ type: 'object', required: ['b'] }));
  await ask(withSchema({ type: 'object', required: ['a'] }));
  await until(() => answers().checked === 3);
  expect(answers().breaches).toEqual({ json_schema: 1 });
});
