import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';
import { gatewayTrial } from '../support/gateways/gateway-trial';
import { MODEL, type TestGateway } from '../support/gateways/running-gateway';
import { EITHER, type Fault, PLAIN, STREAM, status } from '../support/providers/fault-provider';
import { speaks } from '../support/providers/speaking-provider';

/** Applications as they are written, with a candidate at 50% that fails in every second request. */

const LEGACY = 'Spoken by the legacy provider, from its first word to its last.';
const CANDIDATE = 'Spoken by the candidate, from its first word to its last.';
const QUESTION = 'What is the weather in Leipzig?';
/** Requests of each application per fault; half of them are drawn to the candidate. */
const ROUNDS = 4;

const trial = gatewayTrial(speaks(LEGACY), speaks(CANDIDATE));
const { legacy, candidate } = trial;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await trial.start({
    // Only what is silent from the start is to be late, however busy this machine is.
    candidate: { timeouts: { firstContent: '1s', plainTotal: '1s' } },
    settings: { breaker: { consecutiveFailures: 1_000_000, minimumRequests: 1_000_000 } },
    route: { replayBudget: { ratio: 1, burst: 1_000 } },
  });
});

const baseURL = () => `${gateway.dataUrl}/v1`;
const openai = () => new OpenAI({ baseURL: baseURL(), apiKey: 'key' });
const aiModel = () => createOpenAICompatible({ name: 'gateway', baseURL: baseURL(), apiKey: 'key' })(MODEL);
const langchain = (more: object = {}) =>
  new ChatOpenAI({ model: MODEL, apiKey: 'key', configuration: { baseURL: baseURL() }, ...more });

const CITY = z.object({ city: z.string() });
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
/** Cities that a tool was called with. */
let cities: string[] = [];
const weather = ({ city }: { city: string }): string => {
  cities.push(city);
  return 'rain';
};

const AI_TOOLS = {
  weather: tool({
    description: 'The weather',
    inputSchema: CITY,
    execute: async (input) => weather(input),
  }),
};

const WEATHER_TOOL = {
  type: 'function' as const,
  function: {
    ...{ name: 'weather', description: 'The weather', parameters: PARAMETERS },
    parse: (text: string) => JSON.parse(text) as { city: string },
    function: weather,
  },
};

/** What applications do; each returns the text that its user sees. */
const PLAINLY: Readonly<Record<string, () => Promise<string>>> = {
  'openai, a chat': async () => {
    const answer = await openai().chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: QUESTION }],
    });
    return answer.choices[0]?.message.content ?? '';
  },
  'openai, a response': async () =>
    (await openai().responses.create({ model: MODEL, input: QUESTION })).output_text,
  'openai, tools': async () => {
    const runner = openai().chat.completions.runTools({
      model: MODEL,
      messages: [{ role: 'user', content: QUESTION }],
      tools: [WEATHER_TOOL],
    });
    return (await runner.finalContent()) ?? '';
  },
  'ai, a text': async () => (await generateText({ model: aiModel(), prompt: QUESTION })).text,
  'ai, tools': async () =>
    (
      await generateText({
        model: aiModel(),
        prompt: QUESTION,
        tools: AI_TOOLS,
        stopWhen: stepCountIs(3),
      })
    ).text,
  'LangChain, a message': async () => (await langchain().invoke(QUESTION)).text,
  'LangChain, a response': async () => (await langchain({ useResponsesApi: true }).invoke(QUESTION)).text,
  'LangChain, tools': async () => {
    const lookup = langchainTool(weather, { name: 'weather', description: 'The weather', schema: CITY });
    const model = langchain().bindTools([lookup]);
    const asked = await model.invoke(QUESTION);
    const results = await Promise.all(
      (asked.tool_calls ?? []).map((call) => lookup.invoke({ ...call, type: 'tool_call' })),
    );
    return (await model.invoke([{ role: 'user', content: QUESTION }, asked, ...results])).text;
  },
};

