import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import type { Plan } from '../../../src/core/plan/plan';
import { planSchema } from '../../../src/core/plan/plan-schema';
import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan } from '../../support/migrations/quick-plan';
import { type Fault, type FaultProvider, startFaultProvider } from '../../support/providers/fault-provider';

jest.setTimeout(180_000);

let harness: MigrationHarness;
let judge: FaultProvider;

/** Says that the longer answer is better, whatever its place. */
const prefersLonger: Fault = ({ response, body }) => {
  const shown = JSON.parse(JSON.parse(body).messages[1].content) as Record<'A' | 'B', string>;
  const better = shown.A.length > shown.B.length ? 'A' : 'B';
  const message = { role: 'assistant', content: JSON.stringify({ better }) };
  const usage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };
  const choices = [{ index: 0, message, finish_reason: 'stop' }];
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({ id: 'j', object: 'chat.completion', created: 1, model: 'arbiter', choices, usage }),
  );
};

beforeAll(async () => {
  judge = await startFaultProvider(prefersLonger);
  const prices = { arbiter: { inputPerMillion: 1, outputPerMillion: 2 } };
  harness = await MigrationHarness.start({
    ...{ routes: ['good', 'bad', 'spent', 'judged'], prices: true },
    providers: { judge: { baseUrl: judge.url, auth: { bearer: 'env:JUDGE_KEY' }, prices } },
    secrets: { JUDGE_KEY: 'the-key-of-the-judge' },
  });
  await harness.startWorker();
});
const started: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  harness.candidate.behaviour.failureRatio = 0;
  harness.candidate.behaviour.tokens = harness.legacy.behaviour.tokens;
  for (const load of started.splice(0)) await load.stop();
});
afterAll(async () => {
  await harness?.stop();
  await judge?.stop();
});

/** The quick plan with a stage that copies everything, behind assess. */
function shadowPlan(route: string, said: object = {}, plan: object = {}): Plan {
  const quick = quickPlan(route);
  const [assess, ...moving] = quick.stages;
  const copying = {
    ...{ name: 'shadow', mirror: 1, maxCostUsd: 1, soak: '2s', window: '1s', minimumSample: 40 },
    gates: {
      answers: { promotionExcess: 0.4 },
      latency: { rollbackIncrease: 100 },
      probes: { rollbackStreak: 100, promotionStreak: 1 },
    },
    ...said,
  };
  const stages = [{ name: 'assess' }, copying, { name: 'canary' }, { name: 'complete' }];
  const shadow = planSchema.parse({ route, stages, ...plan }).stages[1];
  return { ...quick, stages: [assess, shadow, ...moving] as Plan['stages'] };
}

/** Callers who never ask the same twice; `stop` says who answered them. */
function callers(route: string) {
  const clients = harness.gateways.map(
    ({ data }) => new OpenAI({ baseURL: `${data}/routes/${route}/v1`, apiKey: 'a-caller', maxRetries: 0 }),
  );
  const answers = { legacy: 0, candidate: 0, failures: 0 };
  let running = true;
  const call = async (caller: number) => {
    for (let request = 0; running; request += 1) {
      const content = `Caller ${caller} asks question ${request}.`;
      const client = clients[(caller + request) % clients.length] as OpenAI;
      await client.chat.completions
        .create({ model: 'old-model', messages: [{ role: 'user', content }] })
        .withResponse()
        .then(({ response }) => {
          const isCandidate = response.headers.get('x-cutover-provider') === 'new-llm';
          answers[isCandidate ? 'candidate' : 'legacy'] += 1;
        })
        .catch(() => {
          answers.failures += 1;
        });
      await sleep(60);
    }
  };
  const calls = Promise.all([1, 2, 3, 4].map(call));
  const load = {
    answers,
    async stop() {
      running = false;
      await calls;
      return answers;
    },
  };
  started.push(load);
  return load;
}

