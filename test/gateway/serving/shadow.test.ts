import { setTimeout as sleep } from 'node:timers/promises';
import { NO_PAIRS, type PairCounts } from '../../../src/core/evidence/pair-counts';
import { ShadowLedger } from '../../../src/gateway/serving/shadow-ledger';
import { comparePair, type ShadowAnswer } from '../../../src/gateway/serving/shadow-pair';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, type TestGateway, type TestGatewayOptions } from '../../support/gateways/running-gateway';
import { type Fault, status, well } from '../../support/providers/fault-provider';

const trial = gatewayTrial();
const { legacy, candidate } = trial;

const PRICE = { inputPerMillion: 1, outputPerMillion: 2 };

async function start(more: Partial<TestGatewayOptions> = {}): Promise<TestGateway> {
  const gateway = await trial.start({
    legacy: { prices: { [MODEL]: PRICE } },
    candidate: { prices: { 'gpt-4o-mini': PRICE } },
    ...more,
  });
  await gateway.route(0, { stage: 'shadow', stickyKey: 'none', shadow: 1, shadowUsd: 1 });
  return gateway;
}

let asked = 0;

/** Asks something new, unless `more` says what. */
async function ask(gateway: TestGateway, more: object = {}): Promise<string> {
  asked += 1;
  const messages = [{ role: 'user' as const, content: `Hello ${asked}?` }];
  const create = { model: MODEL, messages, ...more };
  return gateway
    .client()
    .chat.completions.create(create)
    .withResponse()
    .then(
      ({ response }) => response.headers.get('x-cutover-provider') ?? '',
      (error: { status?: number }) => `${error.status}`,
    );
}

function pairsOf(gateway: TestGateway): PairCounts {
  return gateway.routes.get('chat')?.evidence.peek(1).evidence.pairs ?? NO_PAIRS;
}

/** What was counted once so many copies are over. */
async function counted(gateway: TestGateway, copies = 1): Promise<PairCounts> {
  while (pairsOf(gateway).copies < copies) await sleep(5);
  return pairsOf(gateway);
}

/** A plain answer of so many tokens. */
function answered(tokens: number, content = 'Hello!'): Fault {
  return ({ response }) => {
    const message = { role: 'assistant', content };
    const usage = { prompt_tokens: 10, completion_tokens: tokens, total_tokens: 10 + tokens };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices, usage }),
    );
  };
}

describe('a copy', () => {
  it('goes to the candidate under its own name, and never shows', async () => {
    const gateway = await start();
    candidate.fault = status(500);
    expect(await ask(gateway)).toBe('old');
    const { answers, lost } = await counted(gateway);
    expect(JSON.parse(candidate.bodies.at(-1) ?? '')).toMatchObject({ model: 'gpt-4o-mini' });
    expect(answers).toEqual([[-1, 1, 0, 0, 0]]);
    expect(lost).toEqual({ status_5xx: 1 });
    const cells = gateway.cells().map(({ side, kind, failures }) => ({ side, kind, failures }));
    expect(cells).toContainEqual({ side: 'candidate', kind: 'shadow', failures: { status_5xx: 1 } });
    expect(cells).toContainEqual({ side: 'legacy', kind: 'live', failures: {} });
  });

  it.each([
    ['both answer', well, well, [0, 0, 1, 0]],
    ['only legacy fails', status(500), well, [0, 1, 0, 0]],
    ['both fail', status(500), status(503), [0, 0, 1, 0]],
    ['only the candidate refuses', well, status(400), [1, 0, 0, 0]],
    ['only legacy refuses', status(400), well, [0, 1, 0, 0]],
    ['both refuse', status(400), status(400), [0, 0, 1, 0]],
    ['only the candidate answers nothing', well, answered(5, ''), [1, 0, 0, 0]],
    ['only legacy answers nothing', answered(5, ''), well, [0, 1, 0, 0]],
  ] as const)('is compared where %s', async (_, before, now, cells) => {
    const gateway = await start();
    legacy.fault = before;
    candidate.fault = now;
    await ask(gateway);
    expect((await counted(gateway)).answers).toEqual([[-1, ...cells]]);
  });

  it('is counted by the bucket of its key', async () => {
    const gateway = await start();
    await gateway.route(0, { stage: 'shadow', shadow: 1, shadowUsd: 1 });
    await ask(gateway, { user: 'anna' });
    await ask(gateway, { user: 'anna' });
    const pairs = () => gateway.routes.get('chat')?.evidence.peek(2).evidence.pairs ?? NO_PAIRS;
    while (pairs().copies < 2) await sleep(5);
    expect(pairs().answers).toEqual([[expect.any(Number), 0, 0, 2, 0]]);
    expect(pairs().answers[0]?.[0]).toBeGreaterThanOrEqual(0);
  });

  it('is compared by a schema that only the candidate breaks', async () => {
    const gateway = await start();
    legacy.fault = answered(5, '{"city": "Bern"}');
    candidate.fault = answered(5, 'Bern');
    // On a busy machine the first schemas are not compiled in time, and set aside.
    for (let copies = 1; (pairsOf(gateway).answers[0]?.[1] ?? 0) === 0; copies += 1) {
      const json_schema = { name: 'city', schema: { type: 'object', title: `try ${copies}` } };
      await ask(gateway, { response_format: { type: 'json_schema', json_schema } });
      await counted(gateway, copies);
    }
    const { answers, lost, decisions } = pairsOf(gateway);
    expect(answers).toMatchObject([[-1, 1, 0, 0, expect.any(Number)]]);
    expect(lost).toEqual({ json_unparsed: 1 });
    expect(decisions[0]?.[1]).toBe(0);
  });

  it('is compared by time, tokens and cost, and by how it ends where the same is asked of both', async () => {
    const gateway = await start();
    legacy.fault = answered(100);
    candidate.fault = (exchange) => void setTimeout(() => answered(180)(exchange), 300);
    await ask(gateway, { temperature: 0 });
    const { latency, outputTokens, cost, decisions } = await counted(gateway);
    expect(latency[0]?.at(-1)).toBe(1);
    expect(outputTokens).toEqual([[-1, 0, 0, 0, 0, 1, 0, 0, 0]]);
    expect(cost).toEqual([[-1, 0, 0, 0, 0, 1, 0, 0, 0]]);
    expect(decisions).toEqual([[-1, 0, 1]]);
    await ask(gateway);
    expect((await counted(gateway, 2)).decisions).toEqual([[-1, 0, 1]]);
  });

  it.each([
    ['a tool that a provider runs', { web_search_options: {} }],
    ['an answer that is kept', { store: true }],
  ])('is never made of a request with %s', async (_, more) => {
    const gateway = await start();
    const before = candidate.bodies.length;
    await ask(gateway, more);
    await ask(gateway);
    await counted(gateway);
    expect(candidate.bodies.length).toBe(before + 1);
  });

  it('is made once of a request that comes again and again', async () => {
    const gateway = await start();
    const messages = [{ role: 'user' as const, content: 'The same' }];
    for (let again = 0; again < 3; again += 1) await ask(gateway, { messages });
    await ask(gateway);
    expect((await counted(gateway, 2)).answers).toEqual([[-1, 0, 0, 2, 0]]);
    expect(pairsOf(gateway).copies).toBe(2);
  });
});

