import { setTimeout as sleep } from 'node:timers/promises';
import { type JudgeCounts, NOTHING_JUDGED } from '../../../src/core/evidence/judge-counts';
import type { JudgeOrder } from '../../../src/core/routing/judge-order';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { ADMIN_TOKEN, MODEL, type TestGateway } from '../../support/gateways/running-gateway';
import {
  type Fault,
  type FaultProvider,
  startFaultProvider,
  status,
  well,
} from '../../support/providers/fault-provider';
import { type Question, questionIn } from '../../support/providers/judge-question';

const trial = gatewayTrial();
const { legacy, candidate } = trial;
let judge: FaultProvider;

beforeAll(async () => {
  judge = await startFaultProvider(well);
});

afterEach(() => {
  judge.bodies.length = 0;
});

afterAll(() => judge.stop());

const PRICE = { inputPerMillion: 1, outputPerMillion: 2 };
const LEGACY_SAYS = 'Four.';
const CANDIDATE_SAYS = 'It is five.';

/** A plain answer or a stream of this text. */
function saying(content: string, usage = { prompt_tokens: 10, completion_tokens: 5 }): Fault {
  return ({ response, stream }) => {
    const base = { id: 'c', created: 1, model: 'm', usage };
    if (stream) {
      const choice = (delta: object, finish_reason: string | null) =>
        `data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
      response.setHeader('content-type', 'text/event-stream');
      for (const piece of content.match(/.{1,3}/gs) ?? []) response.write(choice({ content: piece }, null));
      response.end(`${choice({}, 'stop')}data: [DONE]\n\n`);
      return;
    }
    const choices = [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }];
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ...base, object: 'chat.completion', choices }));
  };
}

/** A judge that says this of what it is shown. */
function judging(better: (shown: Question) => string, usage?: Parameters<typeof saying>[1]): Fault {
  return (exchange) => saying(better(questionIn(exchange.body)), usage)(exchange);
}

const prefers = (text: string) => judging(({ A }) => JSON.stringify({ better: A === text ? 'A' : 'B' }));

const cut: Fault = ({ socket }) => {
  socket.destroy();
};

const ORDER: JudgeOrder = { provider: 'judge', model: 'arbiter', sample: 1, usd: 1 };

/** `answerTime`: how long the judge may take for an answer. */
async function start(order: Partial<JudgeOrder> | null = {}, answerTime = '60s'): Promise<TestGateway> {
  legacy.fault = saying(LEGACY_SAYS);
  candidate.fault = saying(CANDIDATE_SAYS);
  const provider = (of: FaultProvider, name: string, model: string) => ({
    ...{ baseUrl: of.url, auth: { bearer: `env:${name}` }, prices: { [model]: PRICE } },
  });
  const gateway = await trial.start({
    configuration: {
      providers: {
        old: provider(legacy, 'OLD', MODEL),
        new: provider(candidate, 'NEW', 'gpt-4o-mini'),
        judge: { ...provider(judge, 'JUDGE', 'arbiter'), timeouts: { plainTotal: answerTime } },
      },
    },
    secrets: { 'env:OLD': 'key-of-old', 'env:NEW': 'key-of-new', 'env:JUDGE': 'key-of-the-judge' },
  });
  const asked = order === null ? {} : { judge: { ...ORDER, ...order } };
  await gateway.route(0, { stage: 'shadow', stickyKey: 'none', shadow: 1, shadowUsd: 1, ...asked });
  return gateway;
}

let asked = 0;

async function ask(gateway: TestGateway, more: object = {}): Promise<void> {
  asked += 1;
  const messages = [{ role: 'user' as const, content: `What is 2 + 2? (${asked})` }];
  const answer = await gateway.client().chat.completions.create({ model: MODEL, messages, ...more });
  if (!(Symbol.asyncIterator in answer)) return;
  for await (const _ of answer as unknown as AsyncIterable<unknown>);
}

function judgedBy(gateway: TestGateway): JudgeCounts {
  return gateway.routes.get('chat')?.evidence.peek(1).evidence.judge ?? NOTHING_JUDGED;
}

function countOf({ rows, unjudged }: JudgeCounts): number {
  const judged = rows.reduce((sum, [, lost, won, tied]) => sum + lost + won + tied, 0);
  return judged + Object.values(unjudged).reduce((sum, count) => sum + count, 0);
}

/** What was counted once so many pairs are. */
async function counted(gateway: TestGateway, pairs = 1): Promise<JudgeCounts> {
  while (countOf(judgedBy(gateway)) < pairs) await sleep(5);
  return judgedBy(gateway);
}

const rowOf = (lost: number, won: number, tied: number) => [[-1, lost, won, tied]];

describe('a judge of live pairs', () => {
  it.each([
    ['plain answers', {}],
    ['streams', { stream: true }],
    ['answers with a schema, which are judged by that too', { response_format: { type: 'json_object' } }],
  ])('compares %s both ways round, and shows the request and both answers', async (_, more) => {
    judge.fault = prefers(CANDIDATE_SAYS);
    const gateway = await start();
    await ask(gateway, more);
    expect((await counted(gateway)).rows).toEqual(rowOf(0, 1, 0));
    const shown = judge.bodies.map(questionIn).sort((a, b) => (a.A < b.A ? -1 : 1));
    const request = `user: What is 2 + 2? (${asked})`;
    expect(shown).toEqual([
      { request, A: LEGACY_SAYS, B: CANDIDATE_SAYS },
      { request, A: CANDIDATE_SAYS, B: LEGACY_SAYS },
    ]);
    expect(JSON.parse(judge.bodies[0] ?? '')).toMatchObject({ model: 'arbiter', temperature: 0 });
  });

  it('says who lost, and takes the disagreement of both orders for a tie', async () => {
    judge.fault = prefers(LEGACY_SAYS);
    const gateway = await start();
    await ask(gateway);
    expect((await counted(gateway)).rows).toEqual(rowOf(1, 0, 0));
    judge.fault = judging(() => '{"better":"A"}');
    await ask(gateway);
    expect((await counted(gateway, 2)).rows).toEqual(rowOf(1, 0, 1));
  });

  it('is asked with the key of its own provider, by the rubric of the plan, and shown no key of anybody', async () => {
    const seen: (string | undefined)[] = [];
    judge.fault = (exchange) => {
      seen.push(exchange.response.req.headers.authorization);
      prefers(LEGACY_SAYS)(exchange);
    };
    const gateway = await start({ rubric: 'Shorter is better.' });
    await ask(gateway);
    await counted(gateway);
    expect(seen).toEqual(['Bearer key-of-the-judge', 'Bearer key-of-the-judge']);
    expect(judge.bodies.every((body) => body.includes('Shorter is better.'))).toBe(true);
    expect(judge.bodies.join()).not.toMatch(/key-of|a-callers-key/);
  });

  it('adds up what it costs by the usage that its provider reports', async () => {
    judge.fault = judging(() => '{"better":"tie"}', { prompt_tokens: 100, completion_tokens: 10 });
    const gateway = await start();
    await ask(gateway);
    expect((await counted(gateway)).costUsd).toBeCloseTo(2 * 0.00012, 9);
  });

  it.each([
    ['answers prose', judging(() => 'Both are fine, I would say.'), 'unreadable'],
    ['refuses', status(403), 'failed'],
    ['fails', status(500), 'failed'],
    ['cuts the connection', cut, 'failed'],
  ] as const)('that %s is counted as one that did not judge', async (_, fault, reason) => {
    judge.fault = fault;
    const gateway = await start();
    await ask(gateway);
    expect(await counted(gateway)).toMatchObject({ rows: [], unjudged: { [reason]: 1 } });
  });

  it('that does not answer in time has not judged, and is paid for as if it had', async () => {
    judge.fault = () => undefined;
    const gateway = await start({}, '1s');
    await ask(gateway);
    const { unjudged, costUsd } = await counted(gateway);
    expect(unjudged).toEqual({ failed: 1 });
    expect(costUsd).toBeGreaterThan(0.004);
  });

  it('is asked without a parameter of ours that its provider refuses, and then no more with it', async () => {
    judge.fault = (exchange) => {
      if (!exchange.body.includes('"temperature"')) prefers(LEGACY_SAYS)(exchange);
      else {
        exchange.response.statusCode = 400;
        exchange.response.setHeader('content-type', 'application/json');
        exchange.response.end(
          JSON.stringify({ error: { message: 'unsupported value: temperature', param: 'temperature' } }),
        );
      }
    };
    const gateway = await start();
    await ask(gateway);
    expect((await counted(gateway)).rows).toEqual(rowOf(1, 0, 0));
    judge.bodies.length = 0;
    await ask(gateway);
    expect((await counted(gateway, 2)).rows).toEqual(rowOf(2, 0, 0));
    expect(judge.bodies.length).toBe(2);
  });

  it('is asked nothing where the routing names none, and nothing of pairs outside of its sample', async () => {
    const gateway = await start(null);
    await ask(gateway);
    const sampled = await start({ sample: 1e-12 });
    await ask(sampled);
    for (const each of [gateway, sampled]) {
      while ((each.routes.get('chat')?.evidence.peek(1).evidence.pairs?.copies ?? 0) < 1) await sleep(5);
      expect(judgedBy(each)).toEqual(NOTHING_JUDGED);
    }
    expect(judge.bodies).toEqual([]);
  });

  it('is shown no pair of which one answer failed', async () => {
    judge.fault = prefers(LEGACY_SAYS);
    const gateway = await start();
    candidate.fault = status(500);
    await ask(gateway);
    while ((gateway.routes.get('chat')?.evidence.peek(1).evidence.pairs?.copies ?? 0) < 1) await sleep(5);
    candidate.fault = saying(CANDIDATE_SAYS);
    await ask(gateway);
    await counted(gateway);
    expect(judge.bodies.length).toBe(2);
  });

  it('leaves out what is too long to be shown', async () => {
    judge.fault = prefers(LEGACY_SAYS);
    const gateway = await start();
    candidate.fault = saying('x'.repeat(70_000));
    await ask(gateway);
    expect(await counted(gateway)).toMatchObject({ rows: [], unjudged: { 'too long': 1 }, costUsd: 0 });
    expect(judge.bodies).toEqual([]);
  });
});

describe('what a judge may cost', () => {
  it('is kept to the cent whatever runs at the same time, and what it would not pay for is counted', async () => {
    judge.fault = (exchange) =>
      void setTimeout(
        () => judging(() => '{"better":"tie"}', { prompt_tokens: 400, completion_tokens: 1_000 })(exchange),
        20,
      );
    // A question costs 0.0024 USD, and 0.003 at most by its length: two pairs are paid for, and never a third.
    const gateway = await start({ usd: 0.012 });
    await Promise.all(Array.from({ length: 12 }, () => ask(gateway)));
    const { rows, unjudged, costUsd } = await counted(gateway, 12);
    expect(rows).toEqual(rowOf(0, 0, 2));
    expect(unjudged).toEqual({ 'no money': 10 });
    expect(costUsd).toBeCloseTo(4 * 0.0024, 9);
  });

  it('is charged in full where a question had been sent and its price is not known', async () => {
    judge.fault = cut;
    const gateway = await start();
    await ask(gateway);
    const { costUsd } = await counted(gateway);
    // Two answers of 1,000 tokens at most, and every byte of both questions for a token.
    expect(costUsd).toBeGreaterThan(0.004);
    expect(costUsd).toBeLessThan(0.01);
  });
});

it('keeps no caller waiting, and holds few pairs, while a judge does not answer', async () => {
  const waiting: (() => void)[] = [];
  judge.fault = (exchange) => void waiting.push(() => prefers(LEGACY_SAYS)(exchange));
  const gateway = await start();
  for (let request = 0; request < 40; request += 1) await ask(gateway);
  // Four under way and 32 behind them; the rest finds no place.
  expect((await counted(gateway, 4)).unjudged).toEqual({ busy: 4 });
  expect(judge.bodies.length).toBe(8);
  while (countOf(judgedBy(gateway)) < 40) {
    for (const answer of waiting.splice(0)) answer();
    await sleep(5);
  }
  expect(judgedBy(gateway).rows).toEqual(rowOf(36, 0, 0));
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`, { headers })).text();
  expect(metrics).toContain('cutover_judged_pairs_total{route="chat",result="lost"} 36');
  expect(metrics).toMatch(/^cutover_buffered_bytes 0$/m);
});