const STREAMED: Readonly<Record<string, () => Promise<string>>> = {
  'openai, a streamed chat': async () => {
    const stream = await openai().chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: QUESTION }],
      stream: true,
    });
    let text = '';
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    return text;
  },
  'openai, a streamed response': async () => {
    const stream = openai().responses.stream({ model: MODEL, input: QUESTION });
    return (await stream.finalResponse()).output_text;
  },
  'openai, streamed tools': async () => {
    const runner = openai().chat.completions.runTools({
      model: MODEL,
      stream: true,
      messages: [{ role: 'user', content: QUESTION }],
      tools: [WEATHER_TOOL],
    });
    return (await runner.finalContent()) ?? '';
  },
  'ai, a streamed text': async () => {
    let text = '';
    const { textStream } = streamText({ model: aiModel(), prompt: QUESTION });
    for await (const piece of textStream) text += piece;
    return text;
  },
  'ai, streamed tools': async () =>
    await streamText({
      model: aiModel(),
      prompt: QUESTION,
      tools: AI_TOOLS,
      stopWhen: stepCountIs(3),
    }).text,
  'LangChain, a streamed message': async () => {
    let text = '';
    for await (const piece of await langchain().stream(QUESTION)) text += piece.text;
    return text;
  },
  'LangChain, a streamed response': async () => {
    let text = '';
    for await (const piece of await langchain({ useResponsesApi: true }).stream(QUESTION)) text += piece.text;
    return text;
  },
};

/** Fails in every second request. */
function everySecond(fault: Fault): Fault {
  let fails = false;
  return (exchange) => {
    fails = !fails;
    (fails ? fault : speaks(CANDIDATE))(exchange);
  };
}

async function expectUnharmed(applications: Readonly<Record<string, () => Promise<string>>>, fault: Fault) {
  await gateway.route(0.5, { stickyKey: 'none' });
  candidate.fault = everySecond(fault);
  cities = [];
  const asked = candidate.bodies.length;
  const runs = Object.entries(applications).flatMap(([name, run]) =>
    Array.from({ length: ROUNDS }, async () => {
      const text = await run().catch(
        (error: unknown) => `${(error as Error).name}: ${(error as Error).message}`,
      );
      return { name, text };
    }),
  );
  const seen = await Promise.all(runs);
  expect(seen.filter(({ text }) => text !== LEGACY && text !== CANDIDATE)).toEqual([]);
  // Each text is of one provider, both spoke, and every tool was called with what the model said.
  expect(new Set(seen.map(({ text }) => text))).toEqual(new Set([LEGACY, CANDIDATE]));
  const toolRuns = Object.keys(applications).filter((name) => name.includes('tools')).length * ROUNDS;
  expect(cities).toEqual(Array(toolRuns).fill('Leipzig'));
  expect(candidate.bodies.length).toBeGreaterThan(asked);
  const live = gateway.cells().filter(({ side, kind }) => side === 'candidate' && kind === 'live');
  const failed = live.reduce(
    (sum, { failures }) => sum + Object.values(failures).reduce((some, count) => some + count, 0),
    0,
  );
  expect(failed).toBeGreaterThan(0);
  // The gateway made it good: no client had to try again.
  expect(live.reduce((sum, { retries }) => sum + retries, 0)).toBe(0);
}

const some = (faults: typeof EITHER, ...names: string[]) =>
  names.map((name) => [name, (faults[name] as readonly [Fault, string])[0]] as const);

describe('applications that ask plainly see no failure of a candidate that gives', () => {
  it.each([
    ...Object.entries(EITHER).map(([name, [fault]]) => [name, fault] as const),
    ...some(
      PLAIN,
      'JSON that is cut, with a clean end',
      'an error under status 200',
      'a reset within the body',
      'bad chunking',
    ),
  ])(
    '%s',
    async (_name, fault) => {
      await expectUnharmed(PLAINLY, fault);
    },
    30_000,
  );
});

describe('applications that ask for streams see no failure of a candidate that gives', () => {
  it.each([
    ...Object.entries(EITHER).map(([name, [fault]]) => [name, fault] as const),
    ...some(
      STREAM,
      ...['an error as the first event', 'a clean end before any event', 'comments and then a clean end'],
      ...['a reset after the role', 'silence after the role', 'an event that is not JSON'],
    ),
  ])(
    '%s',
    async (_name, fault) => {
      await expectUnharmed(STREAMED, fault);
    },
    30_000,
  );
});

it('a client tries again where both providers fail, and that is counted apart', async () => {
  await gateway.route(1, { stickyKey: 'none' });
  candidate.fault = status(500);
  let failures = 1;
  legacy.fault = (exchange) => {
    failures -= 1;
    (failures < 0 ? speaks(LEGACY) : status(503, { 'retry-after-ms': '10' }))(exchange);
  };
  const text = await PLAINLY['openai, a chat']?.();
  legacy.fault = speaks(LEGACY);
  expect(text).toBe(LEGACY);
  const [live] = gateway.cells().filter(({ side, kind }) => side === 'candidate' && kind === 'live');
  expect(live).toMatchObject({ attempts: 2, retries: 1, failures: { status_5xx: 2 } });
});
