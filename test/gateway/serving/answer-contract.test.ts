import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { BreachClass } from '../../../src/core/evidence/breach-classes';
import type { AnswerCounts, EvidenceCell } from '../../../src/core/evidence/evidence';
import type { Arm } from '../../../src/core/routing/routing';
import {
  ADMIN_TOKEN,
  MODEL,
  startTestGateway,
  type TestGateway,
} from '../../support/gateways/running-gateway';
import {
  type ContractProvider,
  type PlantedChoice,
  startContractProvider,
} from '../../support/providers/contract-provider';

type Endpoint = 'chat' | 'completions' | 'responses';

let legacy: ContractProvider;
let candidate: ContractProvider;
let gateway: TestGateway;

beforeAll(async () => {
  legacy = await startContractProvider();
  candidate = await startContractProvider();
  gateway = await startTestGateway({
    legacyUrl: legacy.url,
    candidateUrl: candidate.url,
    route: { replayBudget: { ratio: 1, burst: 10_000 } },
  });
});

afterAll(async () => {
  await gateway.stop();
  await legacy.stop();
  await candidate.stop();
});

const CITY = {
  type: 'object',
  // More than `Zürich 京` has, and fewer than its bytes.
  properties: { city: { type: 'string', maxLength: 9 } },
  required: ['city'],
  additionalProperties: false,
};
/** What of a request a test asks for, in the terms of chat. */
interface Asked {
  readonly json?: 'object' | object;
  readonly tool?: object | null;
  readonly choice?: unknown;
  readonly n?: number;
}

const TOOL: Asked = { tool: CITY };

/** Calls through the openai client, and reads the answer to its end. */
async function ask(endpoint: Endpoint, stream: boolean, asked: Asked): Promise<void> {
  const client = gateway.client();
  const format =
    asked.json === 'object'
      ? { type: 'json_object' }
      : {
          type: 'json_schema',
          name: 'city',
          schema: asked.json,
          json_schema: { name: 'city', schema: asked.json },
        };
  const tool = { name: 'weather', parameters: asked.tool ?? undefined };
  const isChat = endpoint === 'chat';
  const body = {
    ...{ model: MODEL, stream },
    ...(isChat ? { messages: [{ role: 'user', content: 'Hello?' }] } : {}),
    ...(endpoint === 'responses' ? { input: 'Hello?', store: false } : {}),
    ...(endpoint === 'completions' ? { prompt: 'Hello?' } : {}),
    ...(asked.tool === undefined
      ? {}
      : { tools: [isChat ? { type: 'function', function: tool } : { type: 'function', ...tool }] }),
    ...(asked.choice === undefined ? {} : { tool_choice: asked.choice }),
    ...(asked.n === undefined ? {} : { n: asked.n }),
    ...(asked.json === undefined
      ? {}
      : endpoint === 'responses'
        ? { text: { format } }
        : { response_format: format }),
  } as never;
  const create = {
    chat: () => client.chat.completions.create(body),
    completions: () => client.completions.create(body),
    responses: () => client.responses.create(body),
  }[endpoint];
  const answer: unknown = await create();
  if (stream) for await (const _event of answer as AsyncIterable<unknown>);
}

async function metrics(): Promise<string> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  return (await fetch(`${gateway.adminUrl}/metrics`, { headers })).text();
}

function cellsOf(arm: Arm, kind: EvidenceCell['kind'] = 'live'): readonly EvidenceCell[] {
  return gateway.cells().filter((cell) => cell.side === arm && cell.kind === kind);
}

/** What was counted of a side's answers under the epoch, once there are as many. */
async function counted(arm: Arm, answers = 1, kind: EvidenceCell['kind'] = 'live'): Promise<AnswerCounts> {
  for (let tries = 0; tries < 2_000; tries += 1) {
    const [cell] = cellsOf(arm, kind);
    const { checked, unchecked } = cell?.answers ?? { checked: 0, unchecked: 0 };
    if (cell?.answers !== undefined && checked + unchecked >= answers) return cell.answers;
    await sleep(5);
  }
  throw new Error(`expected ${answers} answers of ${arm}, got ${JSON.stringify(gateway.cells())}`);
}

/** The candidate answers as planted while it has all of the traffic, or legacy while it has none. */
async function plant(arm: Arm, ...choices: readonly PlantedChoice[]): Promise<void> {
  legacy.planted = [{ text: 'Hello!' }];
  candidate.planted = [{ text: 'Hello!' }];
  (arm === 'candidate' ? candidate : legacy).planted = choices;
  await gateway.route(arm === 'candidate' ? 1 : 0);
}

type Case = readonly [
  what: string,
  breach: BreachClass | null,
  end: keyof AnswerCounts['ends'],
  choice: PlantedChoice,
  asked: Asked,
];