describe('what copies may cost', () => {
  it('ends them, estimated by what legacy took until the candidate has answered', async () => {
    legacy.fault = answered(100);
    candidate.fault = answered(100);
    const gateway = await start();
    // 10 tokens in and 100 out are 0.00021 USD.
    await gateway.route(0, { stage: 'shadow', shadow: 1, shadowUsd: 0.0005 });
    const epoch = () => gateway.routes.get('chat')?.evidence.peek(2).evidence.pairs ?? NO_PAIRS;
    for (let request = 0; request < 6; request += 1) {
      await ask(gateway);
      await sleep(50);
    }
    expect(epoch()).toMatchObject({ copies: 3, costUsd: expect.closeTo(0.00063, 9) });
  });

  it('has to be known: a model without a price is not copied', async () => {
    const gateway = await start({ candidate: {} });
    const before = candidate.bodies.length;
    await ask(gateway);
    await sleep(50);
    expect(candidate.bodies.length).toBe(before);
  });

  it('is divided among processes, and begins anew with each epoch', () => {
    const ledger = new ShadowLedger(2);
    ledger.reserve(0.4);
    expect(ledger.hasRoom(1, 1)).toBe(true);
    ledger.reserve(0.1);
    expect(ledger.hasRoom(1, 1)).toBe(false);
    expect(ledger.hasRoom(1, null)).toBe(true);
    ledger.settle(1, 0.5, 0.3);
    expect(ledger.hasRoom(1, 1)).toBe(true);
    ledger.settle(1, 0, 0.2);
    expect(ledger.hasRoom(1, 1)).toBe(false);
    expect(ledger.hasRoom(2, 1)).toBe(true);
  });

  it('is not asked where nothing bounds it, as a configuration may', async () => {
    const gateway = await start({ candidate: {}, legacy: {} });
    await gateway.route(0, { shadow: 1, shadowUsd: undefined });
    const before = candidate.bodies.length;
    await ask(gateway);
    while (candidate.bodies.length === before) await sleep(5);
  });
});

describe('a pair', () => {
  const answer = (more: Partial<ShadowAnswer> = {}): ShadowAnswer => ({
    ...{ failure: null, judgement: 'kept', answerMs: 100, outputTokens: 10, costUsd: 1, decision: 'stop 1' },
    ...more,
  });

  it.each([
    ['alike', {}, {}, 'tied', null],
    ['with one that could not be checked', {}, { judgement: 'unchecked' }, 'unchecked', null],
    ['cut at the candidate', {}, { judgement: 'cut' }, 'lost', 'cut'],
    ['cut at both, in other ways', { judgement: 'refusal' }, { judgement: 'cut' }, 'tied', null],
    ['empty, which is a failure too', {}, { failure: 'truncated', judgement: 'empty' }, 'lost', 'empty'],
    ['late at legacy', { failure: 'timeout' }, {}, 'won', null],
  ] as const)('%s', (_, before, now, answers, lostBy) => {
    expect(comparePair(answer(before), answer(now), false)).toMatchObject({ answers, lostBy });
  });

  it('has no ratio of what is not known or nothing, and none where one of both failed', () => {
    const { ratios } = comparePair(
      answer({ outputTokens: 0, costUsd: null }),
      answer({ answerMs: 250 }),
      false,
    );
    expect(ratios).toEqual({ latency: 2.5, outputTokens: null, cost: null });
    const failed = comparePair(answer(), answer({ failure: 'reset' }), true);
    expect(failed).toMatchObject({ ratios: { latency: null }, decisions: null });
  });
});
