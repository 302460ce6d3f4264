import { NO_PAIRS_JUDGED, pairResult, readJudgement } from '../../src/core/assessment/judge-pairs';
import { seededRandom } from '../../src/core/rehearsal/rehearsal';
import { pairsOfParity } from '../../src/parity/answer-pairs';
import type { GoldenPrompt } from '../../src/parity/golden-prompt';
import { judgeVerdict } from '../../src/parity/judge-verdict';
import { runJudge } from '../../src/parity/run-judge';
import { mostFalseDecisions } from '../support/statistics-draws';

it.each([
  ['{"better":"A"}', 'A'],
  [' ```json\n{"better": "tie"}\n``` ', 'tie'],
  ['{"better":"b"}', 'unreadable'],
  ['A', 'unreadable'],
  ['["A"]', 'unreadable'],
  ['A is better: {"better":"A"}', 'unreadable'],
  ['', 'unreadable'],
])('reads %j as %s', (text, judgement) => {
  expect(readJudgement(text)).toBe(judgement);
});

it.each([
  ['B', 'A', 'won'],
  ['A', 'B', 'lost'],
  ['A', 'A', 'tie'],
  ['tie', 'A', 'tie'],
  ['tie', 'tie', 'tie'],
  ['B', 'unreadable', 'unreadable'],
] as const)('takes %s first and %s the other way round for %s', (first, second, result) => {
  expect(pairResult(first, second)).toBe(result);
});

it('calls equal answers worse in at most alpha of runs that look after every pair', () => {
  const random = seededRandom(4);
  const runs = 60;
  let wrong = 0;
  let naive = 0;
  for (let run = 0; run < runs; run += 1) {
    const tally = { won: 0, lost: 0, tie: 0, unreadable: 0, failed: 0 };
    let [seen, seemed] = [false, false];
    for (let pair = 0; pair < 200; pair += 1) {
      tally[random() < 0.5 ? 'won' : 'lost'] += 1;
      if (pair < 10) continue;
      seen ||= judgeVerdict(tally, 0.05).outcome === 'worse';
      // A one-sided z-test at 5%, looked at each time.
      seemed ||= (tally.lost - tally.won) / Math.sqrt(tally.lost + tally.won) > 1.645;
    }
    wrong += seen ? 1 : 0;
    naive += seemed ? 1 : 0;
  }
  expect(wrong).toBeLessThanOrEqual(mostFalseDecisions(runs, 0.05));
  expect(naive).toBeGreaterThan(mostFalseDecisions(runs, 0.05));
});

it('takes the pairs of a parity run from its golden prompts and its answers', () => {
  const question = { kind: 'chat', messages: [{ role: 'user', content: 'Hello?' }] };
  const prompts = ['one', 'two'].map((id) => ({ id, question })) as unknown as GoldenPrompt[];
  const call = (id: string, provider: string, text: string, draw = 1) =>
    JSON.stringify({ id, side: provider, draw, reply: { ok: true, answer: { kind: 'chat', text } } });
  const journal = [
    call('one', 'legacy', 'Hi'),
    call('one', 'legacy', 'Hi again', 2),
    call('one', 'candidate', 'Hello'),
    call('two', 'legacy', 'Hi'),
    '{"torn',
  ].join('\n');
  expect(pairsOfParity(prompts, journal)).toEqual([
    { id: 'one', prompt: 'user: Hello?', legacy: 'Hi', candidate: 'Hello' },
  ]);
});

const PAIRS = Array.from({ length: 20 }, (_, index) => ({
  ...{ id: `${index}`, prompt: 'Hello?', legacy: 'GOOD', candidate: 'fine' },
}));

/** Runs a judge over all pairs, a cent a call. */
function judgeAll(text: string | null, maxCostUsd = 100) {
  return runJudge({
    ...{ pairs: PAIRS, rubric: 'R', concurrency: 3, maxCostUsd, signal: new AbortController().signal },
    ask: async () => ({ text, costUsd: 0.01 }),
    mostCostOf: () => 0.04,
    report: () => undefined,
  });
}

it('takes a judge that prefers a place for one without an opinion', async () => {
  const { tally, calls } = await judgeAll('{"better":"A"}');
  expect({ tally, calls }).toEqual({ tally: { ...NO_PAIRS_JUDGED, tie: 20 }, calls: 40 });
  expect(judgeVerdict(tally, 0.05).outcome).toBe('no difference shown');
});

it('says nothing where the judge does not answer', async () => {
  expect(judgeVerdict((await judgeAll(null)).tally, 0.05)).toMatchObject({
    outcome: 'not evaluated',
    sentence: expect.stringContaining('20 pairs without an answer from the judge'),
  });
});

it('asks nothing that the cap would not pay for', async () => {
  const { costUsd, unpaid, calls } = await judgeAll('{"better":"A"}', 0.11);
  expect(costUsd).toBeLessThanOrEqual(0.11);
  expect({ unpaid, calls }).toEqual({ unpaid: 16, calls: 8 });
});