const call = (args: string, name = 'weather'): PlantedChoice => ({ calls: [{ name, arguments: args }] });
const CASES: readonly Case[] = [
  ['text', null, 'stop', { text: 'Hello!' }, {}],
  ['text after reasoning', null, 'stop', { reasoning: 'hm, hm, hm, hm', text: 'Hello!' }, {}],
  ['nothing', 'empty', 'stop', { text: '' }, {}],
  ['reasoning alone', 'reasoning_only', 'stop', { reasoning: 'hm, hm, hm, hm' }, {}],
  ['a text that was cut', 'cut', 'length', { text: 'Hello', finish: 'length' }, {}],
  [
    'a text that was filtered',
    'content_filter',
    'content_filter',
    { text: 'He', finish: 'content_filter' },
    {},
  ],
  ['a refusal', 'refusal', 'refusal', { refusal: 'I cannot help with that.' }, {}],
  ['JSON', null, 'stop', { text: '{"a":1}' }, { json: 'object' }],
  ['JSON in words', 'json_unparsed', 'stop', { text: 'Sure: {"a":1}' }, { json: 'object' }],
  ['a number for an object', 'json_schema', 'stop', { text: '17' }, { json: 'object' }],
  ['JSON of the schema', null, 'stop', { text: '{"city":"Zürich 京"}' }, { json: CITY }],
  ['JSON of another schema', 'json_schema', 'stop', { text: '{"town":"Bern"}' }, { json: CITY }],
  ['half of the JSON', 'json_unparsed', 'stop', { text: '{"city":' }, { json: CITY }],
  ['JSON that was cut', 'cut', 'length', { text: '{"city":', finish: 'length' }, { json: CITY }],
  ['a good call', null, 'tool_calls', call('{"city":"Zürich"}'), TOOL],
  ['a call without arguments', null, 'tool_calls', call(''), { tool: null }],
  ['text where tools may be called', null, 'stop', { text: 'Hello!' }, TOOL],
  ['a call of another tool', 'tool_unknown', 'tool_calls', call('{"city":"Bern"}', 'wether'), TOOL],
  ['a call with half of its arguments', 'tool_unparsed', 'tool_calls', call('{"city":'), TOOL],
  ['a call with wrong arguments', 'tool_schema', 'tool_calls', call('{"city":1}'), TOOL],
  [
    'no call where one is required',
    'tool_missing',
    'stop',
    { text: 'Hello!' },
    { ...TOOL, choice: 'required' },
  ],
  [
    'a call of the one that is required',
    null,
    'tool_calls',
    call('{"city":"Bern"}'),
    { ...TOOL, choice: 'required' },
  ],
  [
    'good calls and a wrong one',
    'tool_schema',
    'tool_calls',
    {
      calls: [
        { name: 'weather', arguments: '{"city":"Bern"}' },
        { name: 'weather', arguments: '{}' },
      ],
    },
    TOOL,
  ],
];

describe.each([
  ['chat', 'plain'],
  ['chat', 'streamed'],
  ['responses', 'plain'],
  ['responses', 'streamed'],
] as const)('an answer of %s, %s', (endpoint, how) => {
  describe.each(['candidate', 'legacy'] as const)('of the %s', (arm) => {
    it.each(CASES)('with %s counts as %s, ended by %s', async (_what, breach, end, choice, asked) => {
      await plant(arm, choice);
      await ask(endpoint, how === 'streamed', asked).catch(() => {});
      expect(await counted(arm)).toEqual({
        checked: 1,
        unchecked: 0,
        breaches: breach === null ? {} : { [breach]: 1 },
        ends: { [end]: 1 },
      });
    });
  });
});

describe.each(['plain', 'streamed'] as const)('an answer of completions, %s', (how) => {
  it.each<readonly [string, BreachClass | null, PlantedChoice]>([
    ['text', null, { text: 'Hello!' }],
    ['nothing', 'empty', { text: '' }],
    ['a text that was cut', 'cut', { text: 'Hello', finish: 'length' }],
  ])('with %s counts as %s', async (_what, breach, choice) => {
    await plant('candidate', choice);
    await ask('completions', how === 'streamed', {});
    const { checked, breaches } = await counted('candidate');
    expect({ checked, breaches }).toEqual({ checked: 1, breaches: breach === null ? {} : { [breach]: 1 } });
  });
});

it('breaks its contract once where one of several choices does, by the first class that applies', async () => {
  for (const stream of [false, true]) {
    await plant('candidate', { text: 'Hello!' }, call('{"city":1}'), { text: 'He', finish: 'length' });
    await ask('chat', stream, { ...TOOL, n: 3 });
    expect(await counted('candidate')).toMatchObject({
      checked: 1,
      breaches: { cut: 1 },
      ends: { length: 1 },
    });
    await plant('candidate', { text: 'Hello!' }, call('{"city":1}'));
    await ask('chat', stream, { ...TOOL, n: 2 });
    expect(await counted('candidate')).toMatchObject({ checked: 1, breaches: { tool_schema: 1 } });
    await plant('candidate', { text: 'Hello!' }, { text: '' });
    await ask('chat', stream, { n: 2 });
    expect(await counted('candidate')).toMatchObject({ checked: 1, breaches: { empty: 1 } });
  }
});