it('compares copies before it moves anybody, and then goes on to canary', async () => {
  const load = callers('good');
  await harness.begin(shadowPlan('good'));
  await harness.until('good', ({ stage, verdict }) => stage === 'shadow' && verdict !== null);
  expect(load.answers.candidate).toBe(0);
  const status = await harness.until('good', ({ stage }) => stage === 'canary');
  expect(status.stages.map(({ name, state }) => [name, state]).slice(0, 3)).toEqual([
    ['assess', 'done'],
    ['shadow', 'done'],
    ['canary', 'now'],
  ]);
  const verdict = (await harness.client.verdicts('good')).findLast(({ stage }) => stage === 'shadow');
  expect(verdict).toMatchObject({ outcome: 'pass', harm: null, requests: { candidate: 0 } });
  const pairs = verdict?.metrics.find(({ metric }) => metric === 'pairs');
  expect(pairs?.n.candidate).toBeGreaterThanOrEqual(40);
  expect(verdict?.metrics.find(({ metric }) => metric === 'copies')?.sentence).toMatch(
    /^\d+ copies for \$0\.\d+/,
  );
  expect((await harness.effects('good')).map(({ share }) => share)).toEqual([0, 0, 0.3]);
  await harness.client.command('good', 'rollback', { by: 'ana', reason: 'seen enough' });
  await harness.until('good', ({ phase }) => phase === 'closed');
  expect((await load.stop()).failures).toBe(0);
});

it('rejects a candidate that loses, without a caller who was served by it or saw it fail', async () => {
  const load = callers('bad');
  await harness.begin(shadowPlan('bad', { soak: '5m' }));
  await harness.until('bad', ({ stage }) => stage === 'shadow');
  harness.candidate.behaviour.failureRatio = 0.4;
  const status = await harness.until('bad', ({ phase }) => phase === 'closed');
  expect(status).toMatchObject({ outcome: 'rolled back' });
  expect(status.ending?.cause ?? '').toMatch(
    /^of \d+ pairs the candidate lost \d+ and won \d+, mostly by errors of the server \(\d+\)/,
  );
  expect(await load.stop()).toMatchObject({ candidate: 0, failures: 0 });
});

it('stops copying once it has spent what it may, holds, and says so', async () => {
  const load = callers('spent');
  const margins = { mirror: 1, maxCostUsd: 0.0008, minimumSample: 100_000 };
  await harness.begin(shadowPlan('spent', margins));
  const status = await harness.until('spent', ({ held }) => held !== null);
  expect(status.held?.reason).toMatch(/^shadow has spent the \$0\.0008 of its copies and has not passed/);
  await load.stop();
  const usd = (await harness.client.verdicts('spent'))
    .at(-1)
    ?.metrics.find(({ metric }) => metric === 'copies');
  expect(usd?.candidate).toBeLessThan(0.0012);
});

it('rejects a candidate whose answers a judge likes less, and keeps nothing of what they said', async () => {
  harness.candidate.behaviour.tokens = harness.legacy.behaviour.tokens - 2;
  const load = callers('judged');
  const asked = { provider: 'judge', model: 'arbiter', sample: 1, maxCostUsd: 1, minimum: 10 };
  await harness.begin(shadowPlan('judged', { soak: '5m' }, { judge: asked }));
  const status = await harness.until('judged', ({ phase }) => phase === 'closed');
  expect(status).toMatchObject({ outcome: 'rolled back' });
  expect(status.ending?.cause ?? '').toMatch(
    /^of \d+ pairs that arbiter judged the candidate lost \d+ and won 0: 100 points more lost than won, allowed 10 points/,
  );
  expect(await load.stop()).toMatchObject({ candidate: 0, failures: 0 });
  const verdicts = await harness.client.verdicts('judged');
  const { judged } = verdicts.at(-1)?.metrics.find(({ metric }) => metric === 'pairs judged') ?? {};
  expect(judged).toMatchObject({ won: 0, lost: expect.any(Number), tied: 0 });
  expect(judged?.costUsd).toBeGreaterThanOrEqual((judged?.lost ?? 0) * 2 * 0.00012 - 1e-6);
  // The answers begin with these words, and the questions with those.
  expect(judge.bodies.some((body) => body.includes('Traffic moves') && body.includes('asks question'))).toBe(
    true,
  );
  expect(JSON.stringify(verdicts)).not.toMatch(/Traffic moves|asks question/);
});
