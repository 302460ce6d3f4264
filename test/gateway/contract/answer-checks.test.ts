import { AnswerChecks } from '../../../src/gateway/contract/answer-checks';
import type { Judgement } from '../../../src/gateway/contract/judge-answer';
import { KeptAnswer } from '../../../src/gateway/contract/kept-answer';
import { MemoryBudget } from '../../../src/gateway/sockets/memory-budget';

const CONTRACT = Buffer.from('{"response_format":{"type":"json_object"}}');

it('has 256 answers wait and no more, and gives everything back', async () => {
  const memory = new MemoryBudget(16_777_216);
  const account = memory.account('team');
  const checks = new AnswerChecks(() => performance.now(), fail);
  const found: Judgement[] = [];
  const all = new Promise<void>((resolve) => {
    for (let index = 0; index < 300; index += 1) {
      const answer = new KeptAnswer(account, 'chat');
      answer.addBody(Buffer.from('{"choices":[{"message":{"content":"{}"}}]}'));
      account.take(CONTRACT.length);
      const done = (judgement: Judgement) => {
        found.push(judgement);
        if (found.length === 300) resolve();
      };
      checks.check({ contract: CONTRACT, answer, account, done });
    }
  });
  // One is asked about, 256 wait.
  expect(found).toEqual(Array.from({ length: 43 }, () => 'unchecked'));
  await all;
  expect(found.filter((judgement) => judgement === 'kept')).toHaveLength(257);
  expect(memory.heldBytes).toBe(0);
  await checks.close();
});

it('keeps nothing that there is no room for, which is then lost', () => {
  const memory = new MemoryBudget(1_000);
  const answer = new KeptAnswer(memory.account('team'), 'chat');
  answer.addBody(Buffer.alloc(500));
  expect([answer.isLost, memory.heldBytes]).toEqual([false, 500]);
  answer.addBody(Buffer.alloc(500));
  expect([answer.isLost, answer.text, memory.heldBytes]).toEqual([true, null, 0]);
});

function fail(error: unknown): void {
  throw error;
}