it('is judged alike streamed and plain, whatever it says', async () => {
  const text = fc.constantFrom(
    '',
    'Hello!',
    '{"city":"Bern"}',
    '{"city":"Z\u00fcrich \u4eac"}',
    '{"city":1}',
    '{"ci',
  );
  const said: fc.Arbitrary<PlantedChoice> = fc.record(
    {
      text,
      reasoning: fc.constant('hm, hm, hm'),
      refusal: fc.constant('I cannot.'),
      calls: fc.array(fc.record({ name: fc.constantFrom('weather', 'wether'), arguments: text }), {
        minLength: 1,
        maxLength: 2,
      }),
      finish: fc.constantFrom('stop', 'length', 'tool_calls'),
    },
    { requiredKeys: [] },
  );
  const asked: fc.Arbitrary<Asked> = fc.constantFrom({}, { json: 'object' }, { json: CITY }, TOOL, {
    ...{ json: CITY, tool: CITY, choice: 'required' },
  });
  const endpoint = fc.constantFrom<Endpoint>('chat', 'responses');
  await fc.assert(
    fc.asyncProperty(said, asked, endpoint, async (choice, wanted, path) => {
      const found = [];
      for (const stream of [false, true]) {
        await plant('legacy', choice);
        await ask(path, stream, wanted);
        found.push(await counted('legacy'));
      }
      expect(found[1]).toEqual(found[0]);
    }),
    { numRuns: 60, seed: 16 },
  );
});

it('that holds nothing is the failure of whoever gave it, and legacy answers in the candidate\u2019s place', async () => {
  for (const endpoint of ['chat', 'responses'] as const) {
    for (const stream of [false, true]) {
      await plant('candidate', { text: '' });
      await ask(endpoint, stream, {});
      const [cell] = cellsOf('candidate');
      expect(cell).toMatchObject({
        successes: 0,
        failures: { truncated: 1 },
        answers: { breaches: { empty: 1 } },
      });
      expect(cellsOf('legacy', 'failover')[0]).toMatchObject({ successes: 1 });
      await plant('legacy', { text: '' });
      await ask(endpoint, stream, {}).catch(() => {});
      expect(cellsOf('legacy')[0]).toMatchObject({
        ...{ successes: 0, failures: { truncated: 1 }, answers: { checked: 1, breaches: { empty: 1 } } },
      });
    }
  }
});

it('of a copy is judged as well, and counts in no arm', async () => {
  await plant('legacy', { text: 'Hello!' });
  await gateway.route(0, { shadow: 1 });
  candidate.planted = [call('{"city":1}')];
  await ask('chat', true, TOOL);
  expect(await counted('candidate', 1, 'shadow')).toMatchObject({ checked: 1, breaches: { tool_schema: 1 } });
  expect(await counted('legacy')).toMatchObject({ checked: 1, breaches: {} });
  expect(cellsOf('candidate')).toEqual([]);
});

it('names its model and fingerprint, whose changes are counted', async () => {
  await plant('candidate', { text: 'Hello!' });
  for (const fingerprint of ['fp_1', 'fp_1', 'fp_2', 'fp_1']) {
    candidate.fingerprint = fingerprint;
    await ask('chat', false, {});
  }
  candidate.fingerprint = 'fp_1';
  await ask('chat', true, {});
  const cells = cellsOf('candidate');
  expect(cells.map(({ echoed }) => echoed)).toEqual([
    [{ model: 'gpt-4o-mini', count: 4 }],
    [{ model: 'gpt-4o-mini', count: 1 }],
  ]);
  expect(cells[0]?.fingerprintChanges).toBe(2);
});

it('says in the log and in the metrics what it broke', async () => {
  await plant('candidate', call('{"city":1}'));
  const lines = gateway.log.length;
  await ask('chat', true, TOOL);
  await counted('candidate');
  await plant('candidate', { text: 'He', finish: 'length' });
  await ask('chat', false, {});
  await plant('candidate', { text: 'Hello!' });
  await ask('chat', false, TOOL);
  expect(gateway.log.slice(lines).map(({ breach }) => breach)).toEqual(['tool_schema', 'cut', undefined]);
  const shown = await metrics();
  expect(shown).toMatch(
    /cutover_answer_breaches_total\{route="chat",side="candidate",class="tool_schema"\} \d/,
  );
  expect(shown).not.toContain('class="kept"');
});

it('of a candidate that legacy was faster than is judged as well, and nothing of the request is held after', async () => {
  await plant('candidate', call('{"city":1}'));
  const say = candidate.fault;
  candidate.fault = (exchange) => void setTimeout(() => say(exchange), 600);
  const tool = { type: 'function' as const, function: { name: 'weather', parameters: CITY } };
  await gateway
    .client()
    .chat.completions.create(
      { model: MODEL, messages: [{ role: 'user', content: 'Hello?' }], tools: [tool] },
      { headers: { 'x-stainless-timeout': '1' } },
    );
  candidate.fault = say;
  expect(cellsOf('candidate')).toEqual([]);
  expect(await counted('candidate')).toMatchObject({ checked: 1, breaches: { tool_schema: 1 } });
  expect(await metrics()).toMatch(/^cutover_buffered_bytes 0$/m);
});
