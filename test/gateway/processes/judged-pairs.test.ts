import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { type JudgeCounts, NOTHING_JUDGED } from '../../../src/core/evidence/judge-counts';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { ProcessGateway } from '../../support/gateways/process-gateway';
import { MODEL } from '../../support/gateways/running-gateway';
import {
  type Fault,
  type FaultProvider,
  plain,
  startFaultProvider,
  well,
} from '../../support/providers/fault-provider';
import { questionIn } from '../../support/providers/judge-question';

const root = temporaryDirectory();
const PRICE = { inputPerMillion: 1, outputPerMillion: 2 };
const LEGACY_SAYS = 'Four.';
const CANDIDATE_SAYS = 'It is five.';
const CALLERS = 4;
const EACH = 5;

let legacy: FaultProvider;
let candidate: FaultProvider;
let judge: FaultProvider;
let gateway: ProcessGateway;
const agents: Agent[] = [];

beforeEach(async () => {
  legacy = await startFaultProvider(saying(LEGACY_SAYS));
  candidate = await startFaultProvider(saying(CANDIDATE_SAYS));
  judge = await startFaultProvider(well);
});

afterEach(async () => {
  await gateway.stop();
  for (const agent of agents.splice(0)) await agent.destroy();
  for (const provider of [legacy, candidate, judge]) await provider.stop();
});

function saying(content: string, usage = { prompt_tokens: 10, completion_tokens: 5 }): Fault {
  const choices = [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }];
  return plain(
    JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices, usage }),
  );
}

/** Two processes that copy every request and show each pair to the judge. */
async function start(usd: number): Promise<void> {
  const provider = ({ url }: FaultProvider, model: string) => ({ baseUrl: url, prices: { [model]: PRICE } });
  gateway = await ProcessGateway.start({
    ...{ directory: mkdtempSync(join(root, 'gateway-')), processes: 2 },
    ...{ legacyUrl: legacy.url, candidateUrl: candidate.url },
    configuration: {
      providers: {
        old: provider(legacy, MODEL),
        new: provider(candidate, 'gpt-4o-mini'),
        judge: provider(judge, 'arbiter'),
      },
    },
  });
  await gateway.push({
    ...{ share: 0, stage: 'shadow', stickyKey: 'none', shadow: 1, shadowUsd: 1 },
    judge: { provider: 'judge', model: 'arbiter', sample: 1, usd },
  });
}

/** Connections go to the processes in turn, so each serves half of these. */
async function askThroughBoth(): Promise<void> {
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      const agent = new Agent({ connections: 1, keepAliveTimeout: 60_000 });
      agents.push(agent);
      for (let turn = 0; turn < EACH; turn += 1) {
        const messages = [{ role: 'user', content: `What is 2 + 2? (${caller}-${turn})` }];
        expect(await gateway.ask(`user-${caller}`, agent, { messages })).toBe('old');
      }
    }),
  );
}

/** What both processes have counted, once that is every pair. */
async function judged(): Promise<JudgeCounts> {
  for (;;) {
    const counts = (await gateway.evidence(1)).judge ?? NOTHING_JUDGED;
    const decided = counts.rows.reduce((sum, [, lost, won, tied]) => sum + lost + won + tied, 0);
    const rest = Object.values(counts.unjudged).reduce((sum, count) => sum + count, 0);
    if (decided + rest >= CALLERS * EACH) return counts;
    await sleep(20);
  }
}

it('judges each pair of every process once, both ways round, and adds up what was said', async () => {
  judge.fault = (exchange) => {
    const better = questionIn(exchange.body).A === LEGACY_SAYS ? 'A' : 'B';
    saying(JSON.stringify({ better }), { prompt_tokens: 100, completion_tokens: 10 })(exchange);
  };
  await start(1);
  await askThroughBoth();
  const { rows, unjudged, costUsd } = await judged();
  expect({ rows, unjudged }).toEqual({ rows: [[-1, CALLERS * EACH, 0, 0]], unjudged: {} });
  expect(costUsd).toBeCloseTo(2 * CALLERS * EACH * 0.00012, 9);
  const shown = judge.bodies.map(questionIn).map(({ request, A, B }) => `${request} ${A} ${B}`);
  expect(new Set(shown).size).toBe(2 * CALLERS * EACH);
  expect(shown).toHaveLength(2 * CALLERS * EACH);
  expect(await gateway.metric('cutover_judged_pairs_total', 'result="lost"')).toBe(CALLERS * EACH);
});

it('lets each process spend its part of what the judge may cost, and no more', async () => {
  judge.fault = saying('{"better":"tie"}', { prompt_tokens: 400, completion_tokens: 1_000 });
  // A question costs 0.0024 USD, and 0.003 at most by its length: a half of this pays for two pairs, never for a third.
  await start(0.024);
  await askThroughBoth();
  const { rows, unjudged, costUsd } = await judged();
  expect(rows).toEqual([[-1, 0, 0, 4]]);
  expect(unjudged).toEqual({ 'no money': CALLERS * EACH - 4 });
  expect(costUsd).toBeCloseTo(8 * 0.0024, 9);
  expect(judge.bodies).toHaveLength(8);
  expect(await gateway.metric('cutover_judge_cost_usd_total', 'result="tie"')).toBeCloseTo(8 * 0.0024, 9);
});
