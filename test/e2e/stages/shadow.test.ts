import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import type { Plan } from '../../../src/core/plan/plan';
import { planSchema } from '../../../src/core/plan/plan-schema';
import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan } from '../../support/migrations/quick-plan';

jest.setTimeout(180_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ['good', 'bad', 'spent'], prices: true });
  await harness.startWorker();
});
const started: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  harness.candidate.behaviour.failureRatio = 0;
  for (const load of started.splice(0)) await load.stop();
});
afterAll(() => harness?.stop());

/** The quick plan with a stage that copies everything, behind assess. */
function shadowPlan(route: string, said: object = {}): Plan {
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
  const shadow = planSchema.parse({ route, stages }).stages[1];
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
